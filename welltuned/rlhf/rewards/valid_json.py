"""A response is JSON, and as a schema wants it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NoReturn

from pydantic import Field

from welltuned.errors import Fault, InputError
from welltuned.rlhf.rewards.base import Check
from welltuned.rlhf.rewards.fenced import fenced_blocks


class ValidJson(Check):
    """1 where a response is JSON that a schema allows, else 0."""

    type: Literal["json"] = "json"
    json_schema: dict[str, Any] | None = Field(
        default=None, examples=[{"type": "object", "required": ["name"]}]
    )
    """A JSON Schema (json-schema.org) that it has to keep to; `pip install 'welltuned[rewards]'`.
    Without one any JSON will do. References lead to places within it: nothing is fetched."""
    fenced: bool = False
    """Read the first block of JSON between ``` and ```, whatever stands around it, and not all of a
    response."""

    def require(self) -> None:
        if self.json_schema is not None:
            _validator_of(json.dumps(self.json_schema))

    def score(self, response: str, cells: Mapping[str, object]) -> float:
        text: str | None = response
        if self.fenced:
            text = next(iter(fenced_blocks(response, ["json"])), None)
        try:
            value = json.loads(text or "", parse_constant=_refuse)
            return float(self._is_allowed(value))
        except (ValueError, RecursionError):
            return 0.0

    def _is_allowed(self, value: object) -> bool:
        if self.json_schema is None:
            return True
        return bool(_validator_of(json.dumps(self.json_schema)).is_valid(value))


def _refuse(constant: str) -> NoReturn:
    """NaN and Infinity, which Python reads, are no JSON."""
    raise ValueError(constant)


@cache
def _validator_of(schema_text: str) -> Any:
    """A validator of `jsonschema`. Raises `InputError` without it, and for what is no schema."""
    try:
        from jsonschema import SchemaError, validators
        from referencing import Registry
    except ImportError as error:
        raise InputError(
            Fault(
                "rlhf.jsonschema_missing",
                "a JSON Schema needs the package jsonschema",
                None,
                "pip install 'welltuned[rewards]'",
            )
        ) from error
    schema = json.loads(schema_text)
    kind = validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise InputError(
            Fault(
                "rlhf.json_schema_invalid",
                "'reward.json_schema' is no JSON Schema: {reason}",
                None,
                "see json-schema.org",
                reason=error.message,
            )
        ) from error
    return kind(schema, registry=Registry())
