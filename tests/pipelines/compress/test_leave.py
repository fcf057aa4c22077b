"""Where the compressed model may be left, before anything is searched."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from prunecli.errors import InputError
from prunecli.pipelines.compress.leave import SUMMARY, check_place
from prunecli.records.compressions import CompressionRecord, CompressionSpec, PartSizes, Targets
from prunecli.tasks import get_task

RECORD = CompressionRecord(
    name="x",
    spec=CompressionSpec(
        source="r", targets=Targets(), batch=1, tokens=8, threads=1, processor="p"
    ),
    task=get_task("sst2").info("sst2"),
    command="prune",
    created=datetime(2026, 1, 1, tzinfo=timezone.utc),
    parts=PartSizes(chosen_on=1, proven_on=1),
).model_dump_json()


def test_what_an_earlier_one_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / SUMMARY).write_text(RECORD)
    assert check_place(tmp_path) == tmp_path
    link = tmp_path.parent / "link"
    link.symlink_to(tmp_path)
    assert check_place(link) == tmp_path  # the link stays
    assert check_place(tmp_path / "a" / "b") == tmp_path / "a" / "b"


@pytest.mark.parametrize(
    "files", [{SUMMARY: RECORD, "notes.txt": "mine"}, {SUMMARY: '{"format": 1}'}, {SUMMARY: "x"}]
)
def test_what_somebody_else_left_is_not(tmp_path: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match="holds other things"):
        check_place(tmp_path)


def test_what_cannot_be_written_is_refused_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for output in (tmp_path / "file", tmp_path / "file" / "x", Path(), Path("..")):
        with pytest.raises(InputError, match=r"no folder|cannot be|runs in|other things"):
            check_place(output)
