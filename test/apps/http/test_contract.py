"""Contract of the older ISM and PEM servers: their requests, and the fields of their answers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sam6d_ros.apps.http.sample import NAME, SEED
from sam6d_ros.evaluation.synthetic import make_scene
from sam6d_ros.geometry import rle


@pytest.fixture(scope="module")
def truth():
    """True cam_from_obj of the sample's object."""
    return make_scene(SEED, targets=[NAME]).ground_truth[0].cam_from_obj


def check_pose(pose, truth):
    """The tea box has no symmetry: half a centimetre and two degrees."""
    rotation = np.array(pose["rotation"])
    angle = math.acos(np.clip((np.trace(rotation.T @ truth[:3, :3]) - 1) / 2, -1, 1))
    assert math.degrees(angle) < 2
    assert np.linalg.norm(np.array(pose["translation"]) / 1000 - truth[:3, 3]) < 0.005


@pytest.mark.parametrize("service", ["ism", "pem"])
def test_health_and_root_answer_as_before(served, service):
    client = served.clients[service]
    health = client.get("/health")
    assert health.status_code == 200
    assert health.json().keys() == {"status", "message", "timestamp"}
    assert health.json()["status"] == "healthy"
    assert client.get("/").json() == {"message": f"{service.upper()} Server is running"}


def test_status_has_the_fields_of_the_older_server(served):
    first = served.ism.get("/api/v1/status").json()
    older = {"server", "model_loaded", "templates_loaded", "cad_loaded", "device", "num_templates"}
    assert older <= first.keys()
    assert first["server"] == "running"
    assert first["model_loaded"] is True
    second = served.ism.get("/api/v1/status").json()
    assert 0 < first["uptime"] < second["uptime"] < 1e6


def test_one_sample_body_serves_all_three_routes(served, sample, truth):
    found = served.ism.post("/api/v1/inference", json=sample).raise_for_status().json()
    assert found["success"] is True
    assert found["num_detections"] == 1
    assert found["cad_path_used"] == sample["cad_path"]
    mask = rle.decode(found["detections"]["masks"][0])
    true_mask = rle.decode(sample["detections"]["masks"][0])
    assert (mask & true_mask).sum() / (mask | true_mask).sum() > 0.8

    poses = served.pem.post("/api/v1/pose_estimation", json=sample).raise_for_status().json()
    assert poses["success"] is True
    assert poses["units"] == "mm"
    (pose,) = poses["poses"]
    assert {"object_id", "rotation", "translation", "confidence", "bbox"} <= pose.keys()
    assert pose["object_id"] == 0
    check_pose(pose, truth)

    whole = served.pem.post("/api/v1/full_pipeline", json=sample).raise_for_status().json()
    older = {"success", "ism_result", "pem_result", "total_time", "error_message"}
    assert older <= whole.keys()
    check_pose(whole["pem_result"]["poses"][0], truth)


def test_the_answer_of_ism_is_taken_by_pem_as_it_is(served, sample, truth):
    """As the older full pipeline did over HTTP."""
    found = served.ism.post("/api/v1/inference", json=sample).raise_for_status().json()
    body = {**sample, "detections": found["detections"]}
    poses = served.pem.post("/api/v1/pose_estimation", json=body).raise_for_status().json()
    check_pose(poses["poses"][0], truth)


def test_nested_lists_are_masks_too(served, sample, truth):
    mask = rle.decode(sample["detections"]["masks"][0])
    detections = {**sample["detections"], "masks": [mask.astype(int).tolist()]}
    body = {**sample, "detections": detections}
    poses = served.pem.post("/api/v1/pose_estimation", json=body).raise_for_status().json()
    check_pose(poses["poses"][0], truth)


def test_masks_come_as_lists_on_request(served, sample):
    body = {**sample, "mask_format": "lists"}
    found = served.ism.post("/api/v1/inference", json=body).raise_for_status().json()
    mask = np.array(found["detections"]["masks"][0])
    assert mask.shape == (480, 640)
    assert set(np.unique(mask)) == {0, 1}


def test_metres_on_request(served, sample):
    def post(body):
        return served.pem.post("/api/v1/pose_estimation", json=body).json()["poses"][0]

    millimetres, metres = post(sample), post({**sample, "units": "m"})
    np.testing.assert_allclose(
        np.array(millimetres["translation"]) / 1000, metres["translation"], atol=1e-4
    )


def test_a_mask_that_fails_does_not_fail_the_others(served, sample):
    """The placeholder masks of the older server's sample were 4×4 for a 640×480 image."""
    masks = [[[1, 1, 0, 0]] * 4, *sample["detections"]["masks"]]
    body = {**sample, "detections": {"masks": masks}}
    answer = served.pem.post("/api/v1/pose_estimation", json=body).raise_for_status().json()
    (pose,) = answer["poses"]
    assert pose["object_id"] == 1
    (failure,) = answer["failures"]
    assert failure["object_id"] == 0
    assert "4×4" in failure["reason"]
    assert "480×640" in failure["reason"]


def test_a_rejected_pose_names_the_threshold_that_rejected_it(served, sample):
    (mask,) = sample["detections"]["masks"]
    twice = {**sample, "detections": {"masks": [mask, mask]}, "max_instances": 1}
    answer = served.pem.post("/api/v1/pose_estimation", json=twice).raise_for_status().json()
    (pose,), (failure,) = answer["poses"], answer["failures"]
    assert {pose["object_id"], failure["object_id"]} == {0, 1}
    assert "max_instances of 'tea_box' is 1" in failure["reason"]

    strict = {**sample, "min_score": 1.0}
    answer = served.pem.post("/api/v1/pose_estimation", json=strict).raise_for_status().json()
    assert answer["poses"] == []
    assert answer["failures"][0]["reason"].endswith("min_score of 'tea_box' is 1.00")


def test_masks_that_all_fail_are_refused_by_name(served, sample):
    body = {**sample, "detections": {"masks": [[[1, 1, 0, 0]] * 4]}}
    answer = served.pem.post("/api/v1/pose_estimation", json=body)
    assert answer.status_code == 422
    assert "mask 0 is 4×4, the image 480×640" in answer.json()["error_message"]


def test_the_files_of_sam6d_are_written(served, sample):
    folder = served.root / "results"
    body = {**sample, "output_dir": str(folder)}
    answer = served.pem.post("/api/v1/full_pipeline", json=body).raise_for_status().json()
    assert answer["pem_result"]["output_dir_used"] == str(folder)
    results = folder / "sam6d_results"
    names = {path.name for path in results.iterdir()}
    assert names == {
        "detection_ism.json",
        "detection_ism.npz",
        "vis_ism.png",
        "detection_pem.json",
        "vis_pem.png",
    }
    (pose,) = json.loads((results / "detection_pem.json").read_text())
    assert pose["category_id"] == 1
    np.testing.assert_allclose(pose["t"], answer["pem_result"]["poses"][0]["translation"])
    size = pose["segmentation"]["size"]
    assert sum(pose["segmentation"]["counts"]) == size[0] * size[1]


def test_the_geometric_backend_renders_its_own_views(served, sample):
    folder = served.root / "views"
    folder.mkdir(exist_ok=True)
    body = {**sample, "template_dir": str(folder)}
    found = served.ism.post("/api/v1/inference", json=body).raise_for_status().json()
    assert found["template_dir_used"] == str(folder)
    assert found["templates"] == "rendered"
    note = "the geometric backend renders its own views; template_dir is not used"
    assert found["notes"] == [note]
    poses = served.pem.post("/api/v1/pose_estimation", json=body).raise_for_status().json()
    assert (poses["templates"], poses["notes"]) == ("rendered", [note])


def test_an_error_keeps_the_older_fields(served, sample):
    answer = served.pem.post("/api/v1/full_pipeline", json={**sample, "cad_path": "/etc/passwd"})
    assert answer.status_code == 403
    assert answer.json()["success"] is False
    assert "--allow-root" in answer.json()["error_message"]
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


def test_files_may_be_uploaded_in_place_of_base64(served, sample, truth):
    import base64

    files = {name: base64.b64decode(sample[name]) for name in ("rgb_image", "depth_image")}
    fields = {key: value for key, value in sample.items() if key not in files}
    answer = served.pem.post(
        "/api/v1/full_pipeline/upload", files=files, data={"request": json.dumps(fields)}
    )
    check_pose(answer.raise_for_status().json()["pem_result"]["poses"][0], truth)


def test_the_overlay_comes_on_request(served, sample):
    answer = served.pem.post(
        "/api/v1/full_pipeline?visualize=true", json=sample, headers={"Accept": "image/png"}
    )
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_the_second_request_on_an_object_prepares_nothing(served, sample, caplog):
    served.pem.post("/api/v1/full_pipeline", json=sample).raise_for_status()
    model = served.services.host.objects.models[NAME]
    served.pem.post("/api/v1/full_pipeline", json=sample).raise_for_status()
    assert served.services.host.objects.models[NAME] is model


def test_several_requests_may_write_into_one_folder(served, sample):
    from concurrent.futures import ThreadPoolExecutor

    body = {**sample, "output_dir": str(served.root / "shared")}
    with ThreadPoolExecutor(3) as pool:
        answers = list(
            pool.map(lambda _: served.pem.post("/api/v1/pose_estimation", json=body), range(6))
        )
    assert [answer.status_code for answer in answers] == [200] * 6
    names = {path.name for path in (served.root / "shared" / "sam6d_results").iterdir()}
    assert names == {"detection_pem.json", "vis_pem.png"}
