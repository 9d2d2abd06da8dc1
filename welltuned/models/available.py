"""Which models are here: in a folder, an installed package or the Hub's cache. Nobody is asked.

A folder is `models/NAME` in the working folder, or `NAME` in `$WELLTUNED_MODELS`, where `NAME` is
what stands behind the slash in the model's name on the Hub.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from welltuned.errors import InputError
from welltuned.models.gguf.sources import find_gguf
from welltuned.models.locations import locate
from welltuned.schema.local_path import is_local_path

FOLDERS = "WELLTUNED_MODELS"
"""The variable that names the folder of the user's models."""
PLACES = FOLDER, PACKAGE, CACHE = "a folder", "an installed package", "the Hub's cache"
"""What holds a model, for people."""
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Available:
    """A model that is here."""

    name: str
    """As a config names it: a folder, `package:NAME`, or its name on the Hub."""
    where: str
    """One of `PLACES`."""
    folder: Path
    """Where its files lie."""


def find_available(name: str, packages: Sequence[str] = ()) -> Available | None:
    """A model by its name on the Hub, or by that of a package that holds it; None where neither is.

    The user's own folders come first, and then packages, for their weights cannot change unseen.
    """
    return next(_found(name, packages), None)


def cached_folder(name: str) -> Path | None:
    """The files of a model in the Hub's cache, as its branch `main` was when it was fetched."""
    from huggingface_hub import try_to_load_from_cache

    if is_local_path(name):
        return None
    try:
        config = try_to_load_from_cache(name, "config.json")
    except ValueError:  # no name of the Hub, such as `package:NAME`
        return None
    folder = Path(config).parent if isinstance(config, str) else None
    return folder if folder is not None and _is_whole(folder) else None


def _found(name: str, packages: Sequence[str]) -> Iterator[Available]:
    own = [Path("models"), *(Path(given).expanduser() for given in _given_folders())]
    for folder in (parent / name.rpartition("/")[2] for parent in own):
        if _is_whole(folder):
            yield Available(_as_path(folder), FOLDER, folder)
    for package in packages:
        packed = f"package:{package}"
        if (there := _folder_of_package(packed)) is not None:
            yield Available(packed, PACKAGE, there)
    if (cached := cached_folder(name)) is not None:
        yield Available(name, CACHE, cached)


def _given_folders() -> list[str]:
    return [os.environ[FOLDERS]] if os.environ.get(FOLDERS) else []


def _as_path(folder: Path) -> str:
    """A name that no model on the Hub can have."""
    return str(folder) if folder.is_absolute() else f"./{folder.as_posix()}"


def _folder_of_package(name: str) -> Path | None:
    try:
        file = find_gguf(name, None, None)
        return Path(locate(name)) if file is None else file.parent
    except InputError:  # not installed, or without a model
        return None


def _is_whole(folder: Path) -> bool:
    """Whether a config, weights and a tokenizer lie in a folder; links may lead nowhere."""
    weights = any((folder / name).is_file() for name in _WEIGHTS)
    tokenizer = any((folder / name).is_file() for name in _TOKENIZERS)
    return weights and tokenizer and (folder / "config.json").is_file()
