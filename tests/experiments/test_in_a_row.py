"""Runs in a row are told together: answers by question, scores, and what was forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from welltuned.evaluation.text_change import TextChange
from welltuned.experiments import in_a_row
from welltuned.runs import Run

PHASES = {"phases": {"train": 2.0, "test": 1.5}}


def written(folder: Path, rows: list[dict[str, Any]], **results: Any) -> Run:
    folder.mkdir(parents=True)
    run = Run(folder)
    run.write("results.json", {"cost": PHASES, **results})
    run.write_lines("predictions.jsonl", rows)
    return run


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Run]:
    said = {"prompt": "user: What is 1 + 1?", "reference": "Answer: 2", "before": "Well,"}
    examples = written(
        tmp_path / "examples",
        [{"id": "a", "response": "Answer: 3", **said}, {"id": "b", "prompt": "user: not asked"}],
        test={"exact_match": 0.5, "exact_match_ci95": [0.25, 0.75]},
        baselines={"untrained": {"exact_match": 0.0}},
    )
    preferences = written(
        tmp_path / "preferences", [], test={"margin": 0.75}, baselines={"likelier": {}}
    )
    test = {"reward": 0.5, "reward_gain": 0.25, "reward_gain_ci95": [0.0, 0.5], "kl": 0.125}
    rewards = written(tmp_path / "rewards", [], stages={"sft": None, "rl": "stages/rl"})
    written(
        tmp_path / "rewards/stages/rl",
        [{"id": "b", "before": "x", "response": "y"}, {"id": "a", "before": "2", "response": "2."}],
        test=test,
        baselines={"sft": {"reward": 0.25}},
    )
    return {"examples": examples, "preferences": preferences, "rewards": rewards}


def test_answers_to_one_question_stand_together_and_scores_have_their_intervals(
    runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def change(before: Any, after: Any, texts: Any) -> TextChange:
        asked.append((before.name, after.name, len(texts)))
        return TextChange(len(texts), 3.0, 3.5, [0.25, 0.75])

    monkeypatch.setattr(in_a_row, "text_change", change)
    found: Any = in_a_row.what_changed(runs, "org/base")
    assert asked == [("org/base", str(runs["rewards"].folder), 24)]
    assert found["answers"] == [
        {
            "question": "What is 1 + 1?",
            "reference": "Answer: 2",
            "the model as it was": "Well,",
            "after examples": "Answer: 3",
            "after preferences": "2",
            "after rewards": "2.",
        }
    ]
    assert found["examples"] == {
        "metric": "exact_match", "before": 0.0, "after": 0.5, "after_ci95": [0.25, 0.75],
    }  # fmt: skip
    assert found["preferences"]["before"] is None and found["preferences"]["after"] == 0.75
    assert (found["rewards"]["before"], found["rewards"]["gain"]) == (0.25, 0.25)
    assert found["forgotten"]["difference"] == 0.5
    assert found["seconds"] == {"examples": 3.5, "preferences": 3.5, "rewards": 3.5}
