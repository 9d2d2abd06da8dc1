"""Judges by what has to be there for them, and what they may not say at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import refused
from welltuned.rlhf.read_config import rlhf_config_from
from welltuned.rlhf.rewards.judge import JudgeSource


@pytest.mark.parametrize(
    ("values", "kind", "name"),
    [
        ({"run": "runs/rm"}, "run", "runs/rm"),
        ({"function": "my.judge"}, "function", "my.judge"),
        ({"model": "org/rm"}, "model", "org/rm"),
        ({"model": "org/rm", "data": "d.csv"}, "trained", "org/rm"),
        ({"data": "d.csv"}, "trained", "reward model"),
    ],
)
def test_each_kind_is_known_by_its_keys(values: dict[str, Any], kind: str, name: str) -> None:
    judge = JudgeSource.model_validate(values)
    assert (judge.kind, judge.name) == (kind, name)


def test_one_that_is_trained_is_a_reward_model_unless_told() -> None:
    def kind(**task: object) -> str | None:
        judge = JudgeSource.model_validate({"data": "d.csv", "task": task})
        return judge.task.type if judge.task is not None else None

    assert kind(max_length=32) == "reward" and kind(type="classification") == "classification"


def test_a_finished_run_is_where_it_is_and_one_of_this_pipeline_in_its_folder() -> None:
    assert JudgeSource(run="runs/rm").made_in(Path("here")) == Path("runs/rm")
    trained = JudgeSource.model_validate({"data": "d.csv"})
    assert trained.made_in(Path("here")) == Path("here")


def test_a_function_reads_the_columns_that_it_names_and_has_to_be_there() -> None:
    judge = JudgeSource(function="my_judges.wants_word", columns=("text", "word"))
    assert judge.needed_columns == ("text", "word")
    judge.require()
    with refused("import.failed", path="my_judges.wants_nothing"):
        JudgeSource(function="my_judges.wants_nothing").require()


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, "rlhf.reward_without_source"),
        ({"run": "a", "function": "b.c"}, "rlhf.reward_ambiguous"),
        ({"function": "a.b", "strategy": "full"}, "rlhf.reward_key_unused"),
        ({"function": "a.b", "label": "good"}, "rlhf.reward_label_of_function"),
        ({"model": "org/rm", "columns": ["b"]}, "rlhf.reward_key_of_functions"),
    ],
)
def test_what_nobody_would_read_is_refused(values: dict[str, Any], code: str) -> None:
    with refused(code):
        rlhf_config_from({"model": "m", "data": "d.csv", "reward": values})
