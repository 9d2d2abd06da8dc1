"""The verb that writes a config: `init`, from a data file or a template."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from welltuned.cli.app import Json, app, print_json, split_arguments
from welltuned.cli.words import NEW_CONFIG, take_words
from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from welltuned.drafts.from_data import ConfigDraft


@app.command("init")
def init_command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATA_FILE] [out=welltuned.yaml] [key=value …]",
            help="What to learn from, the file to write, and keys that it shall have.",
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template", metavar="NAME", help="generation, pairs, entities or rlhf, with comments."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a commented config: from what is in a data file, or from a template.

    Columns, task, labels, language and a model that suits them are found by looking at the data.
    Nothing is ever overwritten.
    """
    from welltuned.drafts.commented import require_new, write_new

    words, others = take_words(arguments or [], {"out": NEW_CONFIG})
    target = Path(words["out"] or NEW_CONFIG).expanduser()
    file, overrides = split_arguments(others)
    _require_one(file, template, overrides)
    require_new(target)
    if template is not None:
        from welltuned.drafts.from_template import read_template

        write_new(target, read_template(template))
        found: dict[str, object] = {"file": str(target), "template": template}
    else:
        assert file is not None
        draft = _look(file, overrides)
        write_new(target, draft.text)
        found = {"file": str(target), "config": draft.values, "found": list(draft.found)}
        if not as_json:
            print("\n".join(draft.found))
    if as_json:
        print_json(found)
    else:
        print(f"Written: {target}\nNext: welltuned plan {target}, welltuned train {target}")


def _look(file: str, overrides: list[str]) -> ConfigDraft:
    from welltuned.drafts.from_data import draft_config

    return draft_config(file, overrides)


def _require_one(file: str | None, template: str | None, overrides: list[str]) -> None:
    """A data file or a template, and not both."""
    if (file is None) == (template is None):
        raise InputError(
            Fault(
                "cli.init_source",
                "init needs a data file or --template NAME, and not both",
                None,
                "for example: welltuned init reviews.csv",
            )
        )
    if template is not None and overrides:
        raise InputError(
            Fault(
                "cli.init_template_keys",
                "a template is written as it is, and takes no keys: {keys}",
                None,
                "leave them out, and edit the file",
                keys=" ".join(overrides),
            )
        )
