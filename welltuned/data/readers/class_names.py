"""Class names: the labels behind class indices, as the `datasets` library stores them."""

from __future__ import annotations


def name_classes(cell: object, names: list[str]) -> object:
    """A class index, or each of a list of them, by name."""
    if isinstance(cell, list):
        return [name_classes(item, names) for item in cell]
    return names[cell] if isinstance(cell, int) and 0 <= cell < len(names) else cell
