"""Several models, each with every strategy: rows, folders, settings, the report; some missing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from comparing import HEAD, carried_out, values_for, without_a_page, without_processes
from faults import noted
from welltuned.errors import InputError
from welltuned.experiments.comparison.observer import (
    Board,
    CellState,
    ComparisonObserver,
    StrategyRow,
)
from welltuned.reports.comparison import write_comparison_report
from welltuned.runs.comparison_folder import Comparison
from welltuned.schema.messages import render_message

MISSING = "package:no_such_package"


class Watching(ComparisonObserver):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.started: set[str] = set()

    def noted(self, text: str) -> None:
        self.notes.append(text)

    def changed(self, board: Board, row: StrategyRow, cell: CellState) -> None:
        if cell.state == "running":
            self.started.add(row.name)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, tiny: Any) -> str:
    """A model's folder whose weights are cut short."""
    folder = tmp_path_factory.mktemp("models") / "broken"
    shutil.copytree(tiny("bert"), folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return str(folder)


@pytest.fixture(scope="module")
def asked(tiny: Any, sentiment: str, broken: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two models that are here, one that is not installed, one whose weights are damaged."""
    values = values_for(
        "unused", sentiment, tmp_path_factory.mktemp("several") / "reviews",
        strategies=[HEAD], seeds=1, models=[tiny("bert"), MISSING, broken, tiny("distilbert")],
    )  # fmt: skip
    del values["model"]
    return values


@pytest.fixture(scope="module")
def watched(asked: Any) -> tuple[Comparison, Watching]:
    """The comparison, and what was told meanwhile."""
    watching = Watching()
    with pytest.MonkeyPatch.context() as patch:
        without_processes(patch, reports=False)
        without_a_page(patch)
        return carried_out(asked, watching), watching


@pytest.fixture
def several(watched: tuple[Comparison, Watching]) -> Comparison:
    return watched[0]


@pytest.fixture
def labels(asked: Any) -> list[str]:
    """What rows call the two models that are here."""
    return [Path(asked["models"][i]).name for i in (0, 3)]


def test_rows_and_folders_carry_the_model(several: Comparison, labels: list[str]) -> None:
    results = several.results
    rows = {row["name"]: row for row in results["rows"]}
    heads = [f"head · {label}" for label in labels]
    untouched = [f"untouched · {label}" for label in labels]
    assert set(rows) == {*heads, "tf-idf", *untouched, "majority"}
    assert [rows[name]["model"] for name in (*heads, *untouched)] == [*labels, *labels]
    assert {path.name for path in (several.folder / "cells").iterdir()} == {
        f"head-{label}" for label in labels
    }
    assert [several.cell(f"head-{label}", 0).state for label in labels] == ["finished"] * 2
    assert {pair["one"] for pair in results["pairs"]} <= {*heads, "tf-idf"}


def test_each_cell_was_trained_on_its_own_model(
    several: Comparison, labels: list[str], asked: Any
) -> None:
    found = [several.cell(f"head-{label}", 0).config["model"]["name"] for label in labels]
    assert found == [asked["models"][0], asked["models"][3]]


def test_precision_and_pooling_are_settled_for_each_model(several: Comparison, asked: Any) -> None:
    settled = several.record["settled"]
    expected = {"precision": "fp32", "pooling": "mean"}
    assert settled["models"] == {asked["models"][i]: expected for i in (0, 3)}


def test_what_cannot_be_had_is_told_in_one_line_each_before_work_starts(
    watched: tuple[Comparison, Watching], broken: str
) -> None:
    comparison, watching = watched
    told = [line for line in watching.notes if "left out" in line]
    assert len(told) == 2 and MISSING in told[0] and broken in told[1]
    records = comparison.record["models"]
    assert [one["here"] for one in records] == [True, False, False, True]
    remarks = noted(comparison.results["remarks"])
    assert [line.split()[0] for line in remarks[:2]] == ["compare.model_left_out"] * 2
    assert render_message(comparison.results["remarks"][0]) == told[0]


def test_the_recommended_config_has_the_model(several: Comparison, asked: Any) -> None:
    recommendation = several.results["recommendation"]
    config = yaml.safe_load((several.folder / "recommended.yaml").read_text(encoding="utf-8"))
    label = Path(config["model"]["name"]).name
    assert recommendation["strategy"] == f"head · {label}"
    assert config["model"]["name"] in asked["models"]


def test_the_report_names_models_and_asks_for_both(several: Comparison, labels: list[str]) -> None:
    for language, asking in (("en", "Which model and strategy"), ("zh", "哪个模型、哪种策略")):
        page = write_comparison_report(several, language).read_text(encoding="utf-8")
        assert asking in page and MISSING in page
        for label in labels:
            assert f"head · {label}" in page
    assert f"未微调 · {labels[0]}" in page and "2 个模型，各 1 种策略" in page


def test_it_goes_on_where_it_was_and_looks_for_the_missing_again(
    several: Comparison, asked: Any, here: None, unread: None
) -> None:
    watching = Watching()
    assert carried_out(asked, watching).folder == several.folder
    assert watching.started == set(), "what is finished is not run again"
    assert sum("left out" in line for line in watching.notes) == 2


def test_where_no_model_can_be_had_there_is_no_comparison(
    tiny: Any, sentiment: str, tmp_path: Path, broken: str, here: None
) -> None:
    other = str(tmp_path / "cut" / "short")
    shutil.copytree(broken, other)
    values = values_for(tiny("bert"), sentiment, tmp_path / "c", strategies=[HEAD], seeds=1)
    with pytest.raises(InputError) as error:
        carried_out({**values, "models": [broken, other]})
    places = {str(fault.place).partition(":")[0] for fault in error.value.faults}
    assert places == {f"{folder}/model.safetensors" for folder in (broken, other)}
    assert not Comparison.is_at(tmp_path / "c")
