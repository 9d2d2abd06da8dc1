"""GGUF files of tiny random decoders, written by our own export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llamas import speaking
from welltuned.deployment.export.gguf.format import write_gguf


@pytest.fixture
def gguf_of(tmp_path: Path) -> Callable[..., tuple[Path, Any]]:
    """`gguf_of("llama")`: a file in a folder of its own, and what was written into it."""

    def make(family: str = "llama", precision: str = "fp32", **changes: Any) -> tuple[Path, Any]:
        artifact = speaking(family, **{"num_hidden_layers": 2, **changes})
        file = tmp_path / "tiny.gguf"
        write_gguf(artifact, file, precision)
        return file, artifact

    return make


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache in which nothing is yet."""
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))
