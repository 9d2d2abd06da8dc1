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
        reason = f"cannot be imported: {type(error).__name__}: {error}"
        raise _unusable(path, what, reason) from error
    if not callable(found):
        raise _unusable(path, what, f"is {type(found).__name__}, and cannot be called")
    return found


def _unusable(path: str, what: str, why: str) -> InputError:
    return InputError(
        Fault(
            f"the {what} '{path}' {why}",
            None,
            "write package.module.name, in a package that is installed or on PYTHONPATH",
        )
    )
