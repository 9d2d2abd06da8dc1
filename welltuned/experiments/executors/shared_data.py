"""Shared data: a folder in which a request's process finds what others have read and tokenised."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from welltuned.runs.code_version import code_version
from welltuned.training.preparation.data_cache import DataCache


def shared_data(request: Mapping[str, object]) -> DataCache:
    """What is in the request's folder `data`; without one, nothing yet."""
    return DataCache(Path(str(request["data"])) if "data" in request else None, code_version())
