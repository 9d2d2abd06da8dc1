"""Reading a pipeline's config: a YAML file with `pipeline: rlhf`, and overrides."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from welltuned.errors import Faults
from welltuned.rlhf.config import RlhfConfig
from welltuned.schema import Document, apply_overrides, read_document, validate


def load(file: str | None, overrides: Iterable[str]) -> RlhfConfig:
    """The config as a person wrote it, or as a pipeline's folder holds it.

    Raises `InputError` with all faults.
    """
    faults = Faults()
    document = read_document(Path(file), faults) if file is not None else Document()
    apply_overrides(document, overrides, RlhfConfig, faults)
    if len(faults) and not document.values:
        faults.raise_if_any()
    return _validated(document, faults)


def config_from(values: dict[str, Any]) -> RlhfConfig:
    """A config from keyword arguments. Raises `InputError`."""
    return _validated(Document(values=dict(values), source="arguments"), Faults())


def _validated(document: Document, faults: Faults) -> RlhfConfig:
    document.values.pop("schema_version", None)
    if not isinstance(document.values.get("reward"), list):
        # A single judge is a list of one; its keys keep their places.
        document.places |= {
            (path[0], "0", *path[1:]): place
            for path, place in document.places.items()
            if path[0] == "reward" and len(path) > 1
        }
    config = validate(RlhfConfig, document, faults)
    faults.raise_if_any()
    assert config is not None
    return config
