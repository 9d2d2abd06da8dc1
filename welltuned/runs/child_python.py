"""Python processes of our own: what they can import is what their parent can."""

from __future__ import annotations

import os
import sys


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module.

    `-m` alone puts the working folder first on the path, and a file there that is called as a
    library is, such as `yaml.py`, would be run in its place.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """This process's environment, with the path that its own imports are looked up on.

    So a script's engine or metric, in a file beside it, is found by its workers too.
    """
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = (os.path.abspath(entry) for entry in [*sys.path, *filter(None, given)])
    found = [entry for entry in dict.fromkeys(path) if os.path.exists(entry)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(found)}
