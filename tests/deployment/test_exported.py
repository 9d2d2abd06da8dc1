"""An exported model, opened again: whole, and answering as any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from exporting import written
from faults import refused
from support import make_rows
from welltuned.deployment.exported import ExportedPredictor
from welltuned.models.checksums import SUMS
from welltuned.runs import Run
from welltuned.runs.export_schema import EXPORT_FILE

TEXTS = [row["text"] for row in make_rows(9, seed=5)]


@pytest.fixture
def copy(quantised: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(quantised, tmp_path / "copy"))


def test_it_scores_a_file_and_streams(quantised: Path, sentiment: str, adapted: Run) -> None:
    predictor = ExportedPredictor.of(quantised)
    scores = predictor.evaluate(sentiment)
    assert scores["examples"] > 0
    assert scores["trained_on"] is not None, "the run that it is of knows its texts"
    assert len(list(predictor.stream(iter(TEXTS)))) == len(TEXTS)


def test_one_bit_that_flips_is_found(copy: Path) -> None:
    weights = copy / "model.onnx"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with refused("artifact.file_changed", place=str(weights)):
        ExportedPredictor.of(copy)


def test_what_it_says_of_itself_is_hashed_too(copy: Path) -> None:
    told: dict[str, Any] = json.loads((copy / EXPORT_FILE).read_text(encoding="utf-8"))
    told["model"]["max_length"] = 3
    (copy / EXPORT_FILE).write_text(json.dumps(told), encoding="utf-8")
    with refused("artifact.file_changed", place=str(copy / EXPORT_FILE)):
        ExportedPredictor.of(copy)


def test_a_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "onnx", model={"task": "none"})
    assert not (folder / SUMS).exists()
    with refused("artifact.manifest_unreadable", place=str(folder / EXPORT_FILE)):
        ExportedPredictor.of(folder)


def test_one_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with refused("schema.newer_version"):
        ExportedPredictor.of(written(tmp_path / "onnx", schema_version=99))
