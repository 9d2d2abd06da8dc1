"""Whatever can answer is opened by its folder."""

from __future__ import annotations

from welltuned.deployment.open import open_predictor
from welltuned.runs import Run


def test_a_run_and_its_model_folder_answer_alike(finished: Run) -> None:
    texts = ["good film", "bad film"]
    answers = [
        open_predictor(path, "cpu").predict(texts) for path in (finished.folder, finished.model)
    ]
    assert answers[0] == answers[1]
