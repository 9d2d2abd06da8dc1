"""The verb that prints a script by which a shell completes our lines: `completion`.

The script holds all verbs, options, keys and choices as they are now, so that no Python is started
while somebody types. It is written anew after an upgrade.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from welltuned.cli.app import app
from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from welltuned.schema.part import Part


@app.command("completion")
def completion_command(
    shell: Annotated[str, typer.Argument(help="bash, zsh or fish.")],
) -> None:
    """Print a script that completes verbs, keys, choices and files in bash, zsh or fish.

    bash: welltuned completion bash > ~/.local/share/bash-completion/completions/welltuned
    zsh: welltuned completion zsh > FOLDER/_welltuned, where FOLDER is in $fpath
    fish: welltuned completion fish > ~/.config/fish/completions/welltuned.fish
    """
    from welltuned.cli.console.completion import SHELLS

    if shell not in SHELLS:
        raise InputError(
            Fault(
                "cli.shell_unknown",
                "there is no completion for '{shell}'",
                None,
                "choose one of: {known}",
                shell=shell,
                known=", ".join(SHELLS),
            )
        )
    print(SHELLS[shell](words_by_verb()), end="")


OWN_WORDS: dict[str, tuple[str, ...]] = {
    "completion": ("bash", "zsh", "fish"),
    "data next": ("n=", "file="),
    "data suspects": ("folds=", "test=", "folder="),
    "demo": ("llm", "model=", "out="),
    "export": (
        *(f"to={name}" for name in ("onnx", "openvino", "gguf", "sentence-transformers", "plain")),
        *(f"precision={name}" for name in ("int8", "fp16", "fp32")),
        "out=",
        "limits.drop=",
    ),
    "init": ("out=",),
    "migrate": ("out=", "from=llama-factory", "from=trl", "from=axolotl"),
    "plan": ("memory=", "time=", "disk="),
    "predict": ("out=",),
    "push": ("license=", "language="),
}
"""What verbs take besides options and keys of a config."""


def configs_of_verbs() -> dict[str, tuple[type[Part], ...]]:
    """The configs whose keys may follow a verb."""
    from welltuned.config import RunConfig
    from welltuned.experiments.adaptation.config import AdaptConfig
    from welltuned.experiments.comparison.config import CompareConfig
    from welltuned.experiments.search.config import CurveConfig, SweepConfig
    from welltuned.rlhf.config import RlhfConfig

    found: dict[str, tuple[type[Part], ...]] = {
        "sweep": (SweepConfig,), "tune data": (CurveConfig,)
    }  # fmt: skip
    for verb in ("data", "data show", "data suspects", "evaluate", "init", "migrate", "predict",
                 "probe", "resume", "tune lr"):  # fmt: skip
        found[verb] = (RunConfig,)
    for verb in ("plan", "train"):
        found[verb] = (RunConfig, RlhfConfig, AdaptConfig)
    for verb in ("compare", "demo"):
        found[verb] = (CompareConfig,)
    return found


def words_by_verb() -> dict[str, tuple[str, ...]]:
    """What may follow each verb, such as `data suspects`; below the empty one are the verbs."""
    configs = configs_of_verbs()
    found: dict[str, tuple[str, ...]] = {}
    for verb, command in _commands(typer.main.get_command(app), ""):
        inner = tuple(getattr(command, "commands", {}))
        keys = [word for config in configs.get(verb, ()) for word in _words_of(config)]
        words = (*inner, *OWN_WORDS.get(verb, ()), *_options(command), *keys)
        found[verb] = tuple(dict.fromkeys(words))
    return found


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A command and those below it, by their names on the line."""
    yield name, command
    for inner, below in getattr(command, "commands", {}).items():
        yield from _commands(below, f"{name} {inner}".strip())


def _options(command: Any) -> Iterator[str]:
    for option in command.params:
        if option.param_type_name == "option" and not option.hidden:
            yield from (name for name in option.opts if name.startswith("--"))
    yield "--help"


def _words_of(config: type[Part]) -> Iterator[str]:
    """The keys of a config, each as `key=`, and as `key=choice` where it has choices."""
    from welltuned.schema.reference import walk

    for key in walk(config):
        accepts = key.accepts
        if accepts == "the keys below":
            continue
        yield f"{key.key}="
        choices = re.findall(r'"([\w.-]+)"', accepts)
        choices += ["true", "false"] if "true or false" in accepts else []
        yield from (f"{key.key}={choice}" for choice in choices)
