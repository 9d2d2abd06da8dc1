"""What is said of what is wrong in a config, and where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import brief
from small_config import Small, Whole, read
from welltuned.errors import Faults
from welltuned.schema.document import Document
from welltuned.schema.validation import expand_shorthand, validate


def test_an_unknown_key_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "source: a\nlimt: 3\n")
    assert str(faults[0]).replace(str(tmp_path), "") == (
        "/c.yaml:2:1: unknown key 'limt' -> did you mean 'limit'?"
        " (choices: source, method, limit, mode, weights) [config.key_unknown]"
    )


def test_an_unknown_key_is_compared_with_the_keys_of_its_own_part(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "source:\n  name: a\n  colums: {}\nmethod: {type: large, deep: 1}\n")
    assert brief(faults) == ["c.yaml:3:3 config.key_unknown", "c.yaml:4:23 config.key_unknown"]
    assert [fault.values["key"] for fault in faults] == ["source.colums", "method.deep"]
    assert "'columns'" in faults[0].values["hint"] and "'depth'" in faults[1].values["hint"]


def test_an_unknown_key_like_no_other_lists_the_choices(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "source: a\nmethod: {type: large, zzz: 1}\n")
    assert brief(faults) == ["c.yaml:2:23 config.key_unknown"]
    assert faults[0].values["hint"].endswith(": type, depth")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "limit: 3\n")
    assert brief(faults) == ["c.yaml config.key_missing"]
    assert faults[0].values == {"key": "source"}


def test_a_value_out_of_range_is_shown_with_its_limit(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "source: a\nlimit: -5\n")
    assert brief(faults) == ["c.yaml:2:1 config.value_invalid"]
    assert faults[0].values["given"] == "-5"
    assert faults[0].values["reason"].endswith("greater than or equal to 1")


def test_a_wrong_word_is_refused_with_the_nearest_choice(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "source: a\nmode: fsat\n")
    assert brief(faults) == ["c.yaml:2:1 config.choice_unknown"]
    assert faults[0].values["given"] == "'fsat'" and "'fast'" in faults[0].values["hint"]


def test_an_unknown_type_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "source: a\nmethod:\n  type: lrage\n")
    assert brief(faults) == ["c.yaml:3:3 config.type_unknown"]
    assert faults[0].values["given"] == "lrage" and "'large'" in faults[0].values["hint"]


def test_a_part_of_several_types_needs_one(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "source: a\nmethod: {depth: 1}\n")
    assert brief(faults) == ["c.yaml:2:1 config.type_missing"]
    assert faults[0].remedy == "write `method: {type: …}`"


def test_a_conflict_tells_both_keys_and_the_way_out(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "source:\n  name: a\n  first: 5\n  last: 2\n")
    assert brief(faults) == ["c.yaml:1:1 test.reversed"]
    assert faults[0].remedy == "swap them"


def test_a_conflict_between_arguments_is_placed_at_one_of_them(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "limit: 1", "source.name=a", "source.first=5", "source.last=2")
    assert brief(faults) == ["argument 'source.name=a' test.reversed"]


@pytest.mark.parametrize("value", ["-1", "0", ".nan", ".inf", "atuo"])
def test_a_number_or_a_word_is_one_value_and_one_fault(tmp_path: Path, value: str) -> None:
    """Neither pydantic's names for kinds nor its error for each kind reach a person."""
    _, faults = read(tmp_path, f"source: a\nmethod: {{type: small, rate: {value}}}\n")
    assert len(faults) == 1
    assert brief(faults)[0].startswith("c.yaml:2:23 config.")
    assert faults[0].values["key"] == "method.rate" and "auto" in faults[0].remedy


def test_a_number_or_a_word_may_be_either(tmp_path: Path) -> None:
    cases: tuple[tuple[str, Any], ...] = (("auto", "auto"), ("2e-5", 2e-5))
    for value, meant in cases:
        config, faults = read(tmp_path, f"source: a\nmethod: {{type: small, rate: {value}}}\n")
        assert faults == []
        assert config is not None and config.method == Small(rate=meant)


def test_a_fault_deep_in_one_of_several_kinds_is_told_alone(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "source: a\nweights:\n  pos: 1\n  neg: much\n")
    assert len(faults) == 1
    assert brief(faults) == ["c.yaml:4:3 config.value_invalid"]
    assert faults[0].values["key"] == "weights.neg" and faults[0].values["given"] == "'much'"


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "sorce: a\nlimit: 0\nmode: x\n", "weights=3", "nonsense")
    keys = {fault.values.get("key") for fault in faults}
    assert keys == {"sorce", "source", "limit", "mode", "weights", None}
    assert "argument 'nonsense' config.bad_override" in brief(faults)


# --- Short forms --------------------------------------------------------------


def test_a_bare_word_stands_for_the_parts_main_key() -> None:
    assert expand_shorthand(Whole, {"source": "a", "limit": 2}) == {
        "source": {"name": "a"},
        "limit": 2,
    }


def test_what_is_written_out_is_not_expanded() -> None:
    values = {"source": {"name": "a"}, "mode": "fast", "unknown": "x"}
    assert expand_shorthand(Whole, values) == values


def test_values_without_a_file_are_placed_at_their_source() -> None:
    faults = Faults()
    assert validate(Whole, Document({"limit": 1}, source="arguments"), faults) is None
    assert brief(faults) == ["arguments config.key_missing"]
