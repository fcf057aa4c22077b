"""Names of files from names that may hold anything."""

from __future__ import annotations

import pytest

from prunecli.text.filenames import file_stem, unique


@pytest.mark.parametrize(
    ("text", "stem"), [("sst2", "sst2"), ("my task/../x", "my_task_x"), ("数据 🙂", "_"), ("", "")]
)
def test_a_stem_has_letters_that_every_disk_takes(text: str, stem: str) -> None:
    assert file_stem(text) == stem


def test_a_stem_is_short() -> None:
    assert file_stem("x" * 1000) == "x" * 60


def test_a_taken_name_gets_a_number_whatever_its_case() -> None:
    taken: set[str] = set()
    assert [unique(stem, taken) for stem in ("Task", "task", "TASK", "task-2", "other")] == [
        "Task",
        "task-2",
        "TASK-3",
        "task-2-2",
        "other",
    ]
