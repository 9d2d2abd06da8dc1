"""Configs of other libraries, small ones of our own with their keys, and what becomes of them."""

from __future__ import annotations

import textwrap
from pathlib import Path

from welltuned.config import RunConfig, read_run_config
from welltuned.drafts.migration.findings import KeyFinding, Migration
from welltuned.drafts.migration.migrate import migrate_config
from welltuned.errors import Faults


def migrated(folder: Path, text: str, *overrides: str, library: str | None = None) -> Migration:
    """The config of this text, carried over."""
    file = folder / "theirs.yaml"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return migrate_config(file, overrides, library)


def loaded(folder: Path, migration: Migration) -> RunConfig:
    """What was written, read as a run reads it."""
    file, faults = folder / "ours.yaml", Faults()
    file.write_text(migration.text, encoding="utf-8")
    config, document = read_run_config(file, [], faults)
    assert list(faults) == [] and list(migration.missing) == []
    assert config is not None and document.values
    return config


def found(migration: Migration, key: str) -> KeyFinding:
    """What became of a key."""
    return next(one for one in migration.findings if one.key == key)
