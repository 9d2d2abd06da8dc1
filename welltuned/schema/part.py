"""The parts of a config: strict and frozen pydantic models."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from welltuned.errors import Fault
from welltuned.schema.plugins import OneOf


class Part(BaseModel):
    """A piece of a config: immutable, and closed to keys it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        allow_inf_nan=False,
    )

    shorthand: ClassVar[str | None] = None
    """The key that a bare value stands for: `strategy: lora` means `strategy: {type: lora}`."""

    goes_without_type: ClassVar[bool] = False
    """Whether people leave its `type` out, for it is what stands there where none is written."""

    stands_with: ClassVar[Mapping[str, str]] = {}
    """Keys without which its `type` says too little, with a value of each, for examples."""

    @classmethod
    def is_told_by_type(cls) -> bool:
        """Whether a `type` is written for it."""
        kind = cls.model_fields.get("type")
        return kind is not None and isinstance(kind.default, str) and not cls.goes_without_type


PartT = TypeVar("PartT", bound=Part)


def conflict(code: str, what: str, remedy: str, /, **values: object) -> PydanticCustomError:
    """The error for a validator to raise when keys contradict each other.

    The arguments are those of `Fault`; the place is found where the config is read.
    """
    return conflict_of(Fault(code, what, None, remedy, **values))


def conflict_of(fault: Fault) -> PydanticCustomError:
    """The same from a fault that says what contradicts."""
    return PydanticCustomError("conflict", "{what}", {"what": fault.what, "fault": fault})


def parts_under(schema: type[Part], key: str) -> list[type[Part]]:
    """The parts that may stand under a key, looking through unions and `Annotated`."""
    if key not in schema.model_fields:
        return []
    field = schema.model_fields[key]
    found: list[type[Part]] = []
    waiting = [field.annotation, *field.metadata]
    if any(isinstance(one, OneOf) for one in field.metadata):
        waiting = list(field.metadata)  # and not the base that they have in common
    while waiting:
        annotation = waiting.pop(0)
        if isinstance(annotation, OneOf):
            found.extend(annotation.imported)
        elif isinstance(annotation, type) and issubclass(annotation, Part):
            found.append(annotation)
        else:
            arguments = typing.get_args(annotation)
            chosen = [one for one in arguments if isinstance(one, OneOf)]
            waiting.extend(chosen or arguments)
    return found
