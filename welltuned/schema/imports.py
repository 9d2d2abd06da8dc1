"""Imports of large libraries: what happens after them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def after_import(hooks: Mapping[str, str]) -> None:
    """Call hooks, each named as `module:function`, with the modules by whose names they stand.

    At once for what is imported already. A hook's own module is not imported before, nor is wrapt,
    which calls them: it is slow to import itself.
    """
    if any(name in sys.modules for name in hooks):
        _hand_over(hooks)
    else:
        sys.meta_path.insert(0, _Waiting(hooks))


def _hand_over(hooks: Mapping[str, str]) -> None:
    import wrapt

    for name, hook in hooks.items():
        wrapt.register_post_import_hook(hook, name)


class _Waiting:
    """Finds nothing itself: the first look for one of the libraries tells wrapt of all hooks."""

    def __init__(self, hooks: Mapping[str, str]) -> None:
        self._hooks = hooks

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname not in self._hooks:
            return None
        # It stays in the list, idle: taking it out would disturb those who walk the list just now.
        hooks, self._hooks = self._hooks, {}
        _hand_over(hooks)
        return find_spec(fullname)
