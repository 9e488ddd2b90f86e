"""Route of instance segmentation: ``POST /api/v1/inference``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from fastapi.responses import Response

from sam6d_ros.apps.http import results
from sam6d_ros.apps.http.encode import detections_out, detections_picture
from sam6d_ros.apps.http.inputs import Images, decode_frame, output_folder
from sam6d_ros.apps.http.objects.catalogue import Chosen
from sam6d_ros.apps.http.routes.common import FAILURES, Uploaded, parsed, png_or_json, png_text
from sam6d_ros.apps.http.schemas.common import FrameBody
from sam6d_ros.apps.http.schemas.ism import InferenceAnswer, InferenceRequest
from sam6d_ros.apps.http.services import services_of
from sam6d_ros.apps.http.work import Segmented, segment
from sam6d_ros.types import Frame, Scene

router = APIRouter(tags=["instance segmentation"])


@router.post("/api/v1/inference", response_model=InferenceAnswer, responses=FAILURES)
async def inference(
    body: InferenceRequest, http: HttpRequest, visualize: Annotated[bool, Query()] = False
) -> InferenceAnswer | Response:
    """Find the instances of the objects in one RGB-D frame."""
    return await _infer(http, body, Images.of(body), visualize)


@router.post("/api/v1/inference/upload", response_model=InferenceAnswer, responses=FAILURES)
async def inference_of_files(
    http: HttpRequest,
    upload: Uploaded,
    visualize: Annotated[bool, Query()] = False,
) -> InferenceAnswer | Response:
    """Do the same with images as files, not in base64."""
    body = parsed(InferenceRequest, upload.fields)
    return await _infer(http, body, upload.images, visualize)


async def _infer(
    http: HttpRequest, body: FrameBody, images: Images, visualize: bool
) -> InferenceAnswer | Response:
    services = services_of(http)
    services.check_room()
    output_dir = output_folder(body, services.roots)
    frame = await services.prepare(decode_frame, body, images, services.settings.limits)
    async with services.catalogue.chosen(body) as chosen:
        result = await services.run(
            http,
            lambda engine, ctx: segment(engine, ctx, Scene(frame), chosen.names, body),
            body.timeout_s,
            lambda result: result.found.reason,
        )
    services.metrics.stages(result.timings_s)
    answer, picture = await services.convert(
        answer_of, http, body, frame, chosen, result, output_dir, visualize
    )
    return png_or_json(http, answer, picture)


def answer_of(
    http: HttpRequest,
    body: FrameBody,
    frame: Frame,
    chosen: Chosen,
    result: Segmented,
    output_dir: Path | None,
    visualize: bool,
) -> tuple[InferenceAnswer, bytes | None]:
    """Return the answer and, if it was asked for, the picture; write the files of SAM-6D."""
    png = None
    if visualize or output_dir is not None:
        picture = detections_picture(frame, result.found)
        png = results.png(picture) if visualize else None
        if output_dir is not None:
            results.write_detections(output_dir, result.found, chosen.names, picture)
    return InferenceAnswer(
        request_id=http.state.request_id,
        inference_time=result.seconds,
        num_detections=len(result.found),
        template_dir_used=chosen.template_dir,
        templates=chosen.templates,
        cad_path_used=chosen.cad_path,
        output_dir_used=None if output_dir is None else str(output_dir),
        detections=detections_out(result.found, chosen.names, body.mask_format),
        reason=result.found.reason,
        notes=[*chosen.notes, *result.notes],
        timings_s=dict(result.timings_s),
        visualization=png_text(png),
    ), png
