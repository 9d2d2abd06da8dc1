"""A config from a template: one for each thing that people train for, with comments."""

from __future__ import annotations

from pathlib import Path

from welltuned.errors import Fault, InputError
from welltuned.schema.validation import nearest

FOLDER = Path(__file__).with_name("templates")


def template_names() -> list[str]:
    """All templates there are."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def read_template(name: str) -> str:
    """The text of a template. Raises `InputError` where there is none of that name."""
    names = template_names()
    if name not in names:
        raise InputError(
            Fault(
                "draft.template_unknown",
                "there is no template '{name}'",
                None,
                "{hint}",
                name=name,
                hint=nearest(name, names),
            )
        )
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
