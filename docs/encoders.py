"""Writes docs/encoders.md, what works with which encoder, by trying all of it: run after a change.

python docs/encoders.py            # some minutes; a fault, that is a traceback, ends it
python docs/encoders.py cut refit  # these columns, or encoders, alone; the others stay

What is tried, and what must be true of its result, is in tests/encoders. Where a package is not
installed its column stays as it was last written.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from encoders.operations import OPERATIONS, WORKS, can_run, cell
from encoders.zoo import ENCODERS

from prunecli.models.loading import quiet_transformers

PAGE = Path(__file__).with_suffix(".md")
Cells = dict[tuple[str, str], str]
"""By the titles of the encoder and of the operation."""
UNTRIED = "not tried"

HEAD = """# Encoders

What works with which architecture, written by `python docs/encoders.py` from small classifiers with
random weights: two layers, 16 wide, four heads. A number stands for the line below the table in
which the tool refuses, or says how it works. Anything else would be a fault.

| column | what was tried |
|---|---|
| magnitude | half of the weights, exactly as many; everything else stays as it was |
| data criteria | the same by each criterion that learns from examples |
| reconstruction | the same by `reconstruction`, global and layer-wise |
| recovery | two epochs of gradual pruning that learn from the dense model's hidden states |
| N:M | 2:4 by magnitude, `wanda` and `reconstruction`, groups along the inputs |
| cut | half of the heads and neurons; the cut model is saved, and loaded with the same answers |
| refit | the same ranked by reconstruction, and refitted |
| packed | 80% sparse, packed and unpacked: the same bytes and the same answers |
| ONNX, OpenVINO | PyTorch's answers to 1e-3, at four shapes, with padding; ONNX by `prune export` |
| int8 | PyTorch's and, by `prune export`, ONNX Runtime's, of a sparse model |
"""


def page(cells: Cells) -> str:
    """The whole page."""
    reasons = list(dict.fromkeys(text for text in cells.values() if text not in (WORKS, UNTRIED)))
    lines = [HEAD, f"| | {' | '.join(OPERATIONS)} |", f"|---|{'---|' * len(OPERATIONS)}"]
    for row in ENCODERS:
        found = [cells[row.title, operation] for operation in OPERATIONS]
        shown = [str(1 + reasons.index(text)) if text in reasons else text for text in found]
        lines.append(f"| {row.title} | {' | '.join(shown)} |")
    lines += ["", *(f"{number}. {text}" for number, text in enumerate(reasons, start=1))]
    return "\n".join(lines).rstrip() + "\n"


def read(text: str) -> Cells:
    """The cells of a page."""
    lines = text.splitlines()
    reasons = [line.partition(". ")[2] for line in lines if line[:1].isdigit()]
    titles = {row.title for row in ENCODERS}
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in lines if "|" in line]
    names = next(row[1:] for row in rows if not row[0])
    return {
        (row[0], operation): reasons[int(shown) - 1] if shown.isdigit() else shown
        for row in rows
        if row[0] in titles and len(row) == len(names) + 1
        for operation, shown in zip(names, row[1:], strict=True)
    }


def main() -> None:
    quiet_transformers()
    warnings.simplefilter("ignore")
    cells = {(row.title, name): UNTRIED for row in ENCODERS for name in OPERATIONS}
    if PAGE.is_file():
        found = read(PAGE.read_text(encoding="utf-8"))
        cells |= {place: text for place, text in found.items() if place in cells}
    asked = set(sys.argv[1:])
    operations = [name for name in OPERATIONS if name in asked] or list(OPERATIONS)
    rows = [row for row in ENCODERS if row.title in asked] or ENCODERS
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            for name in filter(can_run, operations):
                sys.stderr.write(f"{row.title}: {name}\n")
                cells[row.title, name] = cell(row, name, Path(folder) / row.title)
            PAGE.write_text(page(cells), encoding="utf-8")


if __name__ == "__main__":
    main()
