"""Settings of models, and the file that keeps them."""

from __future__ import annotations

import json
import logging

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sam6d_ros.errors import InvalidConfig
from sam6d_ros.runtime.model_server.models_file import ModelsFile
from sam6d_ros.runtime.model_server.spec import LIMITS, ModelSpec

NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


@pytest.fixture
def file(tmp_path):
    return ModelsFile(tmp_path / "sub" / "models.json")


@given(NAMES, st.floats(0, 1), st.booleans(), st.none() | st.integers(1, 64))
def test_a_spec_survives_json(name, threshold, metrics, max_batch):
    spec = ModelSpec(name, "model.onnx", threshold, metrics=metrics, max_batch=max_batch)
    assert ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    "name", ["", ".hidden", "../up", "a/b", "a b", "ä", "a" * 65, "a\n", "-x", 'x"y', "a\0"]
)
def test_a_name_that_cannot_stand_in_an_address_is_refused(name):
    with pytest.raises(InvalidConfig, match="model name is"):
        ModelSpec(name, "model.onnx")


@pytest.mark.parametrize(
    ("source", "device", "limit"),
    [("m.onnx", "cpu", 1), ("m.onnx", "cuda:1", 8), ("grpc://host:8001/m", "cpu", 8)],
)
def test_batches_are_for_gpus_and_servers_unless_stated(source, device, limit):
    assert ModelSpec("m", source, device=device).batch_limit == limit
    assert ModelSpec("m", source, device=device, max_batch=3).batch_limit == 3


@pytest.mark.parametrize("field", LIMITS)
def test_a_number_out_of_its_range_is_refused(field):
    low, high = LIMITS[field]
    for value in (low - 1, high + 1, float("nan")):
        with pytest.raises(InvalidConfig, match=field):
            ModelSpec("m", "model.onnx", **{field: value})


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([], "expected an object"),
        ({"name": "m"}, "no source"),
        ({"name": "m", "source": "s", "color": 1}, "'color'"),
        ({"name": "m", "source": "s", "max_batch": 2.5}, "'max_batch': 2.5; expected int"),
        ({"name": "m", "source": "s", "max_batch": True}, "'max_batch'"),
        ({"name": "m", "source": "s", "metrics": "yes"}, "'metrics'"),
        ({"name": "m", "source": "", "metrics": True}, "source"),
        ({"name": 3, "source": "s"}, "'name'"),
        ({"name": "m", "source": "s", "device": "tpu"}, "device"),
        ({"name": "m", "source": "s", "threshold": 2}, "threshold"),
    ],
)
def test_an_unusable_description_is_refused_by_name(values, match):
    with pytest.raises(InvalidConfig, match=match):
        ModelSpec.from_dict(values)


def test_the_file_gives_back_what_was_written_whole(file):
    assert file.read() == []
    specs = [ModelSpec("a", "a.onnx", 0.25), ModelSpec("b", "http://host:8000/b")]
    for number in range(2, -1, -1):
        file.write(specs[:number])
        assert file.read() == specs[:number]
    assert [path.name for path in file.path.parent.iterdir()] == ["models.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "models": []}',
        '{"version": 1, "models": [{"name": "../x", "source": "s"}]}',
        '{"version": 1, "models": [{"name": "a", "source": "s"}, {"name": "a", "source": "t"}]}',
        "\udcff",
        "[" * 100_000,
    ],
    ids=range(8),
)
def test_a_damaged_file_is_put_aside_and_logged(file, text, caplog):
    file.path.parent.mkdir()
    for _ in range(2):
        file.path.write_bytes(text.encode("utf-8", "surrogateescape"))
        with caplog.at_level(logging.ERROR):
            assert file.read() == []
    names = sorted(path.name for path in file.path.parent.iterdir())
    assert names == ["models.json.damaged-1", "models.json.damaged-2"]
    assert "damaged-1" in caplog.text


def test_a_failed_write_leaves_the_file_as_it_was(file, monkeypatch):
    file.write([ModelSpec("a", "a.onnx")])

    def full(_):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="disk full"):
        file.write([])
    assert [spec.name for spec in file.read()] == ["a"]
    assert [path.name for path in file.path.parent.iterdir()] == ["models.json"]
