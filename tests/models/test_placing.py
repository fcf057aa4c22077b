"""What a model answers does not depend on where in its file a number lies."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from folders import classifier, saved
from safetensors.torch import load_file, save_file

from prunecli.models.loading import load_any_classifier
from prunecli.models.placing import ALIGNED, align_


@pytest.mark.parametrize("architecture", ["bert", "mpnet", "albert", "llama"])
def test_the_same_weights_answer_alike_wherever_they_lie(architecture: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    folder = saved(tmp_path / "model", classifier(architecture, pad_token_id=1))
    file = folder / "model.safetensors"
    tensors, ids = load_file(file), torch.randint(2, 9, (1, 7))
    answers, begins = [], set[int]()
    for words in range(8):  # a header is a multiple of eight bytes
        save_file(tensors, file, {"format": "pt", "longer by": "x" * 8 * words})
        begins.add(int.from_bytes(file.read_bytes()[:8], "little") % ALIGNED)
        model = load_any_classifier(str(folder)).eval()
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            assert tensor.data_ptr() % ALIGNED == 0, name
        with torch.no_grad():
            answers.append(model(input_ids=ids).logits)
    assert len(begins) == 8
    assert all(torch.equal(answer, answers[0]) for answer in answers)


def test_what_is_shared_stays_shared_and_what_lies_well_stays_where_it_is() -> None:
    first, second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
    second.weight = first.weight
    well = first.bias.data_ptr()
    memory = torch.arange(40.0)
    for start in range(16):
        first.weight.data = memory[start : start + 16].view(4, 4)
        align_(torch.nn.Sequential(first, second))
        assert first.weight is second.weight
        assert first.weight.data_ptr() % ALIGNED == 0
        assert first.weight.detach().tolist() == memory[start : start + 16].view(4, 4).tolist()
    assert first.bias.data_ptr() == well
