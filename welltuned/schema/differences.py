"""Differences between two documents, by key path."""

from __future__ import annotations


def differences(was: object, now: object, path: str = "") -> dict[str, tuple[object, object]]:
    """Every value that differs, by its key path.

    >>> differences({"a": {"b": 1, "c": [1, 2]}}, {"a": {"b": 2, "c": [1, 2]}})
    {'a.b': (1, 2)}
    """
    if isinstance(was, dict) and isinstance(now, dict):
        found: dict[str, tuple[object, object]] = {}
        for key in [*was, *(key for key in now if key not in was)]:
            found |= differences(was.get(key), now.get(key), f"{path}.{key}" if path else str(key))
        return found
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        parts = [
            differences(*pair, f"{path}.{i}") for i, pair in enumerate(zip(was, now, strict=True))
        ]
        return {key: value for part in parts for key, value in part.items()}
    return {} if was == now else {path: (was, now)}
