"""Answers about registered objects."""

from __future__ import annotations

from pydantic import BaseModel, Field

from sam6d_ros.apps.http.schemas.common import Answer


class ObjectOut(BaseModel):
    """One registered object."""

    name: str
    diameter_m: float
    box_size_m: list[float] = Field(description="of the CAD box, metres")
    faces: int
    coloured: bool
    symmetries: int = Field(description="discrete motions that keep the look, with the identity")
    symmetry_axes: int = Field(description="axes of continuous symmetry")
    unit_note: str = Field(description="how the unit of the file was decided")
    uploaded: bool = Field(description="whether it can be deleted over HTTP")


class ObjectAnswer(Answer):
    """Answer about one object."""

    object: ObjectOut


class ObjectsAnswer(Answer):
    """Answer of ``GET /api/v1/objects``."""

    objects: list[ObjectOut]
