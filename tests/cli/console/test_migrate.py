"""What is told of a config that was carried over."""

from __future__ import annotations

import io

from rich.console import Console

from welltuned.cli.console.migrate import show_migration
from welltuned.drafts.migration.findings import KeyFinding, Migration
from welltuned.errors import Fault, Place

FINDINGS = (
    KeyFinding("lr", 0.1, Place("a.yaml", 3, 1), "carried", "training.learning_rate", 0.1),
    KeyFinding("seed", 42, None, "carried", "training.seed", 42, "TRL's default"),
    KeyFinding("fsdp", "full", Place("a.yaml", 5, 1), "left", note="not sharded"),
)


def shown(*missing: Fault) -> str:
    migration = Migration("TRL", "a.yaml", FINDINGS, {}, "", missing)
    console = Console(file=io.StringIO(), width=200)
    console.print(show_migration(migration, "mine.yaml"))
    text = console.file
    assert isinstance(text, io.StringIO)
    return " ".join(text.getvalue().split())


def test_each_key_is_told_with_its_line() -> None:
    text = shown()
    assert "1 keys carried over, 1 not, 0 that need not be" in text
    assert "a.yaml:3 lr: 0.1 training.learning_rate: 0.1" in text
    assert "default seed: 42 training.seed: 42 TRL's default" in text
    assert "Not carried over a.yaml:5 fsdp: full not sharded" in text
    assert "Nothing to carry over" not in text
    assert text.endswith("Next: welltuned plan mine.yaml")


def test_what_cannot_run_is_not_recommended() -> None:
    assert shown(Fault("migrate.nothing_named", "no model")).endswith("Written: mine.yaml")
