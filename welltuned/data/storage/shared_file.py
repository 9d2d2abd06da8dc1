"""Storage: records and examples in one file of JSON and flat arrays, so that processes share them.

Nothing is pickled, so reading a file runs no code of its own. A value that cannot be given back
exactly is refused when it is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

_PLAIN = (type(None), bool, int, float, str)
_TREE = "tree"


class UnstorableError(Exception):
    """A value that would not come back as it is."""


def store(value: object, file: Path) -> None:
    """Write a value in one piece or not at all.

    It is of plain types, arrays, and dataclasses or named tuples of these. Raises
    `UnstorableError` for anything else.
    """
    packer = _Packer()
    tree = json.dumps(packer.pack(value)).encode()
    arrays: dict[str, Any] = {_TREE: np.frombuffer(tree, np.uint8)}
    for dtype, parts in packer.flat.items():
        arrays[f"flat {dtype}"] = np.concatenate(parts)
    draft = file.with_name(f"{file.stem}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as stream:
            np.savez(stream, **arrays)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def load_stored(file: Path) -> object:
    """The value that was stored. Raises `OSError` or `ValueError` for a file that is not whole."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
            return _Unpacker(arrays).unpack(json.loads(arrays[_TREE].tobytes()))
    except OSError:
        raise
    except Exception as error:  # whatever a damaged archive makes its readers say
        raise ValueError(f"{file} is not whole: {error}") from error


def fingerprint(value: object) -> str:
    """A hash of a value that `store` takes, equal for equal ones. Raises `UnstorableError`."""
    packer = _Packer()
    digest = hashlib.blake2b(json.dumps(packer.pack(value)).encode(), digest_size=16)
    for dtype, parts in packer.flat.items():
        digest.update(dtype.encode())
        for part in parts:
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


class _Packer:
    """Values as JSON; numbers of arrays apart, end to end by type."""

    def __init__(self) -> None:
        self.flat: dict[str, list[np.ndarray]] = {}
        self._filled: dict[str, int] = {}

    def pack(self, value: Any) -> Any:
        if type(value) in _PLAIN:
            return value
        if isinstance(value, np.ndarray):
            return self._array(value)
        if type(value) is list and all(type(item) in _PLAIN for item in value):
            return {"plain": value}
        if isinstance(value, tuple) and (names := getattr(value, "_fields", ())):
            parts = {name: self.pack(part) for name, part in zip(names, value, strict=True)}
            return _as_class(value, parts)
        if type(value) in (list, tuple):
            return {type(value).__name__: [self.pack(item) for item in value]}
        if type(value) is dict:
            return {"dict": [[self.pack(key), self.pack(one)] for key, one in value.items()]}
        if is_dataclass(value) and not isinstance(value, type):
            parts = {one.name: self.pack(getattr(value, one.name)) for one in fields(value)}
            return _as_class(value, parts)
        raise UnstorableError(f"a {type(value).__name__} is neither plain nor an array")

    def _array(self, value: np.ndarray) -> Any:
        if value.dtype == object:
            return {"objects": [self.pack(item) for item in value.ravel()], "shape": value.shape}
        name = value.dtype.str
        start = self._filled.get(name, 0)
        self._filled[name] = start + value.size
        self.flat.setdefault(name, []).append(value.ravel())
        return {"array": [name, start, *value.shape]}


class _Unpacker:
    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self._arrays = arrays
        self._kinds: dict[str, Callable[[Any], Any]] = {
            "plain": lambda items: items,
            "list": lambda items: [self.unpack(item) for item in items],
            "tuple": lambda items: tuple(self.unpack(item) for item in items),
            "dict": lambda pairs: {self.unpack(key): self.unpack(one) for key, one in pairs},
            "array": self._array,
        }

    def unpack(self, tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        if "class" in tree:
            parts = {name: self.unpack(part) for name, part in tree["fields"].items()}
            return _class(*tree["class"])(**parts)
        if "objects" in tree:
            found = np.empty(len(tree["objects"]), dtype=object)
            for i, item in enumerate(tree["objects"]):
                found[i] = self.unpack(item)
            return found.reshape(tree["shape"])
        ((kind, held),) = tree.items()
        return self._kinds[kind](held)

    def _array(self, held: list[Any]) -> np.ndarray:
        name, start, *shape = held
        size = int(np.prod(shape))
        return self._arrays[f"flat {name}"][start : start + size].reshape(shape)


def _as_class(value: Any, parts: dict[str, Any]) -> dict[str, Any]:
    return {"class": [type(value).__module__, type(value).__qualname__], "fields": parts}


def _class(module: str, name: str) -> Any:
    """A dataclass or named tuple that is loaded already: a file imports nothing."""
    found = getattr(sys.modules[module], name)
    if not is_dataclass(found) and not hasattr(found, "_fields"):
        raise ValueError(f"{module}.{name} is no class of values")
    return found
