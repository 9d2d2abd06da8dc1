"""Fixtures of comparisons."""

from __future__ import annotations

import pytest

from comparing import without_a_page, without_processes
from trials import imagined

__all__ = ["imagined"]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers without processes, for one test."""
    without_processes(monkeypatch, reports=False)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison whose page nobody reads."""
    without_a_page(monkeypatch)
