"""Words on the line that belong to the verb itself, beside keys of a config: `out=mine.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from welltuned.errors import Fault, InputError

NEW_CONFIG = "welltuned.yaml"
"""What a config is called that is written anew, where nothing is said."""


def take_words(
    arguments: Sequence[str],
    defaults: Mapping[str, str | None],
    choices: Mapping[str, Sequence[str]] | None = None,
) -> tuple[dict[str, str | None], list[str]]:
    """The verb's own words, each with its value or default, and the arguments that are left.

    Raises `InputError` for a word without a value, or with none of its choices.
    """
    words, others = dict(defaults), []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name not in defaults or not equals:
            others.append(argument)
            continue
        known = (choices or {}).get(name)
        if not value or (known is not None and value not in known):
            raise InputError(
                Fault(
                    "cli.word_value",
                    "'{argument}' says nothing that is known",
                    None,
                    "write {name}={values}",
                    argument=argument,
                    name=name,
                    values=f" or {name}=".join(known) if known else "…",
                )
            )
        words[name] = value
    return words, others
