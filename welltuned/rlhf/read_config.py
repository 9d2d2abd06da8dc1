"""Reading a pipeline config: a YAML file with `pipeline: rlhf`, and overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from welltuned.errors import Faults
from welltuned.rlhf.algorithms import ALGORITHMS
from welltuned.rlhf.config import RlhfConfig
from welltuned.schema.document import Document, KeyPath, apply_overrides, read_document
from welltuned.schema.validation import validate
from welltuned.schema.versions import drop_version


def load_rlhf_config(file: str | None, overrides: Iterable[str]) -> RlhfConfig:
    """The config as a person wrote it, or as a pipeline's folder holds it.

    Raises `InputError` with all faults.
    """
    faults = Faults()
    document = read_document(Path(file), faults) if file is not None else Document()
    place_algorithm(document)
    apply_overrides(document, overrides, RlhfConfig, faults)
    if len(faults) and not document.values:
        faults.raise_if_any()
    return _validated(document, faults)


def rlhf_config_from(values: Mapping[str, object]) -> RlhfConfig:
    """A config from keyword arguments. Raises `InputError`."""
    return _validated(Document(values=dict(values), source="arguments"), Faults())


def _validated(document: Document, faults: Faults) -> RlhfConfig:
    if not drop_version(document, faults):
        faults.raise_if_any()
    place_algorithm(document)
    place_judges(document, ("reward",))
    config = validate(RlhfConfig, document, faults)
    faults.raise_if_any()
    assert config is not None
    return config


def place_algorithm(document: Document) -> None:
    """`ppo: {…}`, or any algorithm's name, is short for `rl: {type: ppo, …}`; keys keep places."""
    values = document.values
    for name in [name for name in ALGORITHMS.names if name in values]:
        written, known = values.pop(name) or {}, values.get("rl", {})
        known = {"type": known} if isinstance(known, str) else known
        values["rl"] = {**known, "type": name, **written} if isinstance(written, dict) else written
        for path in [path for path in document.places if path[0] == name]:
            document.places["rl", *path[1:]] = document.places.pop(path)


def place_judges(document: Document, path: KeyPath) -> None:
    """A single judge, at this path, is a list of one; its keys keep their places."""
    value: Any = document.values
    for key in path:
        value = value[int(key)] if isinstance(value, list) else value.get(key, {})
    if not isinstance(value, list):
        document.places |= {
            (*path, "0", *below[len(path) :]): place
            for below, place in document.places.items()
            if below[: len(path)] == path and len(below) > len(path)
        }
