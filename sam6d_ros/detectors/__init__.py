"""2D detectors behind one protocol: TorchScript, ONNX Runtime, TensorRT and Triton.

`table.open_detector` opens one from a file or an address. Preprocessing, decoding and
non-maximum suppression are the same code for all of them.
"""
