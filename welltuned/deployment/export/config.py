"""What `welltuned export RUN to=…` is asked."""

from __future__ import annotations

from pydantic import Field

from welltuned.schema.document import Document
from welltuned.schema.part import Part
from welltuned.schema.validation import validated


class ExportLimits(Part):
    """What an export may cost."""

    drop: float = Field(default=0.5, ge=0)
    """The most points of the score that may be lost, with 95% confidence. A point is a hundredth of
    a score whose best is 1, and a hundredth of its value of any other."""


class ExportSettings(Part):
    """In which format a tuned model is exported, and where to."""

    to: str = Field(examples=["openvino"])
    """The format."""
    precision: str | None = Field(default=None, examples=["int8"])
    """int8, fp16 or fp32, as far as the format has it. Default: the first of the format's own."""
    out: str | None = Field(default=None, examples=["exports/reviews"])
    """The folder to write. Default: RUN/exports/FORMAT-PRECISION."""
    limits: ExportLimits = ExportLimits()
    """What it may cost."""


def export_limits(drop: float | None) -> ExportLimits:
    """With so many points that may be lost, or as many as by default. Raises `InputError`."""
    given = {} if drop is None else {"drop": drop}
    return validated(ExportLimits, Document(given, source="arguments"))
