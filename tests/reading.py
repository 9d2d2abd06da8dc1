"""Reading one file, for tests of readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from faults import full
from welltuned.data.config import DataConfig
from welltuned.data.sources import read_file
from welltuned.errors import Faults


def read(path: Path, content: str | bytes | None = None, **config: Any) -> Any:
    """(table or None, faults as places, codes and values)."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    faults = Faults()
    table = read_file(str(path), DataConfig(train=str(path), **config), faults)
    return table, full(faults)
