"""Configs as commented YAML: what is written is read again as the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import refused
from welltuned.config import RunConfig
from welltuned.drafts.commented import Entry, commented_yaml, flow_text, require_new, write_new
from welltuned.errors import Faults
from welltuned.schema.document import read_document


def read(text: str, tmp_path: Path) -> dict[str, Any]:
    file, faults = tmp_path / "config.yaml", Faults()
    file.write_text(text, encoding="utf-8")
    values = read_document(file, faults).values
    assert list(faults) == []
    return values


@pytest.mark.parametrize(
    "value",
    ["yes", "no", "1e-4", "a: b", "a, b", "a # b", "#x", " ", "", "[x", "hub:a/b", "两\n行", "null",
     1e-5, 2e-5, 0.1, 3, True, ["q_proj", "v, proj"], ("a", "b"), {"a: b": "c"}, {}, []],
)  # fmt: skip
def test_any_value_is_read_as_it_was(value: Any, tmp_path: Path) -> None:
    expected = list(value) if isinstance(value, tuple) else value
    assert read(f"a: {flow_text(value)}  # said\nb: [{flow_text(value)}]", tmp_path) == {
        "a": expected,
        "b": [expected],
    }


def test_keys_stand_in_the_order_of_the_schema_and_alone_in_short(tmp_path: Path) -> None:
    entries = [
        Entry(("training", "seed"), 1, "a seed"),
        Entry(("strategy", "type"), "lora"),
        Entry(("strategy", "r"), 4),
        Entry(("data", "train"), "a.csv", "one"),
        Entry(("model", "name"), "m"),
    ]
    text = commented_yaml(entries, RunConfig, ["Head"], {"data": ["Above"]}, ["Tail"])
    assert text.splitlines() == [
        "# Head",
        "model: m",
        "# Above",
        f"{'data: a.csv':<40}  # one",
        "strategy:",
        "  type: lora",
        "  r: 4",
        "training:",
        f"{'  seed: 1':<40}  # a seed",
        "",
        "# Tail",
    ]
    assert read(text, tmp_path)["strategy"] == {"type": "lora", "r": 4}


def test_a_long_comment_stands_above_its_key(tmp_path: Path) -> None:
    text = commented_yaml([Entry(("model", "name"), "m", "word " * 30)], RunConfig)
    assert text.splitlines()[0].startswith("# word") and text.endswith("\nmodel: m\n")
    assert all(len(line) <= 100 for line in text.splitlines())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    require_new(file)
    write_new(file, "a: 1\n")
    with refused("draft.file_exists"):
        require_new(file)
    with refused("draft.file_exists"):
        write_new(file, "b: 2\n")
    assert file.read_text(encoding="utf-8") == "a: 1\n"
