"""`welltuned tune lr`: run a learning-rate range test and keep its result."""

from __future__ import annotations

import json
from pathlib import Path

from welltuned.config import RunConfig
from welltuned.engines.lr_range import RangeTest
from welltuned.reports.lr_range import write_page
from welltuned.runs.folder import next_free, write_atomically
from welltuned.runs.results_schema import RangeTestResult
from welltuned.schema.messages import render_message
from welltuned.training.auto_tune import try_learning_rates
from welltuned.training.observer import Observer
from welltuned.training.output_folder import prepare_in_folder, usual_name
from welltuned.training.session.session import load_session


def run_lr_range_test(config: RunConfig, observer: Observer) -> tuple[RangeTest, Path]:
    """Test the config's model and strategy; returns the test and the folder it is kept in.

    Raises `InputError` before any weight is loaded, and `RunFailed` when no rate learns.
    """
    if config.output_dir is None:
        folder = next_free(Path("runs"), f"{usual_name(config)}-lr")
        config = config.model_copy(update={"output_dir": str(folder)})
    prepared = prepare_in_folder(config, observer.working)
    folder = Path(str(prepared.config.output_dir))
    session = load_session(prepared, observer)
    test = try_learning_rates(session, observer)
    folder.mkdir(parents=True, exist_ok=True)
    values: RangeTestResult = {
        "strategy": prepared.config.strategy.model_dump(mode="json"),
        "model": prepared.config.model.name,
        "data": prepared.config.data.train,
        **test.as_dict(),
    }
    write_atomically(folder / "range_test.json", json.dumps(values, indent=2) + "\n")
    write_page(folder / "range_test.html", values, prepared.config.report.language)
    return test, folder


def range_test_lines(test: RangeTest, folder: Path) -> list[str]:
    """The suggestion as lines for a terminal; the curve is on the page."""
    return [
        f"suggestion  training.learning_rate={test.suggestion:g}",
        f"because     {render_message(test.reason)}",
        f"page        {folder / 'range_test.html'}",
    ]
