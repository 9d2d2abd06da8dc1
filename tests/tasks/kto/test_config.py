"""What is found in the data, and what is refused before any weight is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import noted, refused
from support import config_values, make_thumbs, write_rows
from welltuned.config import run_config_from
from welltuned.training.preparation.prepare import prepare


def prepared(model: str, data: str, tmp_path: Path, **parts: Any) -> Any:
    values = config_values(model, data, "lora", tmp_path / "run", **{"task": "kto", **parts})
    return prepare(run_config_from(values))


def test_weights_and_counts_are_told(causal: Any, tmp_path: Path) -> None:
    rows = [row for i, row in enumerate(make_thumbs(40)) if row["label"] or i % 3 == 0]
    plan = prepared(causal("llama"), write_rows(tmp_path / "a.jsonl", rows), tmp_path)
    counts = plan.data.facts.task["counts"]["train"]
    assert counts["true"] > 2 * counts["false"]
    problem = plan.problem
    assert problem.desirable_weight == 1.0
    assert problem.undesirable_weight == pytest.approx(counts["true"] / counts["false"])
    told = [one for one in noted(plan.data.facts.notes) if "thumbs_weighted" in one]
    assert len(told) == 1 and f"ups={counts['true']}" in told[0]
    assert problem.presenter.headline(plan.data.facts.task).startswith("KTO over")


@pytest.mark.parametrize("label", [True, False])
def test_thumbs_of_one_kind_are_refused(label: bool, causal: Any, tmp_path: Path) -> None:
    rows = [row for row in make_thumbs(30) if row["label"] == label]
    with refused("task.thumbs_all_alike", kind="good" if label else "bad"):
        prepared(causal("llama"), write_rows(tmp_path / "a.jsonl", rows), tmp_path)


def test_texts_by_themselves_and_smoothed_labels_are_refused(
    causal: Any, thumbs: str, tmp_path: Path
) -> None:
    rows = [{"text": row["completion"], "label": row["label"]} for row in make_thumbs(30)]
    with refused("task.thumbs_without_prompts"):
        prepared(causal("llama"), write_rows(tmp_path / "a.jsonl", rows), tmp_path)
    smoothing = {"label_smoothing_factor": 0.1}
    with refused("task.label_smoothing_of_preferences"):
        prepared(causal("llama"), thumbs, tmp_path, training=smoothing)
