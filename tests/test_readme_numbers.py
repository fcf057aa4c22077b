"""Every number of the tables of README and docs/numbers.md stands in a result file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prunecli.records.compressions import CompressionRecord
from prunecli.reporting.shown.compression import headline

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
Rows = list[dict[str, str]]


def tables(text: str) -> Iterator[tuple[str, Rows]]:
    """Every Markdown table with the last line of text before it."""
    before, lines = "", text.splitlines()
    place = 0
    while place < len(lines):
        if not lines[place].startswith("|"):
            before = lines[place].strip(" *#") or before
            place += 1
            continue
        block = []
        while place < len(lines) and lines[place].startswith("|"):
            block.append([cell.strip() for cell in lines[place].strip().strip("|").split("|")])
            place += 1
        head, _, *body = block
        yield before, [dict(zip(head, row, strict=True)) for row in body]


def readme(*columns: str) -> Rows:
    """The one table of README or docs/numbers.md with these columns first."""
    found = [
        rows
        for place in ("README.md", "docs/numbers.md")
        for _, rows in tables((ROOT / place).read_text())
        if rows and tuple(rows[0])[: len(columns)] == columns
    ]
    assert len(found) == 1, columns
    return found[0]


def written(file: str) -> dict[str, Rows]:
    """The tables of a report by their titles."""
    return dict(tables((RESULTS / file).read_text()))


def levels(row: dict[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if name.endswith("%") and cell}


THREE = "SST-2, three seeds"
ONE_SHOT = {"SST-2": "SST-2: {}", "QQP (subset)": "QQP: {}", "MNLI-m": "MNLI: {}, matched"}


def test_one_shot_magnitude() -> None:
    report = written("report.md")
    rows = readme("task", "strategy", "dense")
    assert len(rows) == 6
    for row in rows:
        title = ONE_SHOT[row["task"]].format(row["strategy"])
        accuracy = {found["Sparsity"]: found["Accuracy (%)"] for found in report[title]}
        assert {level: accuracy[level] for level in levels(row)} == levels(row)
        dense = report[f"{title.split(':')[0]}: baseline"]
        assert row["dense"] in {found["Accuracy (%)"] for found in dense}


def record(folder: str, label: str, level: float) -> dict[str, Any]:
    """A point of the one section of a report whose records are kept as JSON."""
    document = json.loads((RESULTS / folder / "report.json").read_text())
    (found,) = document["sections"]
    (curve,) = (one for one in found["curves"] if one["label"] == label)
    (point,) = (one for one in curve["points"] if abs(one["level"] - level) < 1e-9)
    return point


def test_one_shot_and_recovery_over_three_seeds() -> None:
    rows = readme(THREE)
    assert len(rows) >= 3
    for row in rows:
        for level, cell in levels(row).items():
            if cell == "—":
                continue
            point = record("sst2", row[THREE], float(level.rstrip("%")) / 100)
            assert cell == told(point["scores"]["validation"]["accuracy"]), (row, level)
            assert point["seeds"] == [1, 2, 42]


SETS = {"QQP": ("qqp", "validation"), "MNLI-m": ("mnli", "validation_matched")}


def test_qqp_and_mnli_over_three_seeds() -> None:
    rows = readme("three seeds", "method")
    assert {row["three seeds"] for row in rows} == set(SETS)
    for row in rows:
        folder, split = SETS[row["three seeds"]]
        for level, cell in levels(row).items():
            if cell == "—":
                continue
            point = record(folder, row["method"], float(level.rstrip("%")) / 100)
            assert cell == told(point["scores"][split]["accuracy"]), (row, level)
            assert point["seeds"] == [1, 2, 42]


def told(score: dict[str, Any]) -> str:
    lost = interval((score["drop_points"], *score["drop_interval_points"]))
    return f"{score['value'] * 100:.2f}, {lost}"


def interval(values: Sequence[float]) -> str:
    """A drop with its interval as pages give it."""
    drop, low, high = (f"{value:.2f}".replace("-", "−") for value in values)
    return f"{drop} ({low} to {high})"


CUT = "sst2-global-reconstruction-h50-n75-s42-b0e9e09d"
TO = "sst2-latency-reconstruction-x{}-onnx_int8-1x128-e1-s42-{}"
SIX, NINE = TO.format(6, "2ba3fd8d"), TO.format(9, "cfdfca82")
DENSE = "sst2-baseline-s42-e73bf22f"
SPEED = {
    "dense, int8 in ONNX Runtime": f"{DENSE}-onnx-ba8794c8",
    "dense, int8 in OpenVINO": f"{DENSE}-openvino-500c46fd",
    "dense, bf16 in OpenVINO": f"{DENSE}-openvino-92f705a8",
    "half of the heads, 3/4 of the neurons cut, int8, no training": f"{CUT}-onnx-c59ea20f",
    "cut to 6× at 1 × 128, one epoch, int8": f"{SIX}-onnx-35a97160",
    "cut to 9× at 1 × 128, one epoch, float32": f"{NINE}-onnx-6bb13622",
    "the same, int8": f"{NINE}-onnx-64470a56",
    "80% of the weights zero, magnitude, float32": (
        "sst2-global-magnitude-80-s42-38450ade-onnx-3392fb29"
    ),
}
SAME_IN_BF16 = [f"{SIX}-openvino-d4cfd9ac", f"{NINE}-openvino-72dfa7e3"]
"""Of the rows *the same, bf16 in OpenVINO*, in their order."""


def test_speed() -> None:
    """The drop, the file, and the lowest and highest ratio over the shapes."""
    found = json.loads((RESULTS / "speed.json").read_text())["contenders"]
    whole = next(one["file_bytes"] for one in found if one["dense"] and one["runtime"] == "torch")
    others = {one["subject"]: one for one in found if not one["dense"]}
    in_bf16 = iter(SAME_IN_BF16)
    rows = readme("", "drop", "File")
    assert len(rows) == len(SPEED) + len(SAME_IN_BF16)
    for row in rows:
        one = others[SPEED.get(row[""]) or next(in_bf16)]
        ratios = [cell["ratio"]["value"] for cell in one["cells"]]
        assert row["times as fast"] == f"{min(ratios):.2f} to {max(ratios):.2f}"
        assert row["drop"] == f"{one['drop']:.2f}".replace("-", "−")
        assert row["File"] == f"{whole / one['file_bytes']:.2f}×"


def exported(row: dict[str, Any]) -> str:
    """As what a row of `benchmarks/seeds.py` was exported, as pages give it."""
    return "`openvino --int8`" if "openvino" in row["title"] else "`onnx --int8`"


def test_cuts_to_a_speed() -> None:
    """The seeds, the mean drop with its interval, and what was measured of each."""
    found = {one["title"]: one for one in json.loads((RESULTS / "faster.json").read_text())}
    rows = readme("asked", "recovery", "seeds")
    assert len(rows) == 4
    for row in rows:
        epoch = {"none": "", "one epoch": ", 1 epoch of 20000 examples"}[row["recovery"]]
        cut = f"{row['asked']} as fast, onnx-int8 at 1 × 128, 512 calibration examples"
        one = found[f"{cut}{epoch}: onnx (int8)"]
        assert row["seeds"] == ", ".join(map(str, one["seeds"]))
        assert row["drop"] == interval(one["drop"])
        measured = [value for value, _, _ in one["times_as_fast"]["1 × 128"]]
        assert row["measured by `prune bench`"] == ", ".join(f"{each:.2f}" for each in measured)


def test_cuts_of_baselines_of_one_epoch() -> None:
    """What is told of them, and the table of their page, are of the rows kept."""
    rows = json.loads((RESULTS / "faster-epoch.json").read_text())
    page = (RESULTS / "faster.md").read_text()
    assert len(rows) == 2
    for row in rows:
        for place, seed in enumerate(row["seeds"]):
            line = next(
                line
                for line in page.splitlines()
                if re.match(rf"\| {seed} \|.*{exported(row)}", line)
            )
            for shape, found in row["times_as_fast"].items():
                value, low, high = found[place]
                assert f"{value:.2f} ({low:.2f}–{high:.2f})" in line, shape
            lost = 100 * (row["dense"][place] - row["scores"][place])
            assert line.endswith(f" {lost:.2f} |")
    (onnx,) = (row for row in rows if "onnx (int8)" in row["title"])
    speeds = [value for found in onnx["times_as_fast"].values() for value, _, _ in found]
    told = " ".join((ROOT / "docs" / "numbers.md").read_text().split())
    assert f"are {min(speeds):.2f} to {max(speeds):.2f} times as fast over four shapes" in told
    assert f"at a mean drop of {interval(onnx['drop'])} over the three seeds" in told


def test_cuts_without_training_of_a_baseline_of_one_epoch() -> None:
    """The table of their page is of the rows kept."""
    rows = json.loads((RESULTS / "faster-untrained.json").read_text())
    lines = (RESULTS / "faster.md").read_text().splitlines()
    assert len(rows) == 4
    for row in rows:
        asked = row["title"].split()[0]
        end = f"| {row['smaller'][0]:.2f}× | {interval(row['drop'])} |"
        (line,) = (
            each
            for each in lines
            if each.startswith(f"| {asked} | {exported(row)} |") and each.endswith(end)
        )
        for shape, ((value, least, most),) in row["times_as_fast"].items():
            assert f"{value:.2f} ({least:.2f}–{most:.2f})" in line, shape


def test_compress() -> None:
    """README's answer of `prune compress` is that of the record, and so is the page's."""
    record = CompressionRecord.model_validate_json((RESULTS / "compress.json").read_text())
    for page in (ROOT / "README.md", RESULTS / "compress.md"):
        assert f"**{headline(record)}.**" in page.read_text()
    assert not record.missed
    asked = CompressionRecord.model_validate_json((RESULTS / "compress-openvino.json").read_text())
    assert headline(asked) in (RESULTS / "compress.md").read_text()
    assert asked.chosen is not None
    assert asked.chosen.ratio is not None
    assert asked.proof is not None
    told = (
        f"gave {asked.chosen.ratio.value:.2f} times as fast and {asked.chosen.smaller:.2f} times "
        f"smaller at {asked.proof.loss.points:.2f} points"
    )
    assert told in (ROOT / "README.md").read_text()
    refuted = CompressionRecord.model_validate_json((RESULTS / "compress-mnli.json").read_text())
    assert headline(refuted) in (RESULTS / "compress.md").read_text()
    assert refuted.missed


def test_the_size_people_use() -> None:
    """The tables of docs/results/base are of its reports, and so is what README says of it."""
    base = RESULTS / "base"
    page, _, epyc = (base / "README.md").read_text().partition("## On an AMD EPYC")
    report, other = (base / "report.md").read_text(), (base / "epyc" / "report.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith(("| mpnet-6", "| and one epoch"))]
    found = [number for row in rows for number in re.findall(r"\b\d\d\.\d\d\b", row)]
    assert len(found) == 6 + 7 + 7 + 5 + 2 + 8 + 8 + 2
    kept = [line for line in page.splitlines() if "published" not in line and "below" not in line]
    own = "\n".join(kept)
    reached = re.findall(r"\b\d+\.\d\d\b", own[own.index("| asked for | reached |") :])
    assert len(reached) > 10
    for number in found + reached:
        assert number in report, number
    there = re.findall(r"\b\d+\.\d\d\b", epyc.replace("0.55 0.6 0.65 0.7 0.75", ""))
    assert len(there) > 40
    said = (ROOT / "README.md").read_text().split("At BERT-base's size")[1].split("points lost")[0]
    size = re.findall(r"\b\d+\.\d\d\b", said)
    assert len(size) == 4
    for number in there + size:
        assert number in other, number
    assert size[1:] == ["8.31", "8.26", "0.69"]
    assert f"{size[1]}× (" in other
    in_points = re.search(r"\| the same at most 0\.5 with an epoch \| (.*?),", page)
    assert in_points is not None
    assert in_points[1] == "3.07 times as fast at 0.11"
