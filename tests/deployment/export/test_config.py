"""What `welltuned export` is asked."""

from __future__ import annotations

import pytest

from faults import codes, refused
from welltuned.deployment.export.config import ExportSettings, export_limits
from welltuned.errors import InputError
from welltuned.schema.validation import read_settings


def test_all_keys_are_read() -> None:
    asked = ["to=onnx", "precision=fp16", "out=exports/a b", "limits.drop=1.5"]
    settings = read_settings(ExportSettings, asked)
    assert (settings.to, settings.precision, settings.out) == ("onnx", "fp16", "exports/a b")
    assert settings.limits.drop == 1.5


def test_half_a_point_may_be_lost_where_nobody_says() -> None:
    settings = read_settings(ExportSettings, ["to=plain"])
    assert settings.limits.drop == export_limits(None).drop == 0.5
    assert settings.precision is None and settings.out is None


def test_unknown_keys_are_told_all_at_once() -> None:
    with pytest.raises(InputError) as caught:
        read_settings(ExportSettings, ["to=onnx", "presision=int8", "limits.drops=1"])
    assert codes(caught.value.faults) == ["config.key_unknown"] * 2
    assert {fault.values["key"] for fault in caught.value.faults} == {"presision", "limits.drops"}


def test_no_format_is_a_fault() -> None:
    with refused("config.key_missing"):
        read_settings(ExportSettings, [])


@pytest.mark.parametrize("drop", [-0.1, float("nan")])
def test_less_than_nothing_cannot_be_lost(drop: float) -> None:
    for ask in (
        lambda: export_limits(drop),
        lambda: read_settings(ExportSettings, ["to=onnx", f"limits.drop={drop}"]),
    ):
        with pytest.raises(InputError):
            ask()
