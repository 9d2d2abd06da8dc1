"""transformers: the index of its models' modules, which it makes anew in each process.

It reads some two thousand files for that, and takes half a second. What it has found is kept in the
user's cache, for as long as release and folder stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from welltuned.runs.folder import write_atomically
from welltuned.runs.user_cache import cache_folder

__all__ = ["keep_index"]

Index = dict[Any, Any]
"""By folder its own index; by the backends that are needed, the names in each module."""


def keep_index(import_utils: ModuleType) -> None:
    """Let transformers find its index where an earlier process has left it.

    The module is the one that has just been imported, and makes the index.
    """
    own: Callable[[Any], Index] = import_utils.create_import_structure_from_path
    models = Path(str(import_utils.__file__)).parents[1] / "models"

    @lru_cache
    def create_import_structure_from_path(module_path: Any) -> Index:
        path = Path(module_path)
        folder = path.parent if path.is_file() else path
        return _kept(models, own) if folder == models else own(module_path)

    vars(import_utils)[create_import_structure_from_path.__name__] = (
        create_import_structure_from_path
    )


def _kept(models: Path, make: Callable[[Any], Index]) -> Index:
    file = cache_folder() / "transformers-index.json"
    known = [metadata.version("transformers"), str(models), models.stat().st_mtime_ns]
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        held = json.loads(file.read_text(encoding="utf-8"))
        if held["of"] == known:
            return _index(held["index"])
    index = make(str(models))
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps({"of": known, "index": _plain(index)}))
    return index


def _plain(index: Index) -> dict[str, Any]:
    """As JSON: what needs the same backends stands together, and folders apart."""
    folders = {key: _plain(inner) for key, inner in index.items() if isinstance(key, str)}
    modules = [
        [sorted(key), {name: sorted(names) for name, names in inner.items()}]
        for key, inner in index.items()
        if not isinstance(key, str)
    ]
    return {"folders": folders, "modules": modules}


def _index(plain: dict[str, Any]) -> Index:
    index: Index = {name: _index(inner) for name, inner in plain["folders"].items()}
    for backends, modules in plain["modules"]:
        index[frozenset(backends)] = {name: set(names) for name, names in modules.items()}
    return index
