"""Files that we have written, read again: one that is damaged is refused with its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from welltuned.errors import Fault, InputError, Place

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C, where PyYAML was built with it, is ten times as fast."""


def read_mapping(file: Path) -> dict[str, Any]:
    """The content of a JSON or YAML file, by its suffix.

    Raises `InputError` where the file is cut off or not what we write, `FileNotFoundError` where
    there is none.
    """
    try:
        values = _parse(file.read_text(encoding="utf-8"), file.suffix)
    except json.JSONDecodeError as error:
        raise _damaged(Place(str(file), error.lineno, error.colno), error.msg) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _damaged(Place(str(file)), str(error).splitlines()[0]) from error
    if not isinstance(values, dict):
        raise _damaged(Place(str(file)), "it holds no keys")
    return values


def _parse(text: str, suffix: str) -> object:
    return yaml.load(text, _LOADER) if suffix == ".yaml" else json.loads(text)


def _damaged(place: Place, reason: str) -> InputError:
    return InputError(
        Fault(
            "run.file_damaged",
            "the file is damaged: {reason}",
            place,
            "restore it, or move its folder away",
            reason=reason,
        )
    )
