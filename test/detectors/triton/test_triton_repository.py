"""The model repository: the contract of the served Faster R-CNN, as Triton reads it."""

import re
from dataclasses import replace

import pytest
from support.tiny_detector import MANIFEST

from sam6d_ros.detectors.manifest import InputSpec, Manifest, read_manifest
from sam6d_ros.detectors.triton.client import manifest_of
from sam6d_ros.detectors.triton.repository import (
    ServingOptions,
    config_text,
    models_of,
    write_model,
)
from sam6d_ros.errors import InvalidConfig

FASTERRCNN = Manifest("fasterrcnn", max_batch=8)


def test_the_contract_of_faster_rcnn(tmp_path):
    write_model(tmp_path, FASTERRCNN, "torchscript", ServingOptions())
    assert models_of(tmp_path) == ["fasterrcnn"]
    assert read_manifest(tmp_path / "fasterrcnn") == FASTERRCNN
    text = (tmp_path / "fasterrcnn/config.pbtxt").read_text()
    for line in (
        'name: "fasterrcnn"',
        'platform: "pytorch_libtorch"',
        "max_batch_size: 1",
        'name: "input__0" data_type: TYPE_FP32 dims: [ 3, -1, -1 ]',
        'name: "output__0" data_type: TYPE_FP32 dims: [ -1, 4 ]',
        'name: "output__1" data_type: TYPE_INT64 dims: [ -1 ]',
        'name: "output__2" data_type: TYPE_FP32 dims: [ -1 ]',
        "preferred_batch_size: [ 1 ]",
        "max_queue_delay_microseconds: 100",
        "count: 1 kind: KIND_CPU",
        "model_warmup",
    ):
        assert line in text, line


def test_options_reach_the_configuration():
    options = ServingOptions(8, (4, 8), 20000, instances=2, gpu=True, warm_up=False)
    manifest = replace(FASTERRCNN, input=InputSpec((416, 320), "corner"))
    text = config_text(manifest, "onnx", options)
    assert "count: 2 kind: KIND_GPU" in text
    assert "preferred_batch_size: [ 4, 8 ]" in text
    assert "dims: [ 3, 416, 320 ]" in text
    assert '"onnxruntime_onnx"' in text
    assert "warmup" not in text


def test_the_manifest_survives_the_configuration():
    text = config_text(MANIFEST, "onnx", ServingOptions(max_batch=8))
    written = re.search(r'string_value: (".*") \}', text)[1]
    parameter = {"sam6d_detector": {"string_value": written[1:-1].replace('\\"', '"')}}
    assert manifest_of({"parameters": parameter, "max_batch_size": 8}, "tiny") == MANIFEST
    # another's model without the parameter: COCO's labels, any size
    assert manifest_of({"max_batch_size": 0}, "other") == Manifest("other")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_batch": 0}, "max_batch"),
        ({"max_batch": 4, "preferred_batch": (8,)}, r"\[8\] are not all within 1"),
        ({"queue_delay_us": -1}, "queue_delay_us"),
        ({"instances": 0}, "instances"),
    ],
)
def test_impossible_options_are_refused(options, reason):
    with pytest.raises(InvalidConfig, match=reason):
        ServingOptions(**options)


def test_what_triton_would_refuse_is_refused_here(tmp_path):
    with pytest.raises(InvalidConfig, match="takes 8 at once"):
        write_model(tmp_path, FASTERRCNN, "onnx", ServingOptions(max_batch=16))
    with pytest.raises(InvalidConfig, match="no name of a model"):
        write_model(tmp_path, replace(FASTERRCNN, name="a/b"), "onnx", ServingOptions())
    with pytest.raises(InvalidConfig, match="torchscript, onnx"):
        write_model(tmp_path, FASTERRCNN, "tensorrt", ServingOptions())
    with pytest.raises(InvalidConfig, match="sam6d detector export"):
        models_of(tmp_path)
