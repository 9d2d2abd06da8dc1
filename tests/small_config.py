"""A small config for tests of how configs are read, validated and explained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.errors import Fault, Faults
from welltuned.schema.document import apply_overrides, read_document
from welltuned.schema.part import Part, conflict
from welltuned.schema.validation import validate


class Small(Part):
    type: Literal["small"] = "small"
    rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"


class Large(Part):
    type: Literal["large"] = "large"
    depth: int = 3


class Source(Part):
    shorthand: ClassVar[str | None] = "name"
    name: str
    columns: dict[str, str] = Field(default_factory=dict)
    first: int | None = None
    last: int | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Source:
        if self.first is not None and self.last is not None and self.first > self.last:
            raise conflict("test.reversed", "'source.first' is behind 'source.last'", "swap them")
        return self


class Whole(Part):
    source: Source
    method: Annotated[Small | Large, Field(discriminator="type")] = Small()
    limit: int = Field(default=1, ge=1)
    mode: Literal["fast", "slow"] = "fast"
    weights: Literal["none"] | dict[str, float] = "none"


def read(tmp_path: Path, text: str | bytes, *overrides: str) -> tuple[Whole | None, list[Fault]]:
    """The config and the faults."""
    file = tmp_path / "c.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    faults = Faults()
    document = read_document(file, faults)
    apply_overrides(document, overrides, Whole, faults)
    config = validate(Whole, document, faults) if document.values else None
    return config, list(faults)
