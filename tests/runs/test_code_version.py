"""The code that trains, as one hash."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.runs import code_version as version
from welltuned.runs.code_version import code_version


def test_the_code_that_trains_counts_and_the_code_that_talks_does_not(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "_ROOT", tmp_path)
    (tmp_path / "engines").mkdir()
    (tmp_path / "reports").mkdir()
    (tmp_path / "engines/torch_loop.py").write_text("1")
    code_version.cache_clear()
    before = code_version()
    (tmp_path / "reports/page.py").write_text("2")
    (tmp_path / "console.py").write_text("2")
    code_version.cache_clear()
    assert code_version() == before
    (tmp_path / "engines/torch_loop.py").write_text("2")
    code_version.cache_clear()
    assert code_version() != before
    monkeypatch.undo()
    code_version.cache_clear()
