"""The workspace that ``--workspace`` means: a folder, or the copy of one at an address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prunecli.store.copies import copied_from, mirror_of
from prunecli.store.mirror import Mirror
from prunecli.store.upstream import Upstream, is_address
from prunecli.store.workspace import Workspace


def workspace_at(place: str | Path, tell: Callable[[str], object] = lambda _: None) -> Workspace:
    """The workspace at ``place``; of an address what is there is fetched first.

    ``tell`` gets a line where that is something. The folder of a copy means what it is of. Raises
    `InputError` for an address that cannot be used.
    """
    place = str(place)
    if not is_address(place):
        place = copied_from(Path(place)) or place
    if not is_address(place):
        return Workspace(Path(place))
    upstream = Upstream(place)
    root = mirror_of(upstream.address)
    mirror = Mirror(upstream, root)
    mirror.pull(tell)
    return Workspace(root, mirror)


def workspace_here(place: str | Path) -> Workspace:
    """The same as it is on this machine, with nothing fetched."""
    place = str(place)
    return Workspace(mirror_of(place) if is_address(place) else Path(place))
