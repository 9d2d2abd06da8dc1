"""What a run draws by contrast, what is refused before any weight is loaded, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faults import noted, refused
from support import config_values, make_rows, write_rows
from welltuned.config import run_config_from
from welltuned.training.preparation.prepare import RunPlan, prepare

Asked = Callable[..., RunPlan]


@pytest.fixture
def planned(tiny: Callable[..., str], few: str, tmp_path: Path) -> Asked:
    """`planned(data, task=…, group_size=…)`: such a run, prepared."""

    def make(data: Any = None, training: Any = None, task: Any = None, **options: Any) -> RunPlan:
        strategy = {"type": "contrastive", "group_size": 8, **options}
        parts = {"task": task or {"pooling": "mean"}, "training": training or {}}
        values = config_values(tiny("bert"), data or few, strategy, tmp_path / "run", **parts)
        return prepare(run_config_from(values))

    return make


def test_groups_are_drawn_of_the_training_texts(planned: Asked) -> None:
    plan = planned(rounds=3)
    groups, texts = plan.learned, plan.examples["train"]
    assert plan.labelled is plan.with_replay is texts
    assert groups.units == 8
    assert 3 * len(texts) <= 8 * len(groups) < 3 * len(texts) + 3 * 10
    batch = plan.learned_by.codec.collate(groups, [1, 0], plan.pad_id)
    assert texts.targets is not None
    rows = groups.rows_of([1, 0])
    assert batch["labels"].argmax(axis=1).tolist() == texts.targets[rows].tolist()
    assert (batch["input_ids"] != plan.pad_id).sum(axis=1).tolist() == [
        len(texts.encoded[row]) for row in rows
    ]
    assert "strategy.contrast_drawn size=8 rounds=3 texts=48" in noted(plan.data.facts.notes)


def test_another_strategy_learns_as_before(tiny: Any, few: str, tmp_path: Path) -> None:
    plan = prepare(run_config_from(config_values(tiny("bert"), few, "full", tmp_path / "run")))
    assert plan.learned is plan.examples["train"]
    assert plan.learned_by is plan.problem
    assert not [note for note in noted(plan.data.facts.notes) if "contrast" in note]


def test_labels_names_are_texts_beside_the_others(planned: Asked) -> None:
    plan = planned(label_template="it was {label}")
    texts, own = plan.labelled, plan.examples["train"]
    assert texts.targets is not None
    assert len(texts) == len(own) + 2
    assert texts.targets[-2:].tolist() == [0, 1]
    assert texts.records["text"][-2:] == [f"it was {name}" for name in plan.problem.labels]
    assert len(texts.encoded[len(own)]) > 3
    assert np.unique(plan.learned.rows_of(range(len(plan.learned)))).max() == len(texts) - 1


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"training": {"per_device_train_batch_size": 4}}, "strategy.contrast_unsupported"),
        ({"training": {"per_device_train_batch_size": "auto"}}, "strategy.contrast_unsupported"),
        ({"task": {"pooling": "mean", "focal_gamma": 2}}, "strategy.contrast_unsupported"),
        ({"task": {"pooling": "mean", "long": "windows"}}, "strategy.contrast_unsupported"),
    ],
)
def test_what_contrast_cannot_have_is_refused(
    planned: Asked, parts: dict[str, Any], code: str
) -> None:
    with refused(code, strategy="contrastive"):
        planned(**parts)


def test_a_task_whose_answers_are_no_labels_is_refused(planned: Asked, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "label": 0.5 + i} for i, row in enumerate(make_rows(40))]
    numbers = write_rows(tmp_path / "numbers.jsonl", rows)
    with refused("strategy.contrast_without_labels"):
        planned(numbers, task={"problem": "regression", "pooling": "mean"})
    rows = [
        {"words": row["text"].split(), "tags": ["O"] * len(row["text"].split())} for row in rows
    ]
    for row in rows[::2]:
        row["tags"][0] = "B-GOOD"
    with refused("strategy.contrast_without_labels"):
        planned(write_rows(tmp_path / "tags.jsonl", rows), task={"type": "token_classification"})


@pytest.fixture
def lonely(tmp_path: Path) -> dict[str, str]:
    """Splits of which the training data have a label of a single text."""
    rows = make_rows(40)
    once = {"text": "the room was very slow", "label": "mixed"}
    train = write_rows(tmp_path / "lonely.jsonl", [*rows[:20], once])
    return {
        "train": train,
        "validation": write_rows(tmp_path / "validation.jsonl", rows[20:30]),
        "test": write_rows(tmp_path / "test.jsonl", rows[30:]),
    }


def test_a_label_of_one_text_is_refused_where_it_stands(
    planned: Asked, lonely: dict[str, str]
) -> None:
    where = f"{lonely['train']}:21"
    with refused("strategy.contrast_unpaired", place=where, number=1, labels="mixed"):
        planned(lonely)


def test_its_name_can_be_its_second_text(planned: Asked, lonely: dict[str, str]) -> None:
    plan = planned(lonely, label_template="{label}")
    rows = np.array(plan.learned.rows_of(range(len(plan.learned)))).reshape(-1, 8)
    targets = plan.labelled.targets
    assert targets is not None
    mixed = plan.problem.labels.index("mixed")
    for group in rows[(targets[rows] == mixed).any(axis=1)]:
        assert (targets[group] == mixed).sum() >= 2


def test_it_says_from_which_size_on_it_is_not_expected_to_pay(
    planned: Asked, tmp_path: Path
) -> None:
    many = write_rows(tmp_path / "many.jsonl", make_rows(200))
    told = [note for note in noted(planned(many).data.facts.notes) if "contrast_of_many" in note]
    assert len(told) == 1
    assert "limit=64" in told[0]
    assert not [n for n in noted(planned().data.facts.notes) if "contrast_of_many" in n]
