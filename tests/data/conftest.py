"""Files of three splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gathering import rows
from support import write_rows


@pytest.fixture
def three(tmp_path: Path) -> Any:
    """`three(train, validation, test)`: files of these texts, as keywords of `data:`."""

    def write(train: list[str], validation: list[str], test: list[str]) -> dict[str, str]:
        given = {"train": train, "validation": validation, "test": test}
        return {
            split: write_rows(tmp_path / f"{split}.jsonl", rows(*texts))
            for split, texts in given.items()
        }

    return write
