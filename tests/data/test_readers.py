"""Files as people have them: encodings, delimiters, JSON, compressed, saved folders."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from datasets import ClassLabel, Dataset, DatasetDict

from prunecli.data import TaskData, fingerprint, load
from prunecli.errors import InputError, PruneError, UsageError
from prunecli.records.reading import AS_THEY_ARE, Reading, parse_delimiter, parse_encoding
from prunecli.tasks import Task, get_task

SST2 = get_task("sst2")
ROWS = [('café; good, "very"', 1), ("line\nbreak\tand tab", 0), ("🙂 | fine", 1), ("bad", 0)]
PLAIN = [("café", 1), ("bad", 0)]
JSONL = "".join(json.dumps({"sentence": t, "label": n}) + "\n" for t, n in ROWS)


def table(delimiter: str = ",", rows: list[tuple[str, int]] = ROWS) -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows([("sentence", "label"), *rows])
    return file.getvalue()


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, reading: Reading = AS_THEY_ARE, task: Task = SST2) -> TaskData:
    return load(task, str(path), train=False, reading=reading)


def rows(data: TaskData) -> list[tuple[str, int]]:
    found = data.evaluation["validation"]
    return list(zip(found["text_a"][:], found["label"][:], strict=True))


def noted(data: TaskData) -> tuple[str, ...]:
    """Its notes but for those that say that labels are places."""
    return tuple(note for note in data.notes if "are places in its list" not in note)


def refused(path: Path, reading: Reading = AS_THEY_ARE) -> PruneError:
    with pytest.raises(PruneError) as caught:
        read(path, reading)
    assert "\n" not in str(caught.value) + (caught.value.hint or "")
    assert len(str(caught.value)) < 400 + len(str(path))
    return caught.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(("name", "text"), [("d.csv", table()), ("d.jsonl", JSONL)])
def test_a_byte_order_mark_tells_the_encoding(
    encoding: str, name: str, text: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name, text.encode(encoding))
    assert rows(read(path)) == ROWS
    # Saying what the file says itself changes nothing, so a run of it keeps its name.
    told = Reading(encoding=parse_encoding("encoding", encoding))
    assert rows(read(path, told)) == ROWS
    assert fingerprint(SST2, str(path), told) == fingerprint(SST2, str(path))


def test_big_endian_with_and_without_a_mark(tmp_path: Path) -> None:
    text = table().encode("utf-16-be")
    marked = write(tmp_path / "a.csv", b"\xfe\xff" + text)
    assert rows(read(marked)) == ROWS
    bare = write(tmp_path / "b.csv", text)
    assert rows(read(bare, Reading(encoding="utf-16-be"))) == ROWS
    assert "looks like UTF-16 without" in str(refused(bare))
    assert refused(bare).hint == "--encoding utf-16-be reads it"
    error = refused(bare, Reading(encoding="utf-16"))
    assert "has no byte-order mark" in str(error)
    assert "utf-16-le or --encoding utf-16-be" in str(error.hint)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "gb18030", "shift_jis", "cp037"])
def test_an_encoding_that_is_told(encoding: str, tmp_path: Path) -> None:
    plain = [("tokyo", 1), ("bad", 0)] if encoding == "shift_jis" else PLAIN
    text = table(rows=plain)
    path = write(tmp_path / "d.csv", text.encode(encoding))
    told = Reading(encoding=parse_encoding("encoding", encoding))
    assert rows(read(path, told)) == plain
    assert fingerprint(SST2, str(path), told) != fingerprint(SST2, str(path))


def test_wrong_encodings_are_told_with_the_line_and_the_byte(tmp_path: Path) -> None:
    latin = write(tmp_path / "d.csv", "sentence,label\nfine,1\ncaf\xe9,1\n".encode("latin-1"))
    assert "line 3: not UTF-8 (byte 0xe9 at offset 25)" in str(refused(latin))
    assert "--encoding cp1252" in str(refused(latin).hint)
    late = write(tmp_path / "late.csv", table(rows=[("x" * 99, 1)] * 2_000).encode() + b"\xe9,1\n")
    size = late.stat().st_size
    assert f"line 2002: not UTF-8 (byte 0xe9 at offset {size - 4})" in str(refused(late))
    wide = (table(rows=PLAIN) + "x").encode("utf-16")[:-1]
    cut = write(tmp_path / "cut.csv", wide)
    assert f"line 4: not UTF-16-LE (byte 0x78 at offset {len(wide) - 1})" in str(refused(cut))
    error = refused(cut, Reading(encoding="cp1252"))
    assert "byte-order mark of utf-16-le, so it is not cp1252" in str(error)


@pytest.mark.parametrize(
    ("content", "said", "hint"),
    [
        (gzip.compress(table().encode()), "compressed by gzip", "d.csv.gz"),
        (zstandard.compress(table().encode()), "compressed by zstd", "d.csv.zst"),
        (b"PK\x03\x04\xff\xff", "spreadsheet", "save the table as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "spreadsheet", "save the table as CSV"),
        (b"PAR1\xff", "Parquet", ".parquet"),
    ],
)
def test_what_is_no_text_is_told(content: bytes, said: str, hint: str, tmp_path: Path) -> None:
    error = refused(write(tmp_path / "d.csv", content))
    assert said in str(error)
    assert hint in str(error.hint)


@pytest.mark.parametrize("name", ["rot13", "base64", "idna", "punycode", "undefined", "utf-9", ""])
def test_what_is_no_text_encoding(name: str) -> None:
    with pytest.raises(UsageError, match="is no text encoding"):
        parse_encoding("encoding", name)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize(
    ("delimiter", "name"), [(",", "comma"), (";", "semicolon"), ("|", "pipe"), ("\t", "tab")]
)
def test_the_delimiter_that_gives_the_columns(
    suffix: str, delimiter: str, name: str, tmp_path: Path
) -> None:
    usual = {".csv": ",", ".tsv": "\t"}[suffix]
    expected = PLAIN if usual == delimiter == "\t" else ROWS  # a real TSV has no quoting
    path = write(tmp_path / f"d{suffix}", table(delimiter, expected))
    data = read(path)
    assert rows(data) == expected
    note = f"d{suffix}: read with {name} between fields"
    assert noted(data) == (() if delimiter == usual else (note,))
    told = Reading(delimiter=parse_delimiter("delimiter", name))
    assert rows(read(path, told)) == expected
    assert noted(read(path, told)) == ()
    assert fingerprint(SST2, str(path), told) == fingerprint(SST2, str(path))


def test_any_delimiter_that_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", table("^"))
    error = refused(path)
    assert "has one column, 'sentence^label'" in str(error)
    assert "--delimiter" in str(error.hint)
    assert rows(read(path, Reading(delimiter="^"))) == ROWS


def test_a_wrong_delimiter_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", table(";"))
    error = refused(path, Reading(delimiter=","))
    assert "no column 'sentence' with comma between fields" in str(error)
    assert "with semicolon it has" in str(error.hint)
    error = refused(write(tmp_path / "e.csv", "text;label\na;1\n"))
    assert "no column 'sentence'; it has 'text', 'label'" in str(error)
    assert "text;label" not in str(error.hint)


def test_a_delimiter_that_changes_what_is_read_changes_the_data(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv", 'sentence,label,x;sentence;label\na,1,y;"b";0\n')
    assert rows(read(path)) == [("a", 1)]
    other = Reading(delimiter=";")
    with pytest.raises(InputError, match="with semicolon"):
        read(write(tmp_path / "f.csv", "sentence,label,x\na,1,y\n"), other)
    assert fingerprint(SST2, str(path), other) != fingerprint(SST2, str(path))


@pytest.mark.parametrize("text", ["", "ab", '"', "\n", "\ufeff", None, 3])
def test_what_is_no_delimiter(text: object) -> None:
    with pytest.raises(UsageError, match="is no delimiter"):
        parse_delimiter("delimiter", text)


def test_fields_of_any_length(tmp_path: Path) -> None:
    long = [("word " * 400_000, 1), ('quoted "' * 30_000, 0)]
    limit = csv.field_size_limit()
    assert rows(read(write(tmp_path / "d.csv", table(rows=long)))) == long
    assert csv.field_size_limit() == limit
    unclosed = write(tmp_path / "e.csv", 'sentence,label\na,1\n"b,0\n' + "c,1\n" * 100_000)
    assert "line 3: not valid CSV (a quotation mark is not closed)" in str(refused(unclosed))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", table()),
        ("d.tsv", table(";")),
        ("d.jsonl", JSONL),
        ("d.json", json.dumps([{"sentence": t, "label": n} for t, n in ROWS], indent=1)),
        ("d.json", JSONL),
        ("d.json", "\n\n" + JSONL.replace("\n", "\n\n")),
    ],
)
@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_the_text_formats_also_compressed(
    name: str, content: str, packed: str, tmp_path: Path
) -> None:
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[packed]
    for encoding in ("utf-8", "utf-16"):
        path = write(tmp_path / (name + packed), pack(content.encode(encoding)))
        assert rows(read(path)) == ROWS


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_damaged_compressed_files(packed: str, tmp_path: Path) -> None:
    pack = (
        gzip.compress if packed == ".gz" else zstandard.ZstdCompressor(write_checksum=True).compress
    )
    many = table(rows=[(os.urandom(20).hex(), n % 2) for n in range(5_000)]).encode()
    whole = pack(many)
    path = tmp_path / f"d.csv{packed}"
    twice = write(path, whole + pack(b"one more,1\r\n"))
    assert len(rows(read(twice))) == 5_001
    turned = bytearray(whole)
    turned[len(whole) // 2] ^= 0x55
    for content in (whole[:-1], whole[: len(whole) // 2], many, b"x"):
        assert "is cut off or not compressed by" in str(refused(write(path, content)))
    refused(write(path, bytes(turned)))  # by the checksum, or by a line that is torn before it
    assert "has no columns" in str(refused(write(path, pack(b""))))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"sentence": "a", "label": 1}, 7]', "row 2: 7 is not a JSON object"),
        ('[{"sentence": "a", "label": 1}, {"label": 1}]', "row 2: no key 'sentence'"),
        ('[{"sentence": "a",\n "label": 1},\n {', "line 3: not valid JSON"),
        ('[{"sentence": "a", "label": "x"}]', "row 1: label 'x' is not one of"),
        ('{\n "rows": []\n}\n', "line 1: not valid JSON"),
        ("[]", "has no rows"),
        ("[" * 100_000, "not valid JSON"),
        ('"text"', "line 1: 'text' is not a JSON object"),
    ],
)
def test_broken_json(text: str, said: str, tmp_path: Path) -> None:
    assert said in str(refused(write(tmp_path / "d.json", text)))


def test_an_array_in_a_file_of_lines_is_told(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "d.jsonl", '[{"sentence": "a", "label": 1}]'))
    assert "a .json file has an array" in str(error.hint)


@pytest.mark.parametrize("name", ["d.csv", "d.tsv", "d.jsonl", "d.json", "d.parquet", "d.csv.gz"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xff\xfe\x00\x00",
        b"\x00",
        b"\x00" * 4096,
        b"\n\n\n",
        b"sentence,label\n",
        b"sentence\tlabel",
        b'"',
        b"\xed\xa0\xbd,label\n",
        bytes(range(256)) * 4,
        bytes(range(255, -1, -1)) * 300,
        b"{}",
        b"[{}]",
        b'{"sentenc\\ud83d": "a", "label": 1}',
    ],
)
def test_what_is_no_table_is_refused_in_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    for reading in (AS_THEY_ARE, Reading(encoding="cp1252"), Reading(encoding="utf-16-le")):
        if reading.encoding is None or name != "d.parquet":
            assert isinstance(refused(write(tmp_path / name, content), reading), InputError)


def test_nul_characters_are_part_of_a_text(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", '{"sentence": "a\\u0000b", "label": 1}\n')
    assert rows(read(path)) == [("a\0b", 1)]


def test_a_parquet_file_whose_texts_are_not_utf8(tmp_path: Path) -> None:
    texts = pa.array([b"fine", b"\xff\xfe"], pa.binary()).view(pa.string())
    path = tmp_path / "d.parquet"
    pq.write_table(pa.table({"sentence": texts, "label": [1, 0]}), path)
    assert "is not a readable Parquet file (" in str(refused(path))


@pytest.mark.parametrize(
    ("name", "reading"),
    [
        ("d.jsonl", Reading(delimiter=";")),
        ("d.json", Reading(delimiter=";")),
        ("d.parquet", Reading(delimiter=";")),
        ("d.parquet", Reading(encoding="cp1252")),
    ],
)
def test_settings_that_mean_nothing(name: str, reading: Reading, tmp_path: Path) -> None:
    path = write(tmp_path / name, "x")
    for answer in (read, lambda place, how: fingerprint(SST2, str(place), how)):
        with pytest.raises(UsageError, match=f"means nothing for {name}"):
            answer(path, reading)


@pytest.mark.parametrize("source", ["generated", "hub"])
@pytest.mark.parametrize(
    "reading", [Reading(encoding="cp1252"), Reading(delimiter=";"), Reading(drop_missing=True)]
)
def test_settings_of_files_mean_nothing_elsewhere(source: str, reading: Reading) -> None:
    with pytest.raises(UsageError, match="means nothing for"):
        fingerprint(SST2, source, reading)


def test_a_file_is_identified_as_it_always_was(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", table())
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = hashlib.sha256(f"file\0{content}\n".encode()).hexdigest()
    assert fingerprint(SST2, str(path)) == expected
    assert fingerprint(SST2, str(path), Reading(drop_missing=True)) != expected


# Folders that datasets saved


def dataset(labels: list[int], *names: str) -> Dataset:
    texts = [f"text {number}" for number in range(len(labels))]
    data = Dataset.from_dict({"sentence": texts, "label": labels, "other": texts})
    return data.cast_column("label", ClassLabel(names=list(names))) if names else data


def test_a_saved_data_set_dictionary(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    DatasetDict(
        train=dataset([1, 0, 0], "positive", "negative"),
        dev=dataset([0, 1], "positive", "negative"),
        test=dataset([-1, -1], "positive", "negative"),
        unsupervised=dataset([-1]),
    ).save_to_disk(folder)
    data = load(SST2, str(folder))
    assert data.train is not None
    assert data.train["label"][:] == [0, 1, 1]  # by the names of the classes
    assert data.evaluation["validation"]["label"][:] == [1, 0]
    assert data.notes == ("saved: split 'test' left out", "saved: split 'unsupervised' left out")
    assert rows(read(folder / "train")) == [("text 0", 0), ("text 1", 1), ("text 2", 1)]


def test_a_saved_data_set_is_held_out_from_as_a_file_is(tmp_path: Path) -> None:
    data = dataset([n % 2 for n in range(40)])
    data.save_to_disk(tmp_path / "alone")
    DatasetDict(train=data).save_to_disk(tmp_path / "one")
    path = tmp_path / "d.jsonl"
    data.to_json(path)
    for place in (tmp_path / "alone", tmp_path / "one"):
        found, expected = load(SST2, str(place)), load(SST2, str(path))
        assert found.train is not None
        assert expected.train is not None
        assert found.train["text_a"][:] == expected.train["text_a"][:]
        assert rows(found) == rows(expected)
        assert len(rows(read(place))) == 40


def test_a_saved_data_set_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    for name, labels in (("a", [1, 0]), ("b", [1, 0]), ("c", [0, 1])):
        dataset(labels, "negative", "positive").save_to_disk(tmp_path / name)
    dataset([1, 0], "positive", "negative").save_to_disk(tmp_path / "d")
    one, same, other, turned = (fingerprint(SST2, str(tmp_path / name)) for name in "abcd")
    assert one == same
    assert len({one, other, turned}) == 3


def test_broken_saved_folders(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    DatasetDict(train=dataset([1, 0]), validation=dataset([1])).save_to_disk(folder)
    with pytest.raises(UsageError, match="means nothing for the saved data set"):
        read(folder, Reading(encoding="cp1252"))
    arrow = next((folder / "validation").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[:50])
    assert "is not a readable data set" in str(refused(folder))
    (folder / "validation" / "state.json").write_text("{")
    assert "is not a readable data set" in str(refused(folder))
    DatasetDict(train=dataset([1]), other=dataset([1])).save_to_disk(tmp_path / "none")
    assert "no rows of split 'validation'" in str(refused(tmp_path / "none"))
    wrong = dataset([1]).rename_column("sentence", "text")
    wrong.save_to_disk(tmp_path / "wrong")
    assert "no column 'sentence'; it has 'text', 'label'" in str(refused(tmp_path / "wrong"))
