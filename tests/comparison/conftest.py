"""Fixtures of comparisons."""

from __future__ import annotations

import pytest

from comparing import without_processes


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers without processes, for one test."""
    without_processes(monkeypatch)
