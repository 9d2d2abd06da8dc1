"""Resumable folder: it belongs to one question, and continues where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from welltuned.errors import Fault, InputError, Place
from welltuned.runs.disk import make_folder
from welltuned.runs.folder import write_atomically, yaml_text
from welltuned.runs.locks import holding
from welltuned.schema.secrets import masked

CONFIG, LOCKS = "config.yaml", ".locks"
_SHOWN = 3


def enter(folder: Path, identity: Mapping[str, object]) -> None:
    """Begin in a new or empty folder, or go on in one that was begun with the same identity.

    Raises `InputError`, naming the differences, when it holds anything else.
    """
    make_folder(folder)
    asked = json.loads(json.dumps(masked(identity)))
    with holding(folder / LOCKS / "folder"):
        file = folder / CONFIG
        if file.exists():
            _require_same(yaml.safe_load(file.read_text(encoding="utf-8")), asked, folder)
        elif any(path.name != LOCKS for path in folder.iterdir()):
            raise InputError(
                Fault(
                    "run.folder_in_use",
                    "the output folder is already in use",
                    Place(str(folder)),
                    "choose another output_dir; nothing is ever overwritten",
                )
            )
        else:
            write_atomically(file, yaml_text(asked))


def _require_same(found: Any, asked: Any, folder: Path) -> None:
    before, now = dict(_leaves(found)), dict(_leaves(asked))
    keys = [key for key in {**before, **now} if _said(key, before) != _said(key, now)]
    if not keys:
        return
    changes = [
        "the data differ"
        if key == "data_fingerprint"
        else f"{key} was {_said(key, before)} and is {_said(key, now)}"
        for key in keys[:_SHOWN]
    ]
    more = f", and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    raise InputError(
        Fault(
            "run.folder_of_another_config",
            "the folder was started with another config: {changes}",
            Place(str(folder)),
            "change it back, or choose another output_dir",
            changes="; ".join(changes) + more,
        )
    )


def _said(key: str, values: dict[str, Any]) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "not there"


def _leaves(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested mappings by its dotted key."""
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, values
