"""What tests hold faults to: their codes and values, not their words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from welltuned.errors import Fault, InputError, RunFailed, WelltunedError
from welltuned.schema.messages import Message


def codes(faults: Iterable[Fault]) -> list[str]:
    return [fault.code for fault in faults]


def brief(faults: Iterable[Fault]) -> list[str]:
    """Each as `place code`, files without their folders: `train.csv:3:2 data.cell_missing`."""
    return [f"{_place(fault)} {fault.code}".strip() for fault in faults]


def full(faults: Iterable[Fault]) -> list[str]:
    """Each as `place code name=value …`."""
    short = zip(brief(faults := list(faults)), faults, strict=True)
    return [
        " ".join([text, *(f"{k}={v}" for k, v in fault.values.items())]) for text, fault in short
    ]


def noted(messages: Iterable[Message]) -> list[str]:
    """Each message as `code name=value …`, files without their folders."""
    return [
        " ".join([one["code"], *(f"{k}={_short(v)}" for k, v in one["values"].items())])
        for one in messages
    ]


def _short(value: object) -> object:
    is_path = isinstance(value, str) and value.startswith("/")
    return Path(str(value)).name if is_path else value


def _place(fault: Fault) -> str:
    if fault.place is None:
        return ""
    source = fault.place.source
    return str(fault.place).replace(source, Path(source).name if "'" not in source else source, 1)


@contextmanager
def refused(
    *expected: str,
    place: str | None = None,
    error: type[WelltunedError] = InputError,
    **values: Any,
) -> Iterator[pytest.ExceptionInfo[Any]]:
    """The block raises an error of exactly these codes.

    `place` and `values` are some of those of the first fault.
    """
    with pytest.raises(error) as caught:
        yield caught
    faults = caught.value.faults
    assert codes(faults) == list(expected)
    if place is not None:
        assert str(faults[0].place) == place
    assert {name: faults[0].values.get(name) for name in values} == values


@contextmanager
def fails(expected: str, **values: Any) -> Iterator[pytest.ExceptionInfo[Any]]:
    """The block raises `RunFailed` of this code, with these values among its own."""
    with refused(expected, error=RunFailed, **values) as caught:
        yield caught
