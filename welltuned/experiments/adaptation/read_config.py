"""Reading the config of a run that adapts its model first: `pipeline: adapt`, and overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from welltuned.errors import Faults
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.schema.document import Document, apply_overrides, read_document
from welltuned.schema.validation import validate
from welltuned.schema.versions import drop_version

ADAPT = "adapt"
"""What `pipeline:` says of such a config."""


def load_adapt_config(file: str | None, overrides: Iterable[str]) -> AdaptConfig:
    """The config as a person wrote it. Raises `InputError` with all faults."""
    faults = Faults()
    document = read_document(Path(file), faults) if file is not None else Document()
    apply_overrides(document, overrides, AdaptConfig, faults)
    if len(faults) and not document.values:
        faults.raise_if_any()
    return _validated(document, faults)


def adapt_config_from(values: Mapping[str, object]) -> AdaptConfig:
    """A config from keyword arguments. Raises `InputError`."""
    return _validated(Document(values=dict(values), source="arguments"), Faults())


def _validated(document: Document, faults: Faults) -> AdaptConfig:
    if not drop_version(document, faults):
        faults.raise_if_any()
    config = validate(AdaptConfig, document, faults)
    faults.raise_if_any()
    assert config is not None
    return config
