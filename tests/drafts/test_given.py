"""Keys that are given on the line, by their dotted names."""

from __future__ import annotations

from welltuned.drafts.given import given_keys, nested
from welltuned.errors import Faults


def test_short_forms_are_spelled_out_and_mappings_opened() -> None:
    faults = Faults()
    line = ["task=generation", "strategy={type: lora, r: 4}", "data=a.csv",
            "data.columns.text=review", "training.seed=3"]  # fmt: skip
    found = given_keys(line, faults)
    assert len(faults) == 0
    assert found == {
        "task.type": "generation",
        "strategy.type": "lora",
        "strategy.r": 4,
        "data.train": "a.csv",
        "data.columns.text": "review",
        "training.seed": 3,
    }
    assert nested(found)["data"] == {"train": "a.csv", "columns": {"text": "review"}}


def test_what_is_no_key_is_a_fault() -> None:
    faults = Faults()
    given_keys(["seed"], faults)
    assert [fault.code for fault in faults] == ["config.bad_override"]
