"""Objects named in a config by import path: metrics, callbacks, engines, rewards.

To import is to run code. A path that a person writes on a command line, or in Python, is their
word; one that stands in a file may be somebody else's, and is imported only where that is allowed.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from welltuned.errors import Fault, InputError

ALLOWED = "WELLTUNED_ALLOW_IMPORTS"
"""The environment variable that allows imports, as `--allow-imports` does for one command."""


def imports_allowed() -> bool:
    """Whether what a file names by import path may be imported."""
    return os.environ.get(ALLOWED, "") not in ("", "0")


def unasked_import(path: str, key: str) -> Fault:
    """What is said of an import path that stands in a file."""
    return Fault(
        "import.not_allowed",
        "'{key}' names '{path}', and to import it runs its code",
        None,
        "if you know that code, allow it with --allow-imports or {allowed}=1",
        key=key,
        path=path,
        allowed=ALLOWED,
    )


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
