"""Objects named in a config by import path: metrics, callbacks, engines."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from welltuned.errors import Fault, InputError


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
