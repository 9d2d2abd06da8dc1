"""Options of a PEFT method, held against its config class: their names, their types, and what the
class says of them itself."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from welltuned.schema.part import conflict
from welltuned.strategies.peft_library.methods import config_classes

_SET_HERE = (
    "auto_mapping", "base_model_name_or_path", "inference_mode", "peft_type", "peft_version",
    "revision", "task_type",
)  # fmt: skip
"""What follows from the run."""


def option_names(method: str) -> list[str]:
    """The options of a method, by PEFT's names."""
    every = (one.name for one in fields(config_classes()[method]) if one.init)
    return [name for name in every if name not in _SET_HERE]


def check_options(method: str, options: Mapping[str, object]) -> None:
    """Raise the error of a validator for an option that the method does not have, that is of
    another type, or that PEFT refuses."""
    known = option_names(method)
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise conflict(
                "strategy.peft_option_unknown",
                "PEFT's method '{method}' has no option '{name}'",
                "{hint}(options: {known})",
                method=method,
                name=name,
                hint=hint,
                known=", ".join(known),
            )
    _check_types(method, options)
    try:
        config_classes()[method](**options)
    except Exception as error:  # each class has its own way to say no
        raise conflict(
            "strategy.peft_options_refused",
            "PEFT's method '{method}' refuses these options: {reason}",
            "change them as it says",
            method=method,
            reason=(str(error).splitlines() or [type(error).__name__])[0],
        ) from error


def _check_types(method: str, options: Mapping[str, object]) -> None:
    try:
        hints = typing.get_type_hints(config_classes()[method])
    except NameError:  # of a class that PEFT itself imports for its type checker alone
        return
    for name, value in options.items():
        if name not in hints:
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(
            hints[name], config=ConfigDict(arbitrary_types_allowed=True)
        )
        try:
            adapter.validate_python(_as_lists(value))
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise conflict(
                "strategy.peft_option_of_another_type",
                "'{name}' of PEFT's method '{method}' is {given}",
                "{reason}",
                name=name,
                method=method,
                given=f"{value!r}"[:80],
                reason=reason[0].lower() + reason[1:],
            ) from error


def _as_lists(value: Any) -> Any:
    """What a config holds as tuples, as PEFT's classes have it."""
    return [_as_lists(one) for one in value] if isinstance(value, tuple) else value
