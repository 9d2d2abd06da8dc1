"""The formats that there are."""

from __future__ import annotations

import pytest

from faults import refused
from welltuned.deployment.export.formats import EXPORT_FORMATS, export_format

NAMES = ["onnx", "openvino", "gguf", "sentence-transformers", "plain"]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_found_by_its_own_name(name: str) -> None:
    format = export_format(name)
    assert format.name == name and format is EXPORT_FORMATS[name]
    assert set(format.precisions) <= {"int8", "fp16", "fp32"}
    assert bool(format.packages) == (format.extra is not None), "what it needs can be installed"


def test_all_are_named_where_there_is_no_such() -> None:
    assert list(EXPORT_FORMATS) == NAMES
    with refused("export.format_unknown", name="tflite", known=", ".join(NAMES)) as caught:
        export_format("tflite")
    assert "out=FOLDER" in caught.value.faults[0].remedy


def test_extras_that_are_named_can_be_installed() -> None:
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"]
    assert {one.extra for one in EXPORT_FORMATS.values() if one.extra} <= set(extras)
