"""Small model folders as their owners would have saved them: any architecture, any tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

WORDS = ("a", "good", "bad", "film", "fine", "dull", "never", "really", "it", "is")
LENGTH = 160
_SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": LENGTH,
}


def tokenizer(**special: str) -> PreTrainedTokenizerFast:
    """Whole words; ``special`` names its special tokens, as ``pad_token="<pad>"``."""
    words = [*dict.fromkeys(("[UNK]", *special.values())), *WORDS]
    plain = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    plain.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain,
        unk_token="[UNK]",
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )


def ending(**special: str) -> PreTrainedTokenizerFast:
    """One that ends each text with token 2, as BART and T5 need it; padding is token 1."""
    made = tokenizer(pad_token="[PAD]", eos_token="</s>", **special)
    made.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", made.eos_token_id)]
    )
    return made


def classifier(architecture: str, *, seed: int = 0, **settings: Any) -> Any:
    """A sequence classifier with random weights, in evaluation mode."""
    wanted = {"vocab_size": 40, **_SHAPE, **settings}
    config = transformers.AutoConfig.for_model(architecture, **wanted)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return transformers.AutoModelForSequenceClassification.from_config(config).eval()


def saved(folder: Path, model: Any, words: PreTrainedTokenizerFast | None = None) -> Path:
    """A folder with ``model`` and its tokenizer, by default one with padding."""
    model.save_pretrained(folder)
    (words or tokenizer(pad_token="[PAD]")).save_pretrained(folder)
    return folder


def zeroed(model: Any, share: float, *, seed: int = 0) -> Any:
    """``model`` with about this share of each matrix in its blocks at zero, in place."""
    from prunecli.core.scope import prunable

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in prunable(model).values():
            weight[torch.rand(weight.shape, generator=generator) < share] = 0
    return model


def rows(count: int) -> str:
    """A CSV file for SST-2 with this many made-up rows."""
    lines = [
        f"{'a really ' * (i % 4)}{('bad', 'good')[i % 2]} film is {WORDS[i % 10]} {WORDS[i // 10]}"
        f",{i % 2}"
        for i in range(count)
    ]
    return "\n".join(["sentence,label", *lines]) + "\n"
