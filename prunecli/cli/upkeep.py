"""What ``prune runs verify`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prunecli.cli.console import Console
from prunecli.errors import IntegrityError
from prunecli.store.workspace import Workspace
from prunecli.text.numbers import counted

if TYPE_CHECKING:
    from prunecli.pipelines.upkeep import Finding

_COLUMNS = ("Place", "State", "Bytes", "What", "Done")


def show_findings(
    console: Console,
    workspace: Workspace,
    found: Sequence[Finding],
    removed: Sequence[Finding],
) -> int:
    """Show them; raises `IntegrityError` where something is damaged that was not removed."""
    held = [counted(len(workspace.names()), "run")]
    held.append(counted(len(workspace.artefact_names()), "artefact"))
    rows = [
        [
            one.path.relative_to(workspace.root).as_posix(),
            one.kind,
            f"{one.bytes:,}",
            one.what,
            "removed" if one in removed else "",
        ]
        for one in found
    ]
    if console.json:
        keys = [column.lower() for column in _COLUMNS]
        listed: list[dict[str, object]] = [dict(zip(keys, row, strict=True)) for row in rows]
        for item, one in zip(listed, found, strict=True):
            item.update(bytes=one.bytes, done=one in removed, useless=one.useless)
        console.document({"verified": held, "found": listed})
    elif rows:
        console.table(f"Workspace {workspace.root}", _COLUMNS, rows, whole="Place")
    damaged = [one for one in found if one.kind == "damaged" and one not in removed]
    if damaged:
        raise IntegrityError(
            f"{counted(len(damaged), 'place')} of workspace {workspace.root} "
            f"{'is' if len(damaged) == 1 else 'are'} damaged, such as {damaged[0].path.name}",
            hint="remove what is listed and make it again: prune runs remove NAME",
        )
    idle = [one for one in found if one.useless and one not in removed]
    if idle and not removed:
        console.notice("next: prune runs verify --repair, which removes what is left over")
    console.notice(f"{' and '.join(held)} verified")
    return 0
