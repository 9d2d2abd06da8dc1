"""What became of a key, as plain data and in counts."""

from __future__ import annotations

from welltuned.drafts.migration.findings import KeyFinding, Migration
from welltuned.errors import Place

WRITTEN = KeyFinding("lr", 1, Place("a.yaml", 3, 1), "carried", "training.learning_rate", 1)
DEFAULT = KeyFinding("seed", 42, None, "carried", "training.seed", 42)


def test_counts_are_of_what_somebody_wrote() -> None:
    migration = Migration("TRL", "a.yaml", (WRITTEN, DEFAULT), {}, "", ())
    assert [migration.count(one) for one in ("carried", "left", "nothing")] == [1, 0, 0]
    assert DEFAULT.is_default and not WRITTEN.is_default


def test_findings_are_plain_data() -> None:
    one = WRITTEN.as_dict()
    assert (one["place"], one["to"], one["outcome"]) == (
        "a.yaml:3:1", "training.learning_rate", "carried"
    )  # fmt: skip
    assert DEFAULT.as_dict()["place"] is None
