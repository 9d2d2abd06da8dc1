"""The configs of a cross-validation's runs, and what is told of all their data before the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from counting import count_work
from faults import refused
from support import make_rows, write_rows
from welltuned.config import RunConfig, run_config_from
from welltuned.experiments.cross_validation.fold_runs import check_folds, final_run, fold_runs
from welltuned.training.preparation.data_cache import DataCache


def asked(train: str, output_dir: str | None = "runs/mine", **parts: Any) -> RunConfig:
    data = {"train": train, "folds": 3, **parts.pop("data", {})}
    values = {"model": "m", "data": data, "strategy": "lora", "output_dir": output_dir, **parts}
    return run_config_from(values)


def test_each_run_has_its_fold_and_its_folder_and_differs_in_nothing_else() -> None:
    config = asked("a.csv")
    runs = fold_runs(config)
    assert [one.data.fold for one in runs] == [0, 1, 2]
    assert [one.output_dir for one in runs] == [f"runs/mine/folds/{n}" for n in range(3)]
    for one in runs:
        back = {"data": config.data, "output_dir": config.output_dir}
        assert one.model_copy(update=back) == config


def test_the_final_run_learns_from_all_and_is_not_tested() -> None:
    final = final_run(asked("a.csv"))
    assert (final.data.fold, final.evaluation.test) == ("all", False)
    assert final.output_dir == "runs/mine/final"
    assert RunConfig.model_validate(final.model_dump(mode="json")) == final


def test_a_config_without_a_folder_has_runs_without_one() -> None:
    assert {one.output_dir for one in fold_runs(asked("a.csv", None))} == {None}


def test_one_run_is_the_first_fold_or_the_run_itself() -> None:
    assert asked("a.csv").of_one_run.data.fold == 0
    plain = asked("a.csv", data={"folds": None})
    assert plain.of_one_run == plain


def test_the_data_of_all_runs_have_one_hash(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", make_rows(30))
    found = [
        check_folds(asked(file, data={"split": {"seed": seed}}), DataCache()) for seed in (0, 0, 1)
    ]
    assert found[0] == found[1] != found[2]


def test_a_file_is_read_once_for_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = count_work(monkeypatch)
    file = write_rows(tmp_path / "a.jsonl", make_rows(30))
    check_folds(asked(file), DataCache())
    assert work.read == {file: 1}


def test_data_of_which_one_fold_cannot_be_read_are_refused(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", [*make_rows(30), {"text": "odd", "label": "odd"}])
    with refused("data.folds_above_rarest", folds=3, label="odd", number=1):
        check_folds(asked(file), DataCache())
    once = {"stratify": False}
    with refused("task.label_unseen", label="odd"):  # by the run that is tested on it
        check_folds(asked(file, data={"split": once}), DataCache())


def test_folds_and_a_sealed_test_split_exclude_each_other() -> None:
    with refused("run.folds_sealed"):
        asked("a.csv", evaluation={"test": False})
    with refused("run.no_test_split"):
        asked("a.csv", data={"fold": "all"})
