"""`import welltuned as wt`: the public interface, and what it logs."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import welltuned as wt
from comparing import values_for
from faults import refused
from support import config_values
from welltuned.engines.events import Step
from welltuned.experiments.comparison.config import comparison_from
from welltuned.experiments.comparison.observer import (
    Board,
    CellState,
    State,
    StrategyRow,
)
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.results_schema import FindingRecord
from welltuned.schema.messages import message


def test_compare_takes_a_mapping_keywords_a_file_or_a_config(
    compared: Comparison, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """Nothing runs again, so this shows that all four ask for the same."""
    values = values_for(tiny("bert"), sentiment, compared.folder)
    file = tmp_path / "compare.yaml"
    file.write_text(yaml.safe_dump(values))
    for given in ((values,), (str(file),), (file,), (comparison_from(values),)):
        comparison = wt.compare(*given)
        assert comparison.folder == compared.folder
        assert comparison.results["group"] == compared.results["group"]
    assert wt.compare(**values).folder == compared.folder
    assert len(list((compared.folder / "cells").glob("*/*"))) == 4


def test_compare_refuses_what_cannot_work() -> None:
    with refused("config.type_unknown", given="lorra"):
        wt.compare(model="m", data="d.jsonl", strategies=["lorra"])
    with refused("config.key_unknown", key="seed"):
        wt.compare(model="m", data="d.jsonl", seed=3)


def test_every_public_name_is_there_and_imported_late() -> None:
    for name in wt.__all__:
        assert getattr(wt, name) is not None, name
    assert wt.__all__ == sorted(wt.__all__)
    code = (
        "import sys, welltuned as wt\n"
        "assert issubclass(wt.InputError, wt.WelltunedError) and 'train' in dir(wt)\n"
        "assert not {'torch', 'transformers', 'peft', 'pydantic'} & set(sys.modules)\n"
        "wt.RunConfig, wt.RlhfConfig, wt.CompareConfig, wt.Observer, wt.Run, wt.Comparison\n"
        "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = wt.trian


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(wt.__file__).parent / "py.typed").is_file()


class Keeping(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self.emit = records.append  # type: ignore[assignment]


@pytest.fixture(scope="module")
def logged(
    tiny: Any, sentiment: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[wt.Run, list[logging.LogRecord]]:
    """A run as a program starts it, and what it logs."""
    values = config_values(
        tiny("bert"), sentiment, {"type": "partial", "num_blocks": 0},
        tmp_path_factory.mktemp("logged") / "run", task={"pooling": "mean"},
        training={"max_steps": 3, "num_train_epochs": "auto"},
        evaluation={"untrained": False, "retention": "none"},
    )  # fmt: skip
    records: list[logging.LogRecord] = []
    handler = Keeping(records)
    logger = logging.getLogger("welltuned")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        return wt.train(values), records
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def test_a_run_is_logged(logged: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run, records = logged
    lines = [record.getMessage() for record in records]
    told = "\n".join(lines)
    assert {record.name for record in records} == {"welltuned.train"}
    assert "data read: train 96, validation 12, test 12" in lines
    assert f"partial on {run.config['model']['name']}, in {run.folder}" in lines
    assert "training: 3 steps" in lines
    assert "step 3/3: epoch" in told and "step 1/3: epoch" not in told, "not every step is told"
    assert "validation (best so far): " in told
    score = run.results["test"][run.results["metric"]]
    assert lines[-1] == f"finished, test {run.results['metric']} {score:.4f}: {run.folder}"


def test_an_observer_of_ones_own_hears_instead(
    logged: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Heard(wt.Observer):
        def __init__(self) -> None:
            self.steps = 0

        def stepped(self, step: Step) -> None:
            self.steps += 1

    run, _ = logged
    config = wt.RunConfig.model_validate(
        {**{k: v for k, v in run.config.items() if k != "schema_version"}, "output_dir": None}
    )
    heard = Heard()
    with caplog.at_level(logging.INFO, "welltuned"):
        again = wt.train(config, observer=heard, output_dir=str(tmp_path / "run"))
    assert heard.steps == 3 and caplog.records == []
    assert again.folder == tmp_path / "run", "keys beside a config win"


def test_what_goes_wrong_in_training_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    finding: FindingRecord = {
        "fault": "diverged",
        "evidence": message("test.loss", "the loss is {loss}", loss=9),
        "advice": message("test.advice", "a lower rate"),
        "command": "welltuned train",
    }
    wt.LoggingObserver().warned(7, finding)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("step 7: diverged: the loss is 9")


def test_a_comparison_is_logged(
    compared: Comparison, tiny: Any, sentiment: str, caplog: pytest.LogCaptureFixture
) -> None:
    values = values_for(tiny("bert"), sentiment, compared.folder)
    with caplog.at_level(logging.INFO, "welltuned"):
        wt.compare(values)
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.endswith(f"4 runs, in {compared.folder}") for line in lines)
    assert lines[-1].startswith("recommended: ") and str(compared.report) in lines[-1]


def test_runs_of_a_comparison_are_logged_once_each(caplog: pytest.LogCaptureFixture) -> None:
    cell = CellState(seed=1, folder="cells/lora/seed-1")
    row = StrategyRow("lora", "lora", [cell])
    board = Board([row], metric="accuracy")
    observer = wt.LoggingComparisonObserver()
    with caplog.at_level(logging.INFO, "welltuned"):
        steps: list[tuple[State, float | None, str | None]] = [
            ("running", None, None),
            ("running", None, None),
            ("finished", 0.9, None),
            ("failed", None, "no luck"),
        ]
        for state, score, error in steps:
            cell.state, cell.score, cell.seconds, cell.error = state, score, 61.0, error
            observer.changed(board, row, cell)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "lora, seed 1: running"),
        ("INFO", "lora, seed 1: accuracy 0.9000, 1 min 1 s"),
        ("WARNING", "lora, seed 1 failed: no luck"),
    ]


def test_nothing_writes_a_table_that_a_spreadsheet_would_run() -> None:
    """Cells that begin with `=`, `+`, `-` or `@` are formulas there; whoever adds a writer of CSV
    defuses them."""
    writers = re.compile(r"csv\.writer|DictWriter|\.to_csv|\.to_excel|workbook\.save")
    package = Path(wt.__file__).parent
    found = [file.name for file in package.rglob("*.py") if writers.search(file.read_text("utf-8"))]
    assert sorted(found) == ["formats.py", "tables.py"], "which defuse them"
