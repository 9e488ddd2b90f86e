"""Routes of predictions: one image or several, in any of three body formats."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from fastapi.responses import Response
from numpy.typing import NDArray

from sam6d_ros.apps.http import results
from sam6d_ros.apps.http.decode import decode_rgb
from sam6d_ros.apps.http.errors import DEFECT_TEXT
from sam6d_ros.apps.http.limits import check_count
from sam6d_ros.apps.http.model_server.services import ModelServices, models_of
from sam6d_ros.apps.http.routes.common import FAILURES, png_or_json, png_text
from sam6d_ros.apps.http.schemas.common import Share
from sam6d_ros.apps.http.schemas.predict import (
    BatchAnswer,
    BatchItem,
    BatchRequest,
    DetectionOut,
    PoseOfObject,
    PredictAnswer,
    Prediction,
    PredictRequest,
)
from sam6d_ros.apps.http.uploads import batch_images, body_schema, single_image
from sam6d_ros.apps.http.waiting import result_for
from sam6d_ros.errors import Sam6dError
from sam6d_ros.runtime.model_server.frame_model import FrameAnswer, FrameInput
from sam6d_ros.types import PoseEstimate

_LOG = logging.getLogger(__name__)
router = APIRouter(prefix="/predict", tags=["predictions"])
ModelName = Annotated[
    str | None, Query(max_length=64, description="name of the model (default: the default one)")
]
Threshold = Annotated[
    Share | None, Query(description="lowest score that is returned (default: the model's)")
]
Visualize = Annotated[bool, Query(description="whether a picture of the result is returned too")]


@router.post(
    "", response_model=PredictAnswer, responses=FAILURES, openapi_extra=body_schema(PredictRequest)
)
async def predict(
    http: HttpRequest,
    model: ModelName = None,
    threshold: Threshold = None,
    visualize: Visualize = False,
) -> Response:
    """Find the things in one image; with `Accept: image/png` the answer is the picture alone."""
    services = models_of(http)
    name = services.model_named(model)
    services.registry.check_room(name)  # before the body is read
    data = await single_image(http)
    result, png = await _result(services, http, name, data, threshold, visualize)
    answer = PredictAnswer(request_id=http.state.request_id, model=name, result=result)
    return png_or_json(http, answer, png)


@router.post("/batch", responses=FAILURES, openapi_extra=body_schema(BatchRequest))
async def predict_batch(
    http: HttpRequest,
    model: ModelName = None,
    threshold: Threshold = None,
    visualize: Visualize = False,
) -> BatchAnswer:
    """Find the things in several images; an image that fails does not harm the others."""
    services = models_of(http)
    name = services.model_named(model)
    images = await batch_images(http)
    check_count("images", len(images), services.settings.batch_images)
    # as many at once as a call of the model takes, and one that is decoded meanwhile: the queue is
    # for other clients too
    places = asyncio.Semaphore(services.registry.get(name).spec.batch_limit + 1)

    async def item(data: str | bytes) -> BatchItem:
        async with places:
            try:
                result, _ = await _result(services, http, name, data, threshold, visualize)
            except Sam6dError as error:
                return BatchItem(success=False, error_message=str(error))
            except Exception:
                _LOG.exception("request %s failed for an image", http.state.request_id)
                return BatchItem(success=False, error_message=DEFECT_TEXT)
        return BatchItem(success=True, result=result)

    items = await asyncio.gather(*(item(data) for data in images))
    return BatchAnswer(
        request_id=http.state.request_id,
        model=name,
        num_failed=sum(not item.success for item in items),
        results=items,
    )


async def _result(
    services: ModelServices,
    http: HttpRequest,
    model: str,
    data: str | bytes,
    threshold: float | None,
    visualize: bool,
) -> tuple[Prediction, bytes | None]:
    """Return the result of one image, and its picture if it is wanted."""
    request_id = http.state.request_id
    item, future = await services.convert(_queued, services, model, data, threshold, request_id)
    answer = await result_for(http, future, future.cancel)
    return await services.convert(prediction_of, answer, item.image_rgb, visualize)


def _queued(
    services: ModelServices, model: str, data: str | bytes, threshold: float | None, request_id: str
) -> tuple[FrameInput, Future[FrameAnswer]]:
    """Decode an image and queue it, unless the queue of its model has filled meanwhile.

    Both in one thread, so that no thread decodes a second image before the first has its place.

    Returns:
        The decoded image, and the future of its answer.
    """
    services.registry.check_room(model)
    item = FrameInput(decode_rgb(data, "image", services.settings.limits), threshold)
    return item, services.registry.submit(model, item, request_id=request_id)


def prediction_of(
    answer: FrameAnswer, image_rgb: NDArray[np.uint8], visualize: bool
) -> tuple[Prediction, bytes | None]:
    """Return the answer of a model as JSON values, and as a picture."""
    png = results.png(answer.draw(image_rgb)) if visualize else None
    height, width = image_rgb.shape[:2]
    return result_of(answer, (width, height), png), png


def result_of(answer: FrameAnswer, size: tuple[int, int], png: bytes | None = None) -> Prediction:
    """Return the answer of a model as JSON values.

    Args:
        size: width and height of the image, pixels.
        png: picture of the result, if it is wanted.
        answer: of the model.
    """
    boxes = answer.boxes
    return Prediction(
        width=size[0],
        height=size[1],
        num_detections=len(boxes),
        detections=[
            DetectionOut(label=label, score=float(score), box_xyxy=[float(x) for x in xyxy])
            for label, score, xyxy in zip(boxes.labels, boxes.scores, boxes.xyxy, strict=True)
        ],
        poses=None if answer.poses is None else [_pose(pose) for pose in answer.poses.items],
        timings_ms={phase: 1e3 * seconds for phase, seconds in answer.seconds.items()},
        visualization=png_text(png),
    )


def _pose(pose: PoseEstimate) -> PoseOfObject:
    return PoseOfObject(
        name=pose.class_id,
        instance_id=pose.instance_id,
        score=pose.score,
        cam_from_obj=pose.cam_from_obj.tolist(),
    )
