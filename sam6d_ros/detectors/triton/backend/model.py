"""Python-based backend of Triton for TorchScript and ONNX files.

Triton from the Python package index has no backends of its own for these. This file stands in for
both, so that a repository with `platform: "pytorch_libtorch"` or `"onnxruntime_onnx"` runs there as
on NVIDIA's image. It imports nothing of the package; `torchvision_ops.py` lies beside it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

DEFAULT_FILES = {"pytorch_libtorch": "model.pt", "onnxruntime_onnx": "model.onnx"}


class TritonPythonModel:
    """One instance of a model, in a process of its own."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Leave the configuration as it is written."""
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model's file."""
        if int(np.__version__.split(".")[0]) > 1:
            # its arrays arrive with one value everywhere and leave empty, without any error
            raise pb.TritonModelException(
                f"NumPy {np.__version__} in {sys.executable}; this Triton needs numpy<2"
            )
        config = json.loads(args["model_config"])
        platform = config["platform"] or f"{config['backend']}_"
        name = config.get("default_model_filename") or DEFAULT_FILES[platform]
        path = Path(args["model_repository"]) / args["model_version"] / name
        gpu = args.get("model_instance_kind") == "GPU"
        threads = max((os.cpu_count() or 1) // max(config["instance_group"][0]["count"], 1), 1)
        self._outputs = sorted(
            (entry["name"] for entry in config["output"]), key=lambda n: int(n.split("__")[-1])
        )
        self._input = config["input"][0]["name"]
        self._joins = config["max_batch_size"] > 1
        load = _torchscript if platform.startswith("pytorch") else _onnx
        self._run = load(
            path, f"cuda:{args['model_instance_device_id']}" if gpu else "cpu", threads
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer requests; those of one image size are run as one batch."""
        arrays = [pb.get_input_tensor_by_name(request, self._input) for request in requests]
        inputs = [array.as_numpy() for array in arrays]
        answers: list[Any] = [None] * len(requests)
        groups: dict[Any, list[int]] = {}
        for place, array in enumerate(inputs):
            groups.setdefault(array.shape[1:] if self._joins else place, []).append(place)
        for places in groups.values():
            self._answer(places, inputs, answers)
        return answers

    def _answer(self, places: list[int], inputs: list[Any], answers: list[Any]) -> None:
        try:
            batch = np.concatenate([inputs[place] for place in places])
            outputs = self._run(np.ascontiguousarray(batch))
        except Exception as error:  # any error of the model is the answer to these requests
            text = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            failure = pb.TritonError(f"the model refuses {inputs[places[0]].shape}: {text[0]}")
            for place in places:
                answers[place] = pb.InferenceResponse(error=failure)
            return
        start = 0
        for place in places:
            end = start + len(inputs[place]) if self._joins else None
            tensors = [
                pb.Tensor(name, np.ascontiguousarray(output[start:end]))
                for name, output in zip(self._outputs, outputs)  # noqa: B905 - extra outputs
            ]
            answers[place] = pb.InferenceResponse(tensors)
            start = end or 0


def _torchscript(path: Path, device: str, threads: int) -> Any:
    import torch
    from torchvision_ops import provide_operators

    torch.set_num_threads(threads)
    provide_operators()
    model = torch.jit.load(str(path), map_location=device).eval()

    def run(batch: Any) -> list[Any]:
        with torch.inference_mode():
            outputs = model(torch.from_numpy(batch).to(device))
        listed = (outputs,) if isinstance(outputs, torch.Tensor) else outputs
        return [output.cpu().numpy() for output in listed]

    return run


def _onnx(path: Path, device: str, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    cuda = ("CUDAExecutionProvider", {"device_id": int(device.partition(":")[2] or 0)})
    providers = [cuda] if device != "cpu" else ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(path), sess_options=options, providers=providers)
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})
