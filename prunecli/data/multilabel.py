"""Labels that are lists: several for one text, of which nothing here can make one."""

from __future__ import annotations

from collections.abc import Sequence

from prunecli.data.labels import Complain
from prunecli.data.messages import shown


def check_one_label(raw: Sequence[object], complain: Complain) -> None:
    """Raise the error of the first row whose label is a list or the like, as multi-label data has.

    ``raw`` are the values of the label column as they were read.
    """
    for row, value in enumerate(raw):
        if isinstance(value, (list, tuple, set, dict)):
            raise complain(
                row,
                f"the label {shown(value)} is a list, as in multi-label data, and prune scores one "
                "label for each text",
            )
