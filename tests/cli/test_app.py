"""The entry point of the command line."""

from __future__ import annotations

import importlib
import logging

import pytest


def test_what_bitsandbytes_does_without_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.import_module("welltuned.cli.app")
    monkeypatch.setattr(entry, "app", lambda: None)
    monkeypatch.setattr(logging.getLogger("bitsandbytes"), "level", logging.NOTSET)
    entry.main()
    kernels = logging.getLogger("bitsandbytes.backends.cpu.ops")
    assert kernels.getEffectiveLevel() == logging.ERROR
