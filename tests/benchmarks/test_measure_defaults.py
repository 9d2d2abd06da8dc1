"""From measured grids to default learning rates, and how far those are from the best."""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import math
import sys
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from welltuned.experiments.search.config import SweepConfig
from welltuned.schema.validation import expand_shorthand
from welltuned.strategies import STRATEGIES
from welltuned.training.preparation import defaults

FOLDER = Path(__file__).parents[2] / "benchmarks"


def load(name: str) -> ModuleType:
    """A script of benchmarks/ as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


measure = load("measure_defaults")
regret = load("regret")
TEXT = measure.DEFAULTS.read_text(encoding="utf-8")
SAMPLE = """\
# Defaults.

sources:
  measured: on one set
  usual: not measured here

full:
  - fits: {kind: encoder, parameters_up_to: 5.0e+7}
    learning_rate: [1.5e-4, measured]
    head_learning_rate_scale: [10, measured]
  - fits: {kind: encoder}
    learning_rate: [2.0e-5, usual]
    head_learning_rate_scale: [10, usual]
  - fits: {kind: decoder}
    learning_rate: [1.0e-5, usual]
    head_learning_rate_scale: [10, usual]

lora:
  - fits: {kind: encoder}
    learning_rate: [1.0e-3, measured]
    head_learning_rate_scale: [1, measured]
  - fits: {kind: decoder}
    learning_rate: [2.0e-4, usual]
    head_learning_rate_scale: [1, usual]
"""


# --- The grid and the choice ---------------------------------------------------


def test_a_grid_goes_from_the_middle_outwards_by_factors_of_about_two() -> None:
    assert measure.grid(1e-3) == [1e-3, 2e-3, 5e-4, 5e-3, 2e-4, 1e-2, 1e-4]
    assert measure.grid(3.0)[:4] == [3.0, 2.0, 5.0, 1.0], "what is in force is tried first"
    for usual in (1e-4, 2e-4, 2e-2):
        rates = sorted(measure.grid(usual))
        assert usual in rates and len(rates) == 7
        assert all(1.9 < b / a < 2.6 for a, b in itertools.pairwise(rates))


def test_the_rate_whose_worst_regret_is_least_is_chosen() -> None:
    """2e-3 is the best on both on average, but loses 4 points on one; 1e-3 loses 2 at most."""
    scores = {
        "a": {5e-4: 0.70, 1e-3: 0.78, 2e-3: 0.80, 5e-3: None},
        "b": {5e-4: 0.80, 1e-3: 0.88, 2e-3: 0.86, 5e-3: 0.90},
    }
    assert measure.choose(scores, True) == 1e-3
    assert measure.regrets(scores, True)[1e-3] == pytest.approx({"a": 0.02, "b": 0.02})
    assert measure.regrets(scores, True)[5e-3]["a"] == math.inf


def test_of_equal_worst_regrets_the_mean_decides() -> None:
    scores = {"a": {1.0: 0.5, 2.0: 0.5, 3.0: 0.6}, "b": {1.0: 0.4, 2.0: 0.5, 3.0: 0.4}}
    assert measure.choose(scores, True) == 2.0


def test_less_loss_is_better() -> None:
    scores = {"a": {1.0: 2.0, 2.0: 1.5}, "b": {1.0: 3.0, 2.0: 2.9}}
    assert measure.choose(scores, False) == 2.0


def test_a_rate_counts_only_where_every_set_has_it() -> None:
    scores = {"a": {1.0: 0.5, 2.0: 0.9}, "b": {1.0: 0.5}}
    assert measure.choose(scores, True) == 1.0
    assert measure.choose({"a": {1.0: None}, "b": {1.0: 0.5}}, True) is None


def test_seeds_are_averaged_and_a_failed_one_counts() -> None:
    measured = {"a": {"scores": {"0.001": [0.5, 0.7], "0.002": [0.8, None], "0.005": [0.9]}}}
    assert measure.means(measured, ["a"]) == {"a": {0.001: pytest.approx(0.6), 0.002: None}}


def test_ended_trials_are_collected_with_how_much_was_learned_from(tmp_path: Path) -> None:
    options: Any = argparse.Namespace(
        runs=tmp_path, seeds=1, sets=["question_en_trec"],
        kinds=["encoder"], strategies=["full"], parameter="learning_rate",
    )  # fmt: skip
    (cell,) = measure.cells(options)
    folder = tmp_path / cell.name
    folder.mkdir(parents=True)
    rows = [
        {"state": state, "value": value, "values": {"training.learning_rate": rate}}
        for state, value, rate in [
            ("finished", 0.9, 1e-4), ("failed", None, 2e-4), ("running", None, 5e-4)
        ]
    ]  # fmt: skip
    summary = {"trials": rows, "data_fingerprint": "abc"}
    (folder / "sweep.json").write_text(json.dumps(summary), encoding="utf-8")
    (folder / "config.yaml").write_text("data: {max_train_examples: 500}", encoding="utf-8")
    record = measure.collect(options)["encoder"]["full"]["question_en_trec"]
    assert record.pop("date") == date.today().isoformat()
    assert record == {
        "examples": 500, "fingerprint": "abc", "scores": {"0.0001": [0.9], "0.0002": [None]}
    }  # fmt: skip


def test_a_cell_stays_until_it_is_measured_again() -> None:
    kept = {"encoder": {"full": {"a": {"scores": {"1": [0.5]}}, "b": {"scores": {"1": [0.6]}}}}}
    new = {"scores": {"2": [0.7]}}
    measure.update(kept, {"encoder": {"full": {"a": new}}, "decoder": {"lora": {"c": new}}})
    assert kept["encoder"]["full"] == {"a": new, "b": {"scores": {"1": [0.6]}}}
    assert kept["decoder"] == {"lora": {"c": new}}


# --- defaults.yaml -------------------------------------------------------------


def loaded(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text))


def test_a_rate_is_put_into_the_entry_of_its_size_and_nothing_else_changes() -> None:
    text = measure.rewritten(SAMPLE, "encoder", 5e7, "full", 2e-4)
    changed = [(a, b) for a, b in zip(SAMPLE.split("\n"), text.split("\n"), strict=True) if a != b]
    assert changed == [
        ("    learning_rate: [1.5e-4, measured]", "    learning_rate: [2.0e-4, measured_sets]")
    ]


def test_where_there_is_no_entry_of_that_size_one_is_put_before_the_others() -> None:
    """What was measured on a tiny model says nothing of large ones."""
    text = measure.with_source(measure.rewritten(SAMPLE, "decoder", 5e6, "lora", 5e-3))
    before, after = loaded(SAMPLE)["lora"], loaded(text)["lora"]
    assert [entry["fits"] for entry in after] == [
        {"kind": "encoder"},
        {"kind": "decoder", "parameters_up_to": 5e6},
        {"kind": "decoder"},
    ]
    assert after[2] == before[1] and after[0] == before[0]
    new = {**before[1], "learning_rate": [5e-3, "measured_sets"], "fits": after[1]["fits"]}
    assert after[1] == new
    again = measure.with_source(measure.rewritten(text, "decoder", 5e6, "lora", 5e-3))
    assert again == text, "doing it again changes nothing"


def test_the_scale_of_the_head_is_written_in_its_own_line() -> None:
    text = measure.rewritten(SAMPLE, "encoder", 5e7, "lora", 5.0, "head_learning_rate_scale")
    before, after = loaded(SAMPLE)["lora"][0], loaded(text)["lora"][0]
    assert after["head_learning_rate_scale"] == [5, "measured_sets"]
    assert after["learning_rate"] == before["learning_rate"]


def test_cells_are_sweeps_of_one_value_with_everything_else_fixed() -> None:
    options: Any = argparse.Namespace(
        shared="../shared", runs=Path("runs"), examples=100, steps=0, seeds=2, sets=[],
        kinds=["encoder", "decoder"], strategies=["lora"], parameter="head_learning_rate_scale",
    )  # fmt: skip
    found = measure.cells(options)
    assert [(cell.set, cell.seed) for cell in found] == [
        (name, seed) for seed in (0, 1) for name in measure.ENCODER.sets
    ], "a generator has no new head"
    config = measure.config_of(found[0], options, 3)
    assert config["sweep"]["space"] == {"strategy.head_learning_rate_scale": found[0].grid}
    assert found[0].grid[0] == loaded(TEXT)["lora"][0]["head_learning_rate_scale"][0]
    assert config["training"]["learning_rate"] == loaded(TEXT)["lora"][0]["learning_rate"][0]
    options.parameter = "learning_rate"
    assert len(measure.cells(options)) == 2 * (3 + 2)
    config = measure.config_of(measure.cells(options)[0], options, 3)
    assert "learning_rate" not in config["training"]
    assert SweepConfig.model_validate(expand_shorthand(SweepConfig, config)).sweep.trials == 3


@pytest.mark.parametrize("kind", measure.KINDS.values(), ids=lambda kind: kind.name)
def test_what_is_written_is_what_a_run_takes(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = measure.with_source(TEXT)
    for strategy in kind.usual:
        text = measure.rewritten(text, kind.name, kind.up_to, strategy, 0.0123)
    monkeypatch.setattr(defaults, "_defaults", lambda: loaded(text))

    def of(parameters: float, strategy: str) -> Any:
        anatomy: Any = type("Small", (), {"kind": kind.name, "parameters": parameters})()
        return defaults.defaults_for(STRATEGIES.find(strategy)(), anatomy, 300)["learning_rate"]

    for strategy in kind.usual:
        assert of(kind.up_to, strategy).value == pytest.approx(0.0123)
        assert "benchmarks/results/defaults.json" in of(kind.up_to, strategy).source
        assert of(10 * kind.up_to, strategy).value != pytest.approx(0.0123)
        found = measure.default_of(loaded(text), kind, strategy, "learning_rate")
        assert found == pytest.approx(0.0123)


# --- Regret --------------------------------------------------------------------


def test_regret_is_what_is_lost_against_the_best_of_the_set() -> None:
    scores = {1e-3: 0.70, 1e-2: 0.80, 1e-1: 0.60}
    assert regret.regret_at(scores, 1e-2, True) == 0
    assert regret.regret_at(scores, 1e-1, True) == pytest.approx(0.20)
    assert regret.regret_at({1.0: 3.0, 2.0: 2.5}, 1.0, False) == pytest.approx(0.5)


def test_between_two_rates_the_score_is_interpolated_and_beyond_it_is_unknown() -> None:
    scores = {1e-3: 0.70, 1e-1: 0.80, 1.0: None}
    assert regret.regret_at(scores, 1e-2, True) == pytest.approx(0.05)
    assert math.isnan(regret.regret_at(scores, 1e-4, True))
    assert math.isnan(regret.regret_at(scores, 0.5, True)), "one neighbour diverged"
    assert math.isnan(regret.regret_at({1.0: None}, 1.0, True)), "everything diverged"


def test_held_out_regret_is_that_of_the_other_sets_choice() -> None:
    scores = {"a": {1.0: 0.9, 2.0: 0.5}, "b": {1.0: 0.9, 2.0: 0.8}, "c": {1.0: 0.1, 2.0: 0.6}}
    assert regret.held_out(scores, "c", True) == pytest.approx(0.5)
    assert regret.held_out({"a": {1.0: 0.9}}, "a", True) != regret.held_out(scores, "a", True)


def test_there_is_a_row_for_all_that_was_measured() -> None:
    by_set = {
        name: {"fingerprint": "x", "scores": {"0.0001": [0.7], "0.0002": [0.8]}}
        for name in measure.ENCODER.sets
    }
    record = {"measured": {"encoder": {"full": by_set}}}
    found = regret.rows(record, loaded(TEXT), "learning_rate")
    assert [row["set"] for row in found] == list(measure.ENCODER.sets)
    assert all(row["rate"] == 2e-4 and row["chosen"] == 0 for row in found)
    default = loaded(TEXT)["full"][0]["learning_rate"][0]
    assert all(row["default"] == default for row in found)


@pytest.mark.parametrize("document", ["docs/sweeps.md", "docs/zh/sweeps.md"])
def test_the_documents_show_what_was_measured(document: str) -> None:
    record = json.loads(measure.RESULTS.read_text(encoding="utf-8"))["learning_rate"]
    found = regret.rows(record, loaded(TEXT), "learning_rate")
    assert regret.markdown(found) in (FOLDER.parent / document).read_text(encoding="utf-8")
