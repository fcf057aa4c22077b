"""What an ONNX file says of how it is opened: kept in the file, read without parsing the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecli.errors import InputError
from prunecli.onnxfile.session import KEY, read_session, write_session
from prunecli.records.artefacts import SKIP_LAYER_NORM, SessionInfo
from tests.bench.making import tiny_onnx

WITHOUT = SessionInfo(
    disabled_optimizers=(SKIP_LAYER_NORM,), runtime="onnxruntime 1.32.0", processor="a processor"
)
WITH = SessionInfo(runtime="onnxruntime 1.29.0", processor="a processor")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = tiny_onnx(tmp_path / "model.onnx")
    graph = onnx.load(path).graph
    assert read_session(path) is None
    write_session(path, WITHOUT)
    assert read_session(path) == WITHOUT
    # any other reader finds it where ONNX has it, and the same graph
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert model.graph == graph
    (entry,) = model.metadata_props
    assert (entry.key, entry.value) == (KEY, WITHOUT.model_dump_json())
    # written by another program, in whatever order, and after others of its kind
    entry.key = "another"
    model.metadata_props.add(key=KEY, value=WITH.model_dump_json())
    onnx.save(model, path)
    assert read_session(path) == WITH
    write_session(path, WITHOUT)
    assert read_session(path) == WITHOUT


@pytest.mark.parametrize(
    "said", ["", "{}", "[]", '{"runtime": "x"}', WITHOUT.model_dump_json().replace("Skip", "Any")]
)
def test_what_is_not_known_is_refused(said: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = tiny_onnx(tmp_path / "model.onnx")
    model = onnx.load(path)
    model.metadata_props.add(key=KEY, value=said)
    onnx.save(model, path)
    with pytest.raises(InputError, match="does not know"):
        read_session(path)


@given(st.binary(max_size=200))
def test_whatever_is_no_onnx_file_says_nothing(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.onnx"
    path.write_bytes(content)
    assert read_session(path) is None


@pytest.mark.parametrize("keep", [1, 2, 5, 30])
def test_a_file_that_was_cut_off_says_nothing(keep: int, tmp_path: Path) -> None:
    path = tiny_onnx(tmp_path / "model.onnx")
    write_session(path, WITHOUT)
    path.write_bytes(path.read_bytes()[:-keep])
    assert read_session(path) is None
