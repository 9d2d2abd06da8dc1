"""What counts where keys speak of the same, and what has to hold together."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrating import found, loaded, migrated
from welltuned.drafts.migration.carry import marks_of, takes

TRL = "model_name_or_path: m\ndataset_name: a/b\nlearning_rate: 1.0e-4\n"


def test_what_is_given_on_the_line_counts_and_is_told(tmp_path: Path) -> None:
    migration = migrated(tmp_path, TRL, "training.learning_rate=3e-4", "data.train=mine.csv")
    config = loaded(tmp_path, migration)
    assert config.training.learning_rate == 3e-4 and config.data.train == "mine.csv"
    assert found(migration, "learning_rate").note == "training.learning_rate on the line counts"
    assert found(migration, "dataset_name").outcome == "left"


def test_of_two_keys_that_say_the_same_the_last_counts(tmp_path: Path) -> None:
    migration = migrated(tmp_path, TRL + "max_seq_length: 64\nmax_length: 128\n")
    assert loaded(tmp_path, migration).task.max_length == 128
    assert found(migration, "max_seq_length").note == "max_length counts"


def test_values_that_cannot_be_are_told_at_their_line(tmp_path: Path) -> None:
    migration = migrated(tmp_path, TRL + "weight_decay: -1\n")
    [fault] = migration.missing
    assert fault.code == "config.value_invalid" and fault.place is not None
    assert (Path(fault.place.source).name, fault.place.line) == ("theirs.yaml", 4)


def test_an_unknown_key_of_ours_is_told(tmp_path: Path) -> None:
    migration = migrated(tmp_path, TRL, "trainning.seed=1")
    assert [fault.code for fault in migration.missing] == ["config.key_unknown"]


def test_code_that_comes_with_a_model_is_not_run_unasked(tmp_path: Path) -> None:
    migration = migrated(tmp_path, TRL + "trust_remote_code: true\n")
    assert not loaded(tmp_path, migration).model.trust_remote_code
    assert "model.trust_remote_code=true" in found(migration, "trust_remote_code").note


def test_steps_of_evaluation_go_with_the_strategy_alone(tmp_path: Path) -> None:
    migration = migrated(tmp_path, TRL + "eval_steps: 5\n")
    assert found(migration, "eval_steps").note == "read beside eval_strategy: steps alone"
    assert loaded(tmp_path, migration).training.eval_steps is None


@pytest.mark.parametrize(
    ("path", "kind", "there"),
    [
        ("training.seed", None, True),
        ("training.sed", None, False),
        ("task.beta", "preference", True),
        ("task.beta", "generation", False),
        ("strategy.r", "lora", True),
        ("strategy.r", "full", False),
        ("strategy.modules_to_save", "lora", True),
        ("strategy.modules_to_save", "full", False),
        ("data.columns.text", None, True),
    ],
)
def test_a_key_is_one_of_the_chosen_task_and_strategy(
    path: str, kind: str | None, there: bool
) -> None:
    assert takes(path, kind) is there


def test_a_key_says_what_it_is_read_beside() -> None:
    assert [mark.key for mark in marks_of("training.eval_steps")] == ["eval_strategy"]
    assert list(marks_of("training.seed")) == []
