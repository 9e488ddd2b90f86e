"""Routes of pose estimation: from given masks, or through the whole pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from fastapi.responses import Response

from sam6d_ros.apps.http import ism_client, results
from sam6d_ros.apps.http.encode import cloud_out, poses_out, poses_picture
from sam6d_ros.apps.http.inputs import Images, Masks, decode_frame, decode_masks, output_folder
from sam6d_ros.apps.http.objects.catalogue import Chosen
from sam6d_ros.apps.http.routes import ism
from sam6d_ros.apps.http.routes.common import FAILURES, Uploaded, parsed, png_or_json, png_text
from sam6d_ros.apps.http.schemas.ism import InferenceAnswer
from sam6d_ros.apps.http.schemas.pem import (
    DetectionsIn,
    MaskFailure,
    PipelineAnswer,
    PipelineRequest,
    PoseAnswer,
    PoseOptions,
    PoseRequest,
)
from sam6d_ros.apps.http.services import Services, services_of
from sam6d_ros.apps.http.work import Estimated, Segmented, estimate, segment
from sam6d_ros.pipeline import RunContext
from sam6d_ros.runtime.engine import Engine
from sam6d_ros.types import Frame, Scene

router = APIRouter(tags=["pose estimation"])
Visualize = Annotated[bool, Query(description="also return the overlay, as PNG in base64")]


@router.post("/api/v1/pose_estimation", response_model=PoseAnswer, responses=FAILURES)
async def pose_estimation(
    body: PoseRequest, http: HttpRequest, visualize: Visualize = False
) -> Response:
    """Estimate the pose of each masked instance in one RGB-D frame."""
    return await _poses(http, body, Images.of(body), visualize)


@router.post("/api/v1/pose_estimation/upload", response_model=PoseAnswer, responses=FAILURES)
async def pose_estimation_of_files(
    http: HttpRequest,
    upload: Uploaded,
    visualize: Visualize = False,
) -> Response:
    """Do the same with images as files, not in base64."""
    return await _poses(http, parsed(PoseRequest, upload.fields), upload.images, visualize)


@router.post("/api/v1/full_pipeline", response_model=PipelineAnswer, responses=FAILURES)
async def full_pipeline(
    body: PipelineRequest, http: HttpRequest, visualize: Visualize = False
) -> Response:
    """Find the instances of the objects in one RGB-D frame and estimate their poses."""
    return await _pipeline(http, body, Images.of(body), visualize)


@router.post("/api/v1/full_pipeline/upload", response_model=PipelineAnswer, responses=FAILURES)
async def full_pipeline_of_files(
    http: HttpRequest,
    upload: Uploaded,
    visualize: Visualize = False,
) -> Response:
    """Do the same with images as files, not in base64."""
    return await _pipeline(http, parsed(PipelineRequest, upload.fields), upload.images, visualize)


async def _poses(http: HttpRequest, body: PoseRequest, images: Images, visualize: bool) -> Response:
    services = services_of(http)
    services.check_room()
    output_dir = output_folder(body, services.roots)
    limits = services.settings.limits
    frame = await services.prepare(decode_frame, body, images, limits)
    async with services.catalogue.chosen(body) as chosen:
        masks = await services.convert(
            decode_masks, body.detections, frame.depth.shape, chosen.names, limits
        )
        result = await _estimate(services, http, frame, masks, body)
        answer, png = await services.convert(
            answer_of, services, http, body, frame, chosen, masks, result, output_dir, visualize
        )
    return png_or_json(http, answer, png)


async def _estimate(
    services: Services, http: HttpRequest, frame: Frame, masks: Masks, body: PoseOptions
) -> Estimated:
    found = masks.detections
    result = await services.run(
        http,
        lambda engine, ctx: estimate(engine, ctx, Scene(frame), found, body, len(found) or None),
        body.timeout_s,
        lambda result: result.poses.reason,
    )
    services.metrics.stages(result.timings_s)
    return result


async def _pipeline(
    http: HttpRequest, body: PipelineRequest, images: Images, visualize: bool
) -> Response:
    services = services_of(http)
    services.check_room()
    output_dir = output_folder(body, services.roots)
    frame = await services.prepare(decode_frame, body, images, services.settings.limits)
    async with services.catalogue.chosen(body) as chosen:
        if services.settings.ism_url:
            answer, png = await _through_ism(
                services, http, body, images, frame, chosen, output_dir, visualize
            )
        else:
            answer, png = await _in_process(
                services, http, body, frame, chosen, output_dir, visualize
            )
    return png_or_json(http, answer, png)


async def _in_process(
    services: Services,
    http: HttpRequest,
    body: PipelineRequest,
    frame: Frame,
    chosen: Chosen,
    output_dir: Path | None,
    visualize: bool,
) -> tuple[PipelineAnswer, bytes | None]:
    """Do both halves in one request to the engine, on one scene."""

    def both(engine: Engine, ctx: RunContext) -> tuple[Segmented, Estimated]:
        scene = Scene(frame)
        segmented = segment(engine, ctx, scene, chosen.names, body)
        return segmented, estimate(engine, ctx, scene, segmented.found, body)

    segmented, estimated = await services.run(
        http, both, body.timeout_s, lambda result: result[1].poses.reason
    )
    for result in (segmented, estimated):
        services.metrics.stages(result.timings_s)
    numbers = {item.instance_id: n for n, item in enumerate(segmented.found.items)}
    masks = Masks(segmented.found, numbers, {})
    first, _ = await services.convert(
        ism.answer_of, http, body, frame, chosen, segmented, output_dir, False
    )
    second, png = await services.convert(
        answer_of, services, http, body, frame, chosen, masks, estimated, output_dir, visualize
    )
    return _joined(http, first, second), png


async def _through_ism(
    services: Services,
    http: HttpRequest,
    body: PipelineRequest,
    images: Images,
    frame: Frame,
    chosen: Chosen,
    output_dir: Path | None,
    visualize: bool,
) -> tuple[PipelineAnswer, bytes | None]:
    """Request the first half from the ISM service."""
    settings = services.settings
    left_s = services.left_of(http, body.timeout_s)
    first = await ism_client.infer(settings.ism_url, settings.token, body, images, left_s)
    given = DetectionsIn.model_validate(first.detections.model_dump())
    masks = await services.convert(
        decode_masks, given, frame.depth.shape, chosen.names, settings.limits
    )
    masks = replace(masks, detections=replace(masks.detections, reason=first.reason))
    result = await _estimate(services, http, frame, masks, body)
    second, png = await services.convert(
        answer_of, services, http, body, frame, chosen, masks, result, output_dir, visualize
    )
    return _joined(http, first, second), png


def _joined(http: HttpRequest, first: InferenceAnswer, second: PoseAnswer) -> PipelineAnswer:
    return PipelineAnswer(
        request_id=http.state.request_id,
        ism_result=first,
        pem_result=second,
        total_time=first.inference_time + second.inference_time,
    )


def answer_of(  # noqa: PLR0913  (the parts of one answer)
    services: Services,
    http: HttpRequest,
    body: PoseOptions,
    frame: Frame,
    chosen: Chosen,
    masks: Masks,
    result: Estimated,
    output_dir: Path | None,
    visualize: bool,
) -> tuple[PoseAnswer, bytes | None]:
    """Return the answer and, if it was asked for, the picture; write the files of SAM-6D."""
    models, poses = result.models, result.poses
    png = None
    if visualize or output_dir is not None:
        picture = poses_picture(frame, poses, models)
        png = results.png(picture) if visualize else None
        if output_dir is not None:
            results.write_poses(output_dir, poses, chosen.names, picture)
    grasps = services.grasps.of(models, {p.class_id for p in poses.items}) if body.grasps else {}
    return PoseAnswer(
        request_id=http.state.request_id,
        poses=poses_out(poses, models, masks.numbers, body.units, grasps),
        failures=_failures(masks, result.failures),
        units=body.units,
        inference_time=result.seconds,
        cad_path_used=chosen.cad_path,
        templates=chosen.templates,
        output_dir_used=None if output_dir is None else str(output_dir),
        reason=poses.reason,
        notes=[*chosen.notes, *result.notes],
        timings_s=dict(result.timings_s),
        visualization=png_text(png),
        cloud=cloud_out(frame) if body.cloud else None,
    ), png


def _failures(masks: Masks, reasons: Mapping[str, str]) -> list[MaskFailure]:
    """Return why masks have no pose: unusable ones, then rejected ones, by their numbers."""
    by_number = {masks.numbers[name]: reason for name, reason in reasons.items()}
    every = sorted({**masks.failures, **by_number}.items())
    return [MaskFailure(object_id=number, reason=reason) for number, reason in every]
