"""A comparison with folds: every example is tested once by each strategy and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from comparing import HEAD, carried_out, values_for, without_processes
from faults import refused
from support import make_rows, write_rows
from welltuned.config import run_config_from
from welltuned.errors import Faults
from welltuned.experiments.comparison.cells import cell_record
from welltuned.experiments.comparison.config import comparison_from
from welltuned.experiments.comparison.folder import check_data, splits_of
from welltuned.experiments.comparison.variants import find_variants
from welltuned.experiments.cross_validation import cross_validate
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.schema.document import Document
from welltuned.training.preparation.data_cache import DataCache


@pytest.fixture(scope="module")
def folded(tiny: Any, few: str, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Two strategies, one seed, three folds of 60 texts. To be read, not changed."""
    with pytest.MonkeyPatch.context() as patch:
        without_processes(patch, reports=False)
        patch.setattr(cross_validate, "write_run_report", lambda run: None)
        folder = tmp_path_factory.mktemp("folded") / "c"
        data: Any = {"train": few, "folds": 3}
        return carried_out(values_for(tiny("bert"), data, folder, seeds=1))


@pytest.mark.slow
def test_a_cell_has_the_answers_of_all_folds_and_no_final_model(folded: Comparison) -> None:
    for slug in ("head", "lora-r=2"):
        cell = folded.cell(slug, 0)
        rows = list(cell.read_lines("predictions.jsonl"))
        assert len({row["id"] for row in rows}) == 60
        assert sorted({row["fold"] for row in rows}) == [0, 1, 2]
        assert cell.is_finished and cell_record(cell)["seed"] == 0
        assert [Run(cell.folder / "folds" / str(n)).is_finished for n in range(3)] == [True] * 3
        assert not (cell.folder / "final").exists()


@pytest.mark.slow
def test_strategies_and_word_counts_are_compared_on_all_examples(folded: Comparison) -> None:
    results = folded.results
    assert results["test_examples"] == 60
    asked = {"head", "lora r=2", "tf-idf"}
    assert {name for pair in results["pairs"] for name in (pair["one"], pair["other"])} == asked
    rows = {row["name"]: row for row in results["rows"]}
    assert set(rows) == {*asked, "majority", "untouched"}
    own = folded.cell("head", 0).results
    assert rows["head"]["scores"]["accuracy"]["mean"] == own["test"]["accuracy"]
    assert rows["head"]["cost"]["train_seconds"] == pytest.approx(own["cost"]["train_seconds"])
    answered = list(folded.baseline("tf-idf").read_lines("predictions.jsonl"))
    of_cell = list(folded.cell("head", 0).read_lines("predictions.jsonl"))
    assert [row["id"] for row in answered] == [row["id"] for row in of_cell]
    assert rows["majority"]["scores"]["accuracy"]["mean"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.slow
def test_the_recommended_config_trains_one_model_on_all_folds(folded: Comparison) -> None:
    values = yaml.safe_load((folded.folder / "recommended.yaml").read_text(encoding="utf-8"))
    config = run_config_from(values)
    assert (config.data.folds, config.data.fold) == (3, "all")
    assert not config.evaluation.test
    assert folded.results["recommendation"]["all_data"]


@pytest.mark.slow
def test_its_page_says_that_there_are_folds(folded: Comparison) -> None:
    page = folded.report.read_text(encoding="utf-8")
    assert "the first of 3 folds, all of which are tested" in page


def checked(file: str, **data: Any) -> Any:
    """The facts of a comparison's data."""
    config = comparison_from({"model": "m", "data": {"train": file, **data}, "strategies": "full"})
    variants = find_variants(config, Document(source="arguments"), Faults())
    return check_data(variants, DataCache())


def test_the_data_are_those_of_all_folds(few: str) -> None:
    facts = checked(few, folds=3)
    assert splits_of(facts)["test"]["rows"] == 20
    assert facts.fingerprint != checked(few, folds=4).fingerprint


def test_data_that_no_fold_can_be_made_of_are_refused_before_the_first_cell(
    tmp_path: Path,
) -> None:
    odd = [{"text": f"odd {i}", "label": "odd"} for i in range(3)]
    file = write_rows(tmp_path / "a.jsonl", make_rows(40) + odd)
    with refused("data.folds_above_rarest", folds=5, label="odd", number=3):
        checked(file, folds=5)


def test_a_strategy_with_folds_of_its_own_sees_other_data(few: str) -> None:
    own: Any = {"type": "lora", "data": {"folds": 4}, "name": "other"}
    asked = {"model": "m", "data": {"train": few, "folds": 3}, "strategies": [HEAD, own]}
    variants = find_variants(comparison_from(asked), Document(source="arguments"), Faults())
    with refused("compare.data_differ", name="other"):
        check_data(variants, DataCache())
