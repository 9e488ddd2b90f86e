"""Hostile and broken input: a clear 4xx answer, and the server goes on."""

from __future__ import annotations

import base64
import io
import json
import os
import socket

import httpx
import numpy as np
import pytest
from PIL import Image
from support.http_hostile import png_header, refused

from sam6d_ros.runtime.memory import resident_bytes

PIPELINE, POSES = "/api/v1/full_pipeline", "/api/v1/pose_estimation"


def png_of(array) -> str:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def with_camera(sample, **changes):
    return {**sample, "cam_params": {**sample["cam_params"], **changes}}


@pytest.mark.parametrize("name", ["rgb_image", "depth_image"])
def test_truncated_base64(served, sample, name):
    body = {**sample, name: sample[name][: len(sample[name]) // 2 - 1]}
    refused(served.pem.post(PIPELINE, json=body), 422, name)


@pytest.mark.parametrize("name", ["rgb_image", "depth_image"])
def test_a_truncated_file(served, sample, name):
    data = base64.b64decode(sample[name])
    body = {**sample, name: base64.b64encode(data[: len(data) * 9 // 10]).decode()}
    refused(served.pem.post(PIPELINE, json=body), 422, name)


def test_text_that_is_no_image(served, sample):
    body = {**sample, "rgb_image": base64.b64encode(b"hello world" * 10).decode()}
    refused(served.pem.post(PIPELINE, json=body), 422, "rgb_image", "PNG")


def test_images_of_one_pixel(served, sample):
    body = {
        **sample,
        "rgb_image": png_of(np.zeros((1, 1, 3), np.uint8)),
        "depth_image": png_of(np.ones((1, 1), np.uint16)),
    }
    refused(served.pem.post(PIPELINE, json=body), 422, "principal point")


def test_a_png_bomb_costs_no_memory(served, sample):
    before = resident_bytes()
    body = {**sample, "rgb_image": base64.b64encode(png_header(10_000, 10_000)).decode()}
    refused(served.pem.post(PIPELINE, json=body), 413, "rgb_image", "10000×10000")
    assert resident_bytes() - before < 50 * 2**20


def test_a_depth_image_of_8_bits(served, sample):
    body = {**sample, "depth_image": png_of(np.full((480, 640), 200, np.uint8))}
    refused(served.pem.post(PIPELINE, json=body), 422, "8-bit")


def test_images_that_are_swapped(served, sample):
    body = {**sample, "depth_image": sample["rgb_image"], "rgb_image": sample["depth_image"]}
    refused(served.pem.post(PIPELINE, json=body), 422, "swapped")


def test_images_of_two_sizes(served, sample):
    body = {**sample, "depth_image": png_of(np.ones((240, 320), np.uint16))}
    refused(served.pem.post(PIPELINE, json=body), 422, "registered to colour")


def test_nan_in_the_camera(served, sample):
    text = json.dumps(with_camera(sample, cam_K=[float("nan"), *sample["cam_params"]["cam_K"][1:]]))
    answer = served.pem.post(PIPELINE, content=text, headers={"Content-Type": "application/json"})
    refused(answer, 422, "cam_K")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"depth_scale": -1.0}, "depth_scale"),
        ({"depth_scale": 0}, "depth_scale"),
        ({"cam_K": [1.0, 2.0]}, "cam_K"),
        ({"cam_K": [0.0] * 9}, "0"),
        ({"cam_K": "572"}, "cam_K"),
    ],
)
def test_a_camera_that_cannot_be(served, sample, changes, word):
    refused(served.pem.post(PIPELINE, json=with_camera(sample, **changes)), 422, word)


def test_a_depth_scale_that_is_wrong_by_a_thousand(served, sample):
    """Metres taken for millimetres: the object cannot be in a scene of that size."""
    answer = served.pem.post(PIPELINE, json=with_camera(sample, depth_scale=0.001))
    refused(answer, 422, "depth_scale")


@pytest.mark.parametrize(
    ("mask", "word"),
    [
        ({"size": [480, 640], "counts": "~~~"}, "RLE"),
        ({"size": [480, 640], "counts": [1, 2, 3]}, "runs of 6"),
        ({"size": [100_000, 100_000], "counts": [10**10]}, "100000×100000"),
        ({"size": [480, 640], "counts": [-5, 307205]}, "mask 0"),
        ({"size": "large", "counts": []}, "size"),
        ([[1, 0], [1]], "different lengths"),
        ([[["a"]]], "mask 0"),
        ("mask", "mask 0"),
        (None, "mask 0"),
        ({"size": [480, 640], "counts": [307200]}, "no pixel"),
    ],
)
def test_masks_that_lie(served, sample, mask, word):
    body = {**sample, "detections": {"masks": [mask]}}
    refused(served.pem.post(POSES, json=body), 422, word)


def test_too_many_masks(served, sample):
    mask = sample["detections"]["masks"][0]
    body = {**sample, "detections": {"masks": [mask] * 1000}}
    refused(served.pem.post(POSES, json=body), 413, "1000", "256")


def test_scores_of_another_length(served, sample):
    detections = {**sample["detections"], "scores": [0.5, 0.5]}
    refused(served.pem.post(POSES, json={**sample, "detections": detections}), 422, "scores")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "{root}/../../etc/passwd", "{root}/link/passwd", "{sample}/../../../x"]
)
@pytest.mark.parametrize("name", ["cad_path", "template_dir", "output_dir"])
def test_paths_outside_the_allowed_folders(served, sample, path, name):
    link = served.root / "link"
    if not link.is_symlink():
        link.symlink_to("/etc")
    folder = os.path.dirname(sample["cad_path"])
    body = {**sample, name: path.format(root=served.root, sample=folder)}
    refused(served.pem.post(PIPELINE, json=body), 403, name)
    assert not os.path.exists("/etc/sam6d_results")


def test_the_folder_of_the_sample_is_not_for_writing(served, sample):
    body = {**sample, "output_dir": os.path.dirname(sample["cad_path"])}
    refused(served.pem.post(PIPELINE, json=body), 403, "output_dir")


@pytest.mark.parametrize(
    ("path", "status"), [("relative.ply", 422), ("\0", 422), ("/" + "x" * 9999, 422)]
)
def test_paths_that_are_none(served, sample, path, status):
    refused(served.pem.post(PIPELINE, json={**sample, "cad_path": path}), status, "cad_path")


def test_a_cad_file_that_is_missing_or_no_mesh(served, sample):
    missing = str(served.root / "missing.ply")
    refused(served.pem.post(PIPELINE, json={**sample, "cad_path": missing}), 422, "not exist")
    bad = served.root / "bad.ply"
    bad.write_bytes(b"ply\nformat ascii 1.0\nelement vertex 3\nelement face 1\nend_header\n1 2")
    refused(served.pem.post(PIPELINE, json={**sample, "cad_path": str(bad)}), 422, "bad")


def test_a_mesh_that_names_a_file_elsewhere(served, sample):
    mesh = served.root / "spy.obj"
    mesh.write_text("mtllib ../../../../etc/passwd\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    refused(served.pem.post(PIPELINE, json={**sample, "cad_path": str(mesh)}), 422, "outside")


def test_a_mesh_of_too_many_faces(served, sample):
    mesh = served.root / "huge.ply"
    mesh.write_bytes(
        b"ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\n"
        b"element face 100000000\nproperty list uchar int vertex_indices\nend_header\n" + b"\0" * 99
    )
    refused(served.pem.post(PIPELINE, json={**sample, "cad_path": str(mesh)}), 413, "100,000,000")


def test_a_body_that_is_no_json(served):
    answer = served.pem.post(
        PIPELINE, content=b'{"rgb_image": ', headers={"Content-Type": "application/json"}
    )
    refused(answer, 422, "JSON")


def test_json_that_is_nested_without_end(served):
    text = b'{"rgb_image": ' + b"[" * 100_000
    answer = served.pem.post(PIPELINE, content=text, headers={"Content-Type": "application/json"})
    refused(answer, answer.status_code)
    assert 400 <= answer.status_code < 500


def test_a_body_that_states_a_size_beyond_the_limit(served):
    head = f"POST {PIPELINE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**12}\r\n\r\n"
    url = httpx.URL(served.urls["pem"])
    with socket.create_connection((url.host, url.port), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 413"), answer


def test_a_chunked_body_without_end(served):
    """The server stops reading at the limit; whether the client reads the answer is its matter."""
    sent = 0

    def chunks():
        nonlocal sent
        while sent < 10 * served.services.settings.limits.body_bytes:
            sent += 2**20
            yield b"x" * 2**20

    try:
        answer = served.pem.post(
            PIPELINE, content=chunks(), headers={"Content-Type": "application/json"}
        )
        refused(answer, 413)
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        pass  # the connection was closed before the end
    assert sent < 3 * served.services.settings.limits.body_bytes
    assert served.pem.get("/health").status_code == 200


def test_an_unknown_object(served, sample):
    body = {key: value for key, value in sample.items() if key != "cad_path"}
    refused(served.pem.post(PIPELINE, json={**body, "object": "spoon"}), 404, "spoon")
    refused(served.pem.post(PIPELINE, json={**sample, "object": "spoon"}), 422, "not both")
    refused(served.pem.post(PIPELINE, json=body), 422, "names no object")


def test_a_request_id_of_a_client_is_checked(served):
    good = served.pem.get("/health", headers={"X-Request-ID": "abc-1"})
    assert good.headers["X-Request-ID"] == "abc-1"
    bad = served.pem.get("/health", headers={"X-Request-ID": "a b\tc" * 50})
    assert len(bad.headers["X-Request-ID"]) == 32
