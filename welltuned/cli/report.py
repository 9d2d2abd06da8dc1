"""The verb that writes a report again: `report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from welltuned.cli.app import app
from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from pathlib import Path


@app.command("report")
def report_command(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER", help="The folder of a run, a pipeline, a comparison or a sweep."
        ),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[language=en|zh]", help="Its language.")
    ] = None,
) -> None:
    """Write report.html again, from what is in the folder."""
    print(rebuild_report(folder, arguments or []))


def rebuild_report(folder: str, arguments: list[str]) -> Path:
    """Write the report of whatever a folder holds again, in the language asked for if any."""
    from pathlib import Path

    from welltuned.reports.comparison import write_comparison_report as write_comparison
    from welltuned.reports.learning_curve import write_curve_report
    from welltuned.reports.suspects import write_suspects_report
    from welltuned.reports.sweep import write_sweep_report
    from welltuned.reports.write import write_report as write_run
    from welltuned.runs import Run
    from welltuned.runs.comparison_folder import Comparison

    language = _language(arguments)
    path = Path(folder).expanduser()
    if (path / "sweep.json").exists():
        return write_sweep_report(path, language)
    if (path / "learning_curve.json").exists():
        return write_curve_report(path, language)
    if (path / "suspects.json").exists():
        return write_suspects_report(path, language)
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
            Fault(
                "cli.report_options",
                "report takes language=en or language=zh, and nothing else",
                None,
                "for example: welltuned report runs/mine language=zh",
            )
        )
    return language
