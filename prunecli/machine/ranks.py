"""The processes of one data-parallel training, as ``torchrun`` starts them, and what they tell.

The first runs the command, and is the only one that prints, locks and writes. The others follow it:
they take part in each training that it tells of, and end as it ends. What is told goes through the
store that the launcher keeps, as JSON; gradients go by gloo. Without a launcher there is but one.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from prunecli.errors import InputError, IntegrityError, PruneError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

_PATIENCE: Final = timedelta(days=7)
"""The others may score a model, or wait for a lock; the launcher ends all where one is gone."""
_LAST_WORDS: Final = timedelta(seconds=10)
_LOOKS: Final = 0.2
_ENDED, _FAILED = "ended", "failed"


def size() -> int:
    """How many processes train together; 1 without a launcher."""
    launched = all(name in os.environ for name in ("MASTER_ADDR", "RANK", "WORLD_SIZE"))
    return int(os.environ["WORLD_SIZE"]) if launched else 1


def place() -> int:
    """Which of them this one is, the first being 0."""
    return int(os.environ["RANK"]) if size() > 1 else 0


class _Told:
    """Messages of the first process to the others, in order."""

    def __init__(self) -> None:
        from torch.distributed.distributed_c10d import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        found, *_ = next(iter(rendezvous("env://", timeout=_PATIENCE)))
        self.store: Store = PrefixStore("prune", found)
        self.said = 0
        self.broken = False

    def say(self, message: dict[str, Any]) -> None:
        self.store.set(f"said/{self.said}", json.dumps(message))
        self.said += 1

    def hear(self) -> dict[str, Any]:
        key = f"said/{self.said}"
        self.store.wait([key], _PATIENCE)
        self.said += 1
        heard: dict[str, Any] = json.loads(self.store.get(key))
        return heard


@cache
def _told() -> _Told:
    return _Told()


# The first process


def say_end(code: int) -> None:
    """Tell the others how the command ended, and wait until they know: the store may end here.

    After a training that failed this does not return: what was begun together has no end.
    """
    if size() == 1:
        return
    if place():  # which was interrupted, if it is not told by the first
        if _told.cache_info().currsize:
            with suppress(RuntimeError):
                _told().store.set(f"heard/{place()}", "")
        return
    with suppress(RuntimeError):  # where the launcher is gone, so are they
        told = _told()
        told.say({_ENDED: code})
        told.store.set(_ENDED, str(code))
        if not told.store.check([_FAILED]):
            told.store.wait([f"heard/{rank}" for rank in range(1, size())], _LAST_WORDS)
    if _told().broken:
        os._exit(code)


@contextmanager
def together(message: dict[str, Any]) -> Iterator[None]:
    """A training in which all processes take part, of which the first tells the others.

    After one that failed there is no other: what the processes had in common is at no known place.
    Raises `InputError` then, and where another process failed, with what that one said.
    """
    if size() == 1:
        yield
        return
    told = _told()
    if told.broken:
        raise InputError(
            "a training of several processes failed before, and they train no more together",
            hint="mend what that one says, and run the same command again",
        )
    if place() == 0:
        told.say(message)
    try:
        _connect()
        yield
    except BaseException as error:
        told.broken = True
        if place() == 0 and isinstance(error, RuntimeError) and "gloo" in str(error):
            raise InputError(f"another process of the training ended{_why(told)}") from None
        raise


def _why(told: _Told) -> str:
    """What another process said of its failure, which it has said before it left."""
    with suppress(RuntimeError):
        if told.store.check([_FAILED]):
            return f": {told.store.get(_FAILED).decode()}"
    return ""


def _connect() -> None:
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group("gloo", timeout=_PATIENCE)


# The others


def follow(take_part: Callable[[dict[str, Any]], object]) -> int:
    """Take part in what the first process tells of, and return the exit code that it ends in.

    A training that fails here ends this process, so that the first one sees it and tells of it:
    that one's exit code counts. One that fails there is left as soon as the command ends.
    """
    told = _told()
    Thread(target=_leave_with_the_first, args=(told.store,), daemon=True).start()
    while True:
        heard = told.hear()
        if _ENDED in heard:
            told.store.set(f"heard/{place()}", "")
            return int(heard[_ENDED])
        try:
            take_part(heard)
        except Exception as error:
            told.store.set(_FAILED, f"{type(error).__name__}: {error}"[:500])
            os._exit(0)


def _leave_with_the_first(store: Store) -> None:
    """End this process once the command has ended, whatever it waits for."""
    while not store.check([_ENDED]):
        time.sleep(_LOOKS)
    time.sleep(10 * _LOOKS)  # it hears that itself, unless it waits for others in a training
    store.set(f"heard/{place()}", "")
    os._exit(int(store.get(_ENDED)))


# Within a training


def shared(value: Callable[[], str | None]) -> str | None:
    """What ``value`` gives in the first process, in all of them."""
    if size() == 1:
        return value()
    found: list[str | None] = [None]
    if place() == 0:
        found = [value()]
        _told().say({"shared": found[0]})
        return found[0]
    heard: str | None = _told().hear()["shared"]
    return heard


def wait_for_all() -> None:
    """Go on when all processes are here."""
    if size() > 1:
        import torch.distributed as dist

        dist.barrier()


def check_same(digest: bytes, what: str) -> None:
    """Raise `IntegrityError`, in all processes, unless ``digest`` is the same in all of them."""
    if size() == 1:
        return
    import torch
    import torch.distributed as dist

    own = torch.tensor(list(digest), dtype=torch.uint8)
    found = [torch.empty_like(own) for _ in range(size())]
    dist.all_gather(found, own)
    if any(not torch.equal(one, found[0]) for one in found):
        raise IntegrityError(f"{what} is not the same in all processes of the training")


def share_of(batch_size: int) -> int:
    """Examples of a batch for each process; `InputError` where they are not the same number."""
    if batch_size % size():
        raise InputError(
            f"--batch-size {batch_size} cannot be shared by {size()} processes",
            hint=f"give a multiple of {size()}",
        )
    return batch_size // size()


def check_alone(device: str) -> None:
    """Raise `PruneError` where several processes are to train on anything but the CPU."""
    if size() > 1 and device != "cpu":
        raise _only_cpu(device)


def _only_cpu(device: str) -> PruneError:
    return InputError(
        f"{size()} processes are to train on {device}, and they do so on the CPU alone",
        hint="give --device cpu, or start one process",
    )
