"""The verb that explains a config key or a part: `help`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from welltuned.cli.app import Json, app, print_json

if TYPE_CHECKING:
    from welltuned.schema.part import Part


@app.command("help")
def help_command(
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="[KEY]",
            help="A key such as training.learning_rate, or a part such as lora; "
            "without one, all parts are listed.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain a config key or a part: meaning, default, what it accepts, an example."""
    from welltuned.cli.console.help import explain, key_facts, overview
    from welltuned.schema.reference import Reference, matching

    reference = Reference(config_types())
    if key is None:
        print("\n".join(overview(reference)))
        return
    if key in _verbs() and not matching(reference.keys, key):
        print(f"{key} is a verb, and no key: welltuned {key} --help")
        return
    found = reference.find(key)
    if as_json:
        print_json([key_facts(one) for one in found])
    else:
        print("\n".join(explain(reference, key, found)))


def config_types() -> list[type[Part]]:
    """The configs of all verbs, those of single runs first."""
    from welltuned.config import RunConfig
    from welltuned.experiments.adaptation.config import AdaptConfig
    from welltuned.experiments.comparison.config import CompareConfig
    from welltuned.experiments.search.config import CurveConfig, SweepConfig
    from welltuned.rlhf.config import RlhfConfig

    return [RunConfig, CompareConfig, SweepConfig, CurveConfig, RlhfConfig, AdaptConfig]


def _verbs() -> set[str]:
    commands: Any = typer.main.get_command(app)
    return set(commands.commands)
