"""Objects named in a config by import path: metrics, callbacks, engines, rewards.

To import is to run code. A path that a person writes on a command line, or in Python, is their
word; one that stands in a file may be somebody else's, and is imported only where that is allowed.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from welltuned.errors import Fault, Faults, InputError

ALLOWED = "WELLTUNED_ALLOW_IMPORTS"
"""The environment variable that allows imports, as `--allow-imports` does for one command."""


@dataclass(frozen=True)
class RunsCode:
    """Marks a key whose value runs code: an import path, or leave to run what a model brings."""


_ASKED: ContextVar[bool] = ContextVar("_ASKED", default=False)


def imports_allowed() -> bool:
    """Whether code that a file names may run."""
    return _ASKED.get() or os.environ.get(ALLOWED, "") not in ("", "0")


@contextmanager
def allowing_imports() -> Iterator[None]:
    """For files of ours that say once more what somebody has asked for."""
    token = _ASKED.set(True)
    try:
        yield
    finally:
        _ASKED.reset(token)


def unasked_code(key: str, value: object) -> Fault:
    """What is said of a key of a file that runs code."""
    return Fault(
        "config.code_not_allowed",
        "'{key}' is {value}, which runs code that is not welltuned's own, and stands in a file",
        None,
        "if you know that code, allow it with --allow-imports or {allowed}=1, or write the key on "
        "the command line",
        key=key,
        value=repr(value),
        allowed=ALLOWED,
    )


def require_allowed(key: str, paths: Sequence[str]) -> None:
    """Raise `InputError` for import paths that a file names, unless imports are allowed."""
    faults = Faults()
    if not imports_allowed():
        faults.extend(unasked_code(key, path) for path in paths)
    faults.raise_if_any()


def load_callable(path: str, what: str) -> Callable[..., Any]:
    """The function or class at `package.module.name`.

    `what` it is meant to be, such as `metric`, goes into the message. Raises `InputError`.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # importing runs the user's code, whatever that does
        raise InputError(
            Fault(
                "import.failed",
                "cannot import the {what} '{path}': {error}",
                None,
                "write package.module.name, in a package that is installed or on PYTHONPATH",
                what=what,
                path=path,
                error=f"{type(error).__name__}: {error}",
            )
        ) from error
    if not callable(found):
        raise InputError(
            Fault(
                "import.not_callable",
                "the {what} '{path}' is not callable: it is of type {type}",
                None,
                "name a function or a class",
                what=what,
                path=path,
                type=type(found).__name__,
            )
        )
    return found
