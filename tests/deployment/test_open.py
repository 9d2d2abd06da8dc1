"""Whatever can answer is opened by its folder."""

from __future__ import annotations

from pathlib import Path

from exporting import written
from faults import refused
from welltuned.deployment.open import open_predictor
from welltuned.runs import Run


def test_a_run_and_its_model_folder_answer_alike(finished: Run) -> None:
    texts = ["good film", "bad film"]
    answers = [
        open_predictor(path, "cpu").predict(texts) for path in (finished.folder, finished.model)
    ]
    assert answers[0] == answers[1]


def test_what_holds_no_model_is_told(tmp_path: Path) -> None:
    with refused("artifact.neither_run_nor_model"):
        open_predictor(tmp_path)


def test_a_device_that_no_export_has_is_refused(tmp_path: Path) -> None:
    with refused("export.cpu_alone", device="cuda"):
        open_predictor(written(tmp_path / "onnx"), "cuda")
