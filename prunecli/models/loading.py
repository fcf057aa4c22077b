"""Loading and saving classifiers: safetensors only, never remote code, labels by name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecli.errors import InputError
from prunecli.files import file_sha256
from prunecli.models.adapters import check_not_alone, without_adapter
from prunecli.models.asks import check_asks_nothing
from prunecli.models.claims import check_size, check_tokenizer_file, read_config
from prunecli.models.cut import cut_model, cut_skeleton, skeleton_in, structure_of
from prunecli.models.ends import agree_on_tokens_
from prunecli.models.head import check_sizes, draw_head_, in_encoder
from prunecli.models.hub import ask_hub, downloaded, unusable, where
from prunecli.models.hub import is_local as is_local
from prunecli.models.labels import TASK_LABELS, label_order
from prunecli.models.padding import give_padding
from prunecli.models.placing import align_
from prunecli.models.problemtype import check_problem, check_single_label
from prunecli.models.switching import switch_each_time_
from prunecli.models.tokenizerfiles import check_packages, has_vocabulary
from prunecli.models.tokenizergrowth import check_growth
from prunecli.models.unused import check_all_used
from prunecli.models.weightfiles import WEIGHTS as WEIGHTS
from prunecli.models.weightfiles import weight_files
from prunecli.store.structures import read_structure, write_structure
from prunecli.tasks import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
_READ = (".safetensors", ".json", ".txt", ".model")
"""Endings of the files in a model folder that something is read from."""


def quiet_transformers() -> None:
    """Silence the library's own bars and reports; ours say what matters."""
    import datasets
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()


def model_fingerprint(name: str, hashed: Callable[[Path], str] = file_sha256) -> str:
    """``sha256:…`` over the configuration, weights and tokenizer of a local folder.

    ``hashed`` gives the hash of a file of it. A hub id stands for itself with its revision, as far
    as that is known. Raises `InputError` for a folder that is no model folder.
    """
    if not is_local(name):
        revision = ask_hub(name)[1]
        return f"{name}@{revision}" if revision else name
    folder = check_folder(name)
    digest = hashlib.sha256()
    own = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix in _READ]
    below = [path for path in weight_files(folder) if path.parent != folder]
    for path in [*own, *below]:
        named = path.relative_to(folder).as_posix()
        digest.update(f"{named}\0{hashed(path)}\0".encode())
    return f"sha256:{digest.hexdigest()[:16]}"


def check_folder(name: str) -> Path:
    """The folder ``name``; `InputError` unless it has a configuration and safetensors weights."""
    folder = _check_configuration(name)
    if not weight_files(folder):
        pickled = next((p.name for p in folder.iterdir() if p.suffix in _PICKLED), None)
        if pickled:
            raise InputError(
                f"{name} has only pickled weights ({pickled}), which can run code and are refused",
                hint="convert them: model.save_pretrained(folder) with a recent transformers",
            )
        raise InputError(f"{name} has no weights (model.safetensors)")
    return folder


def _check_configuration(name: str) -> Path:
    folder = Path(name)
    if not folder.is_dir():
        raise InputError(
            f"no model folder {name}", hint="a folder with config.json and model.safetensors"
        )
    check_not_alone(folder)
    if not (folder / "config.json").is_file():
        raise InputError(f"{name} is not a model folder: it has no config.json")
    read_config(folder)
    return folder


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder or hub id, with a padding token if there can be one.

    Raises `InputError`.
    """
    from transformers import AutoTokenizer

    if is_local(name):
        check_tokenizer_file(Path(name))
        # Without one of these files the library makes an empty tokenizer and says nothing.
        if not has_vocabulary(Path(name)):
            raise InputError(
                f"the tokenizer in {name} has no vocabulary",
                hint="put the model's tokenizer files, such as tokenizer.json, beside its weights",
            )
        check_packages(Path(name))
    try:
        found = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **where(name))
    except Exception as error:
        if not is_local(name) and "tiktoken" in str(error):
            check_packages(downloaded(name))
        raise unusable("tokenizer", name, error) from None
    check_growth(found, name)
    if found.pad_token_id is None:
        give_padding(found, load_config(name, any_head=True))
    return found


def load_for_training(
    name: str, task: Task, seed: int, *, new_head: bool = False
) -> PreTrainedModel:
    """An encoder with a head for ``task`` in float32; a missing head is drawn from ``seed``.

    With ``new_head`` one that is there is drawn anew. Raises `InputError`, also for one of another
    number of labels that is to stay.
    """
    from transformers import set_seed

    if is_local(name):
        check_folder(name)
    set_seed(seed)
    model = _from_pretrained(name, new_head=new_head, **_of_task(task))
    if new_head:
        set_seed(seed)
        draw_head_(model)
    return model


def skeleton_for_training(name: str, task: Task, *, new_head: bool = False) -> PreTrainedModel:
    """What `load_for_training` would give, by its configuration alone and without its weights."""
    config = load_config(name, any_head=new_head)
    for key, value in _of_task(task).items():
        setattr(config, key, value)
    return skeleton_in(config, name)


def skeleton_of(folder: str) -> PreTrainedModel:
    """The classifier in a folder without its weights: cut as the folder says, if it does."""
    model, structure = skeleton_in(load_config(folder), folder), read_structure(Path(folder))
    return model if structure is None else cut_skeleton(model, structure, folder)


def _of_task(task: Task) -> dict[str, Any]:
    """What the configuration of a classifier of ``task`` says of it."""
    labels = dict(enumerate(task.label_names)) or {0: "score"}
    return {
        "num_labels": task.num_labels,
        "id2label": labels,
        "label2id": {label: i for i, label in labels.items()},
        "problem_type": "regression" if task.regression else "single_label_classification",
    }


def embedding_weights(folder: str) -> set[str]:
    """Names, as the weight file has them, of the embedding matrices of a model folder.

    They are found by structure, from the configuration alone: the weights of `nn.Embedding`.
    """
    from torch import nn

    model = skeleton_in(load_config(folder), folder)
    names = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding)
    }
    # A bare encoder is saved without the name that it has inside a classifier.
    return names | {name.removeprefix(f"{model.base_model_prefix}.") for name in names}


def load_classifier(name: str, task: Task, labels: Sequence[str] = ()) -> PreTrainedModel:
    """A finished classifier of ``task`` in float32, its head included.

    ``labels`` are the task's for each output, in their order, where the model's own do not say it;
    the configuration of the model keeps them. Raises `InputError` when the folder has no trained
    classification head, another number of labels or other labels.
    """
    check_labels(name, task, labels)
    model = load_any_classifier(name)
    if labels:
        setattr(model.config, TASK_LABELS, list(labels))
    return model


def load_any_classifier(name: str) -> PreTrainedModel:
    """A finished classifier of whatever task in float32; raises what `load_classifier` raises."""
    return _from_pretrained(name, require_head=True)


def check_labels(name: str, task: Task, labels: Sequence[str] = ()) -> list[int]:
    """The `label_order` of a classifier, by its configuration and ``labels`` alone.

    Raises `InputError` when it has another number of labels or other labels.
    """
    if is_local(name):
        check_folder(name)
    config = load_config(name)
    check_problem(config, task, name)
    wanted, found = task.num_labels, config.num_labels
    if found != wanted:
        raise InputError(
            f"{name} has {found} labels and {task.title} has {wanted}",
            hint="give the task that the model was trained for with --task",
        )
    if labels:
        setattr(config, TASK_LABELS, list(labels))
    return label_order(config, task, name)


def check_hidden_states(theirs: Any, ours: Any) -> None:
    """Raise `InputError` unless a teacher's hidden states are as many and as wide as a student's.

    Both are configurations.
    """
    for what, key in (("layers", "num_hidden_layers"), ("hidden dimensions", "hidden_size")):
        found, wanted = getattr(theirs, key, None), getattr(ours, key, None)
        if found != wanted:
            raise InputError(
                f"the teacher has {found} {what} and the model has {wanted}",
                hint="learn from its answers alone, with --hidden-weight 0",
            )


def check_tokenizer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise `InputError` when the tokenizer gives ids for which the model has no embedding."""
    known = model.get_input_embeddings().weight.shape[0]
    highest = max(tokenizer.get_vocab().values())
    if highest >= known:
        raise InputError(
            f"the tokenizer's ids go up to {highest}, and the model knows {known} words",
            hint="use the tokenizer that the model was trained with",
        )


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """A folder that plain ``AutoModelForSequenceClassification.from_pretrained`` loads.

    Where the model was cut so that its configuration cannot say it, ``structure.json`` says it, and
    `load_any_classifier` is needed.
    """
    save_weights(model, folder)
    tokenizer.save_pretrained(folder)


def save_weights(model: PreTrainedModel, folder: Path) -> None:
    """The same without a tokenizer, as `load_any_classifier` reads it."""
    structure = structure_of(model)
    # Some architectures, as NomicBERT, have had other names and fused matrices in files. Masks and
    # cuts speak of the weights as they are in memory, so files have those; stock transformers reads
    # either.
    model.save_pretrained(folder, save_original_format=False)
    if structure is not None:
        write_structure(folder, structure)


def load_config(name: str, *, any_head: bool = False) -> Any:
    """The configuration of a model folder, with or without weights, or hub id.

    Raises `InputError`, also for a multi-label classifier, unless its head may be ``any``: every
    model comes by here.
    """
    from transformers import AutoConfig

    if is_local(name):
        _check_configuration(name)
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False, **where(name))
    except Exception as error:
        raise unusable("model", name, error) from None
    if not any_head:
        check_single_label(config, name)
    check_asks_nothing(config, name)
    return config


def _from_pretrained(
    name: str, *, require_head: bool = False, new_head: bool = False, **settings: Any
) -> PreTrainedModel:
    model = _as_saved(name, require_head=require_head, new_head=new_head, **settings)
    align_(model)
    switch_each_time_(model)
    if not is_local(name) or has_vocabulary(Path(name)):
        agree_on_tokens_(model, lambda: load_tokenizer(name))
    return model


def _as_saved(name: str, *, require_head: bool, new_head: bool, **settings: Any) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForSequenceClassification

    if is_local(name):
        check_folder(name)
    config = load_config(name, any_head=new_head)
    structure = read_structure(Path(name)) if is_local(name) else None
    if structure is not None:
        if not require_head:
            raise InputError(
                f"{name} was cut, and a model that was is not fine-tuned anew",
                hint="train its dense model, and cut that; recovery is --epochs N",
            )
        return cut_model(name, config, structure)
    for key, value in settings.items():
        setattr(config, key, value)
    if is_local(name):
        check_size(Path(name), skeleton_in(config, name))
    try:
        with without_adapter(name) as place:
            model, info = AutoModelForSequenceClassification.from_pretrained(
                place,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # its own error does not say which
                **where(name),
            )
    except Exception as error:
        raise unusable("model", name, error) from None
    check_sizes(model, name, info["mismatched_keys"], trained=require_head, new_head=new_head)
    check_all_used(model, info["unexpected_keys"], name)
    missing = sorted(info["missing_keys"])
    lacking = [key for key in missing if in_encoder(model, key)]
    if lacking and any("pooler" not in key for key in lacking):
        raise InputError(f"{name} lacks weights of the encoder, such as {lacking[0]}")
    if require_head and missing:
        raise InputError(
            f"{name} is not a trained sequence classifier: it has no {missing[0]}",
            hint=f"train one first: prune train-baseline --task NAME --model {name}",
        )
    return model
