"""A workspace at an address: copies on two machines, and what lies there."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from prunecli.errors import InputError
from prunecli.store.copies import mirror_of
from prunecli.store.folders import clearing
from prunecli.store.mirror import Mirror
from prunecli.store.upstream import Upstream, is_address


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"file://{tmp_path / 'there'}"


@pytest.fixture
def copies(tmp_path: Path, address: str) -> tuple[Mirror, Mirror]:
    """Of one address on two machines, ``a`` and ``b``."""
    one, other = (Mirror(Upstream(address), tmp_path / name) for name in "ab")
    return one, other


def put(root: Path, unit: str, **files: str) -> Path:
    """A run with a record and ``files``, or with none the file ``unit`` itself."""
    path = root / unit
    for name, text in files.items():
        place = path / name.replace("__", "/").replace("_", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return path


def tree(root: Path) -> dict[str, str]:
    """What is shared, by its place."""
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "upstream.json" and path.parent.name != "locks"
    }


def test_what_one_sends_the_other_has(tmp_path: Path, copies: tuple[Mirror, Mirror]) -> None:
    one, other = copies
    run = put(tmp_path / "a", "runs/r", model__w_safetensors="weights", record_json="{}")
    figure = tmp_path / "a" / "reports" / "figures" / "x.svg"
    figure.parent.mkdir(parents=True)
    figure.write_text("drawn")
    for path in (run, figure):
        one.push(path)
    put(tmp_path / "a", "partial/r", weights="unfinished")
    told: list[str] = []
    other.pull(told.append)
    expected = {
        "reports/figures/x.svg": "drawn",
        "runs/r/model/w.safetensors": "weights",
        "runs/r/record.json": "{}",
    }
    assert tree(tmp_path / "there") == tree(tmp_path / "b") == expected
    assert told == [f"copying 2 items from file://{tmp_path / 'there'}"]
    other.pull(told.append)
    assert len(told) == 1


def test_what_one_removes_goes_everywhere(tmp_path: Path, copies: tuple[Mirror, Mirror]) -> None:
    one, other = copies
    for name in ("r", "s"):
        one.push(put(tmp_path / "a", f"runs/{name}", record_json=name))
    other.pull()
    shutil.rmtree(tmp_path / "b" / "runs" / "r")
    other.drop(tmp_path / "b" / "runs" / "r")
    one.pull()
    for root in ("a", "b", "there"):
        assert tree(tmp_path / root) == {"runs/s/record.json": "s"}


def test_a_changed_file_replaces_the_older_one(
    tmp_path: Path, copies: tuple[Mirror, Mirror]
) -> None:
    one, other = copies
    path = put(tmp_path / "a", "benches", b_json="1") / "b.json"
    one.push(path)
    other.pull()
    path.write_text("another")
    one.push(path)
    other.pull()
    assert (tmp_path / "b" / "benches" / "b.json").read_text() == "another"


def test_of_two_equal_runs_the_first_that_is_sent_stays(
    tmp_path: Path, copies: tuple[Mirror, Mirror]
) -> None:
    for mirror, name in zip(copies, "ab", strict=True):
        made = put(tmp_path / name, "runs/r", model__w=f"by {name}", record_json=f'"{name}"')
        mirror.push(made)
    for root in ("a", "b", "there"):
        assert tree(tmp_path / root) == {"runs/r/model/w": "by a", "runs/r/record.json": '"a"'}


def test_a_run_that_is_kept_in_another_form_replaces_itself(
    tmp_path: Path, copies: tuple[Mirror, Mirror]
) -> None:
    one, other = copies
    run = put(tmp_path / "a", "runs/r", packed="small", card="c", record_json='"packed"')
    one.push(run)
    other.pull()
    put(tmp_path / "a", "runs/r", model__w="whole", record_json='"whole"')
    (run / "packed").unlink()
    one.push(run)
    other.pull()
    expected = {"runs/r/card": "c", "runs/r/model/w": "whole", "runs/r/record.json": '"whole"'}
    for root in ("a", "b", "there"):
        assert tree(tmp_path / root) == expected


@pytest.mark.parametrize("after", range(4))
def test_a_connection_that_ends_leaves_nothing_half(
    tmp_path: Path,
    copies: tuple[Mirror, Mirror],
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    """At whichever file: others see no run, and the next command sends it whole."""
    one, other = copies
    one.push(put(tmp_path / "a", "sweeps", s_json="{}") / "s.json")
    made = put(tmp_path / "a", "runs/r", a="1", b="2", c="3", record_json="{}")
    calls, send = [0], LocalFileSystem.put_file

    def failing(self: LocalFileSystem, of: str, to: str, *rest: object, **more: object) -> None:
        calls[0] += 1
        if calls[0] > after:
            Path(to).write_text("half")
            raise ConnectionResetError("reset by peer")
        send(self, of, to, *rest, **more)

    with monkeypatch.context() as broken:
        broken.setattr(LocalFileSystem, "put_file", failing)
        with pytest.raises(InputError, match=r"cannot write to file://.*reset by peer"):
            one.push(made)
    other.pull()
    assert not (tmp_path / "b" / "runs" / "r").exists()
    one.pull()
    other.pull()
    assert tree(tmp_path / "b") == tree(tmp_path / "a")
    assert (tmp_path / "b" / "runs" / "r" / "c").read_text() == "3"


def test_what_cannot_be_sent_keeps_nobody_from_reading(
    tmp_path: Path, copies: tuple[Mirror, Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = copies
    other.push(put(tmp_path / "b", "runs/r", record_json="{}"))
    put(tmp_path / "a", "reports", report_md="of a machine that may only read")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError("Access Denied")

    with monkeypatch.context() as broken:
        broken.setattr(LocalFileSystem, "put_file", refused)
        for _ in range(2):
            told: list[str] = []
            one.pull(told.append)
            assert told[0].startswith("not sent from this machine yet, 1 item: cannot write to ")
        assert (tmp_path / "a" / "runs" / "r" / "record.json").is_file()
    one.pull()
    assert tree(tmp_path / "there") == tree(tmp_path / "a")


def test_an_address_that_is_suddenly_empty_takes_nothing_away(
    tmp_path: Path, copies: tuple[Mirror, Mirror]
) -> None:
    one, _ = copies
    one.push(put(tmp_path / "a", "runs/r", record_json="{}"))
    (tmp_path / "there").rename(tmp_path / "unmounted")
    with pytest.raises(InputError, match="is empty, and 1 item of it were there"):
        one.pull()
    assert tree(tmp_path / "a") == {"runs/r/record.json": "{}"}


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Callable[[dict[str, bytes]], Upstream]]:
    """An upstream whose file system lists the names that it is given."""
    memory = fsspec.filesystem("memory")

    def make(files: dict[str, bytes]) -> Upstream:
        upstream = Upstream("memory://w")
        memory.store.clear()

        class Listing(DirFileSystem):  # type: ignore[misc]
            def find(self, *_: object, **__: object) -> dict[str, dict[str, object]]:
                return {
                    f"/w/{name}": {"type": "file", "size": len(content)}
                    for name, content in files.items()
                }

            def get_file(self, place: str, to: str, **_: object) -> None:
                Path(to).write_bytes(files[place.removeprefix("/w/")])

        upstream._fs, upstream._root = Listing("/w", memory), "/w"
        return upstream

    yield make
    memory.store.clear()


BAD = (
    *("../x.json", "runs/../../x/record.json", "runs/r/../../../x", "/etc/x", "./a"),
    *("runs//r/record.json", "runs/.r/record.json", "runs/r/.git/hook", "C:/x", "record.json"),
    *("runs/r\\..\\x/record.json", "runs/r\x1b[31m/record.json", "runs/r/\u202erecord.json"),
    *("locks/x.lock", "partial/r/x", "cache/counts/r.json", "tracking/x", "runs/r"),
    *("reports/~x/y", "benches/../runs/x/record.json"),
)


@pytest.mark.parametrize("name", BAD)
def test_no_name_there_leads_elsewhere_here(
    tmp_path: Path, hostile: Callable[[dict[str, bytes]], Upstream], name: str
) -> None:
    good = {"runs/good/record.json": b"{}"}
    mirror = Mirror(hostile({name: b"bad", **good}), tmp_path / "deep" / "a")
    mirror.pull()
    assert tree(tmp_path) == {"deep/a/runs/good/record.json": "{}"}


def test_what_is_an_address() -> None:
    assert all(map(is_address, ("s3://b/w", "gs://b", "file:///x", "abfs+x://y")))
    assert not any(map(is_address, ("w", "/w", "C:\\w", "./s3:/b", "", "s3:/b", "://x")))


def test_each_address_has_its_own_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PRUNE_MIRRORS", str(tmp_path))
    places = [mirror_of(one) for one in ("s3://b/w", "s3://b-w", "s3://b/w2", "gs://b/w")]
    assert len(set(places)) == 4
    assert all(place.parent == tmp_path for place in places)
    assert mirror_of("s3://b/w/") == places[0]
    assert mirror_of("s3://../../etc").parent == tmp_path


def test_what_no_file_system_is_for_is_said() -> None:
    with pytest.raises(InputError, match="cannot use nothing-such://b/w as a workspace"):
        Upstream("nothing-such://b/w")


@pytest.mark.skipif(find_spec("s3fs") is not None, reason="s3fs is installed")
def test_what_to_install_is_said() -> None:
    with pytest.raises(InputError, match=r"cannot use s3://b/w as a workspace: .*s3fs"):
        Upstream("s3://b/w")


@pytest.mark.parametrize(
    "place", ["s3://KEY:se/cret@bucket/w", "ftp://bob:secret@host/w", "file:///w?sig=secret"]
)
def test_no_secret_is_taken_and_none_is_repeated(place: str) -> None:
    with pytest.raises(InputError, match="has a password or a query in it") as told:
        Upstream(place)
    assert "cret" not in f"{told.value} {told.value.hint}"


@pytest.mark.parametrize("place", ["s3://", "file:///", "simplecache::file:///w"])
def test_what_is_no_place_is_refused(place: str) -> None:
    assert is_address(place)
    with pytest.raises(InputError, match=r"names no place|several file systems"):
        Upstream(place)


def test_no_bucket_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a name mistyped; s3fs and gcsfs would make it."""
    upstream = Upstream("memory://bucket/w")
    monkeypatch.setattr(upstream, "_root", "bucket/w")
    with pytest.raises(InputError, match="there is no 'bucket' yet"):
        upstream.check()


@pytest.mark.parametrize("unit", ["benches/b.json", "runs/r"])
def test_what_was_changed_and_could_not_be_sent_is_sent_by_the_next_command(
    tmp_path: Path, copies: tuple[Mirror, Mirror], monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    one, other = copies
    path = tmp_path / "a" / unit
    record = path if path.suffix else path / "record.json"
    record.parent.mkdir(parents=True)
    record.write_text("older")
    one.push(path)
    other.pull()
    record.write_text("newer")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError("Access Denied")

    with monkeypatch.context() as broken:
        broken.setattr(LocalFileSystem, "put_file", refused)
        for _ in range(2):
            with pytest.raises(InputError, match="Access Denied"):
                one.push(path)
    one.pull()
    other.pull()
    for root in ("a", "there", "b"):
        assert list(tree(tmp_path / root).values()) == ["newer"]


def test_a_form_that_is_half_sent_is_sent_whole_by_the_next_command(
    tmp_path: Path, copies: tuple[Mirror, Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a record that is there a half file would count as sent."""
    one, other = copies
    run = put(tmp_path / "a", "runs/r", packed="small", record_json='"packed"')
    one.push(run)
    put(tmp_path / "a", "runs/r", model__w="whole", record_json='"whole"')
    (run / "packed").unlink()

    def half(_: object, of: str, to: str, *__: object, **___: object) -> None:
        Path(to).write_text(Path(of).read_text()[:2])
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(LocalFileSystem, "put_file", half)
        with pytest.raises(KeyboardInterrupt):
            one.push(run)
    other.pull()
    assert tree(tmp_path / "b") == {"runs/r/packed": "small", "runs/r/record.json": '"packed"'}
    one.pull()
    other.pull()
    for root in ("a", "b"):
        assert tree(tmp_path / root) == {"runs/r/model/w": "whole", "runs/r/record.json": '"whole"'}


def test_what_was_fetched_before_the_disk_was_full_is_not_fetched_again(
    tmp_path: Path, copies: tuple[Mirror, Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = copies
    for name in "xy":
        one.push(put(tmp_path / "a", f"runs/{name}", record_json=name))
    get = LocalFileSystem.get_file

    def full(self: LocalFileSystem, of: str, to: str, **more: object) -> None:
        if "/y/" in of:
            raise OSError(errno.ENOSPC, "No space left on device")
        get(self, of, to, **more)

    with monkeypatch.context() as broken:
        broken.setattr(LocalFileSystem, "get_file", full)
        with pytest.raises(InputError, match=r"cannot keep a copy of .* No space left") as told:
            other.pull()
    assert "PRUNE_MIRRORS" in str(told.value.hint)
    lines: list[str] = []
    other.pull(lines.append)
    assert [line.partition(" from")[0] for line in lines] == ["copying 1 item"]


def test_what_clears_a_file_of_a_copy_clears_it_at_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("PRUNE_MIRRORS", str(tmp_path / "mirrors"))
    copy = mirror_of(address)
    Mirror(Upstream(address), copy).push(put(copy, "benches", b_json="x") / "b.json")
    assert clearing(copy / "benches" / "b.json").startswith(f"rm {address}/benches/b.json,")
