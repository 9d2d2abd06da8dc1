"""Verbs about data: what is in them (`data`), which labels are wrong, which texts to label next."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from welltuned.cli.app import AllowImports, Arguments, Json, app, print_json, split_arguments

if TYPE_CHECKING:
    from pathlib import Path

_LOOK = "show"


class _DataVerbs(TyperGroup):
    """What follows `data` is one of its verbs, or else what is looked at: `data reviews.csv`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_verb = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if is_verb else [_LOOK, *args])


data = typer.Typer(
    cls=_DataVerbs,
    help="Look at data without loading a model, find labels that are wrong, choose texts to label.",
    subcommand_metavar="[CONFIG.yaml] [key=value …] | VERB …",
    rich_markup_mode=None,
)
app.add_typer(data, name="data")


@data.command(_LOOK)
def data_command(
    arguments: Arguments = None, as_json: Json = False, allow_imports: AllowImports = False
) -> None:
    """Look at data without loading a model: counts, faults, and three examples token by token.

    `data CONFIG` is short for this.
    """
    from welltuned.cli.data_request import read_data_request
    from welltuned.training.preparation.data_summary import summarise_data

    asked = read_data_request(*split_arguments(arguments))
    summary = summarise_data(asked.data, asked.task, asked.model)
    if as_json:
        print_json(summary.facts.as_dict())
    else:
        from welltuned.cli.console.data import show_data
        from welltuned.cli.console.run import results_console

        results_console().print(show_data(summary))


@data.command("suspects")
def suspects_command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG.yaml | FOLDER] [key=value …]",
            help="A config and keys that override it, or a finished run or comparison.",
        ),
    ] = None,
    as_json: Json = False,
    allow_imports: AllowImports = False,
) -> None:
    """Rank the labels that are probably wrong, and write them into a table to correct.

    Each label is judged by models that learned from the other folds alone; of a finished run or
    comparison, by what it said of its test split. `folds=5`, `test=true` (the test split's labels
    too) and `folder=suspects/mine` may stand on the line.
    """
    from welltuned.runs.suspects_schema import read_suspects

    folder = _find_suspects(*split_arguments(arguments))
    found = read_suspects(folder)
    if as_json:
        print_json({"folder": str(folder), **found})
    else:
        from welltuned.cli.console.suspects import suspects_lines

        print("\n".join(suspects_lines(found, folder)))


def _find_suspects(file: str | None, overrides: list[str]) -> Path:
    """The folder of what was found."""
    from pathlib import Path

    from welltuned.experiments.labels.config import SuspectsSettings, part_arguments
    from welltuned.schema.validation import read_settings
    from welltuned.training.preparation.load_config import load_config

    if file is not None and _is_judged(Path(file).expanduser(), overrides):
        from welltuned.experiments.labels.cell_suspects import check_labels_of_folder

        return check_labels_of_folder(Path(file).expanduser())
    file, ours, own = part_arguments(file, overrides)
    settings = read_settings(SuspectsSettings, own)
    config = load_config(file, ours)
    from welltuned.cli.console.run import ConsoleObserver
    from welltuned.experiments.labels.suspects import check_labels_by_folds

    observer = ConsoleObserver()
    try:
        words = [*([file] if file else []), *ours]
        return check_labels_by_folds(config, settings, words, observer)
    finally:
        observer.close()


def _is_judged(folder: Path, overrides: list[str]) -> bool:
    """Whether it is a run or a comparison, which has judged labels already."""
    from welltuned.errors import Fault, InputError, Place

    if not any((folder / name).is_file() for name in ("comparison.json", "status.json")):
        return False
    if overrides:
        raise InputError(
            Fault(
                "cli.suspects_options",
                "a finished run or comparison has judged its labels already, and takes no keys",
                Place(str(folder)),
                "leave them out, or give a config",
            )
        )
    return True


@data.command("next")
def next_command(
    run: Annotated[str, typer.Argument(help="A run or model folder.")],
    file: Annotated[str, typer.Argument(help="A file of unlabelled texts.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[n=100] [file=to_label.csv] [key=value …]",
            help="How many to choose, the table to write, and keys of `data:`.",
        ),
    ] = None,
    as_json: Json = False,
    allow_imports: AllowImports = False,
) -> None:
    """Choose the texts that would teach a tuned model most, once labelled, and write a table.

    They are uncertain and unlike each other (BADGE).
    """
    from pathlib import Path

    from welltuned.experiments.labels.config import NextSettings
    from welltuned.schema.messages import render_message
    from welltuned.schema.validation import read_settings

    settings = read_settings(NextSettings, [f"data.train={file}", *(arguments or [])])
    from welltuned.experiments.labels.next_texts import write_next_texts

    found = write_next_texts(Path(run).expanduser(), settings)
    for note in found.notes:
        print(render_message(note), file=sys.stderr)
    if as_json:
        print_json({"file": settings.file, "candidates": found.candidates, "texts": found.rows})
    else:
        from welltuned.cli.console.suspects import next_lines

        print("\n".join(next_lines(found.rows, found.candidates, settings.file)))
