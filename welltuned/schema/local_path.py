"""Names that stand for a file or folder here, and not for something on a hub."""

from __future__ import annotations


def is_local_path(name: str) -> bool:
    """Whether a name can only be a path: hub names are `NAME` or `OWNER/NAME`.

    >>> is_local_path("./sst2"), is_local_path("my/own/sst2"), is_local_path("stanfordnlp/sst2")
    (True, True, False)
    """
    return name.startswith(("/", "./", "../", "~", ".\\")) or "\\" in name or name.count("/") > 1
