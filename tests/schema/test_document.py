"""Reading configs: YAML with positions, overrides, and what is said of what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from faults import brief, codes
from welltuned.errors import Fault, Faults, Place
from welltuned.schema.document import (
    Document,
    Part,
    apply_overrides,
    conflict,
    expand_shorthand,
    read_document,
    validate,
)


class Small(Part):
    type: Literal["small"] = "small"
    rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"


class Large(Part):
    type: Literal["large"] = "large"
    depth: int = 3


class Source(Part):
    shorthand: ClassVar[str | None] = "name"
    name: str
    columns: dict[str, str] = Field(default_factory=dict)
    first: int | None = None
    last: int | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Source:
        if self.first is not None and self.last is not None and self.first > self.last:
            raise conflict("test.reversed", "'source.first' is behind 'source.last'", "swap them")
        return self


class Whole(Part):
    source: Source
    method: Annotated[Small | Large, Field(discriminator="type")] = Small()
    limit: int = Field(default=1, ge=1)
    mode: Literal["fast", "slow"] = "fast"
    weights: Literal["none"] | dict[str, float] = "none"


def read(tmp_path: Path, text: str | bytes, *overrides: str) -> tuple[Whole | None, list[Fault]]:
    """The config and the faults."""
    file = tmp_path / "c.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    faults = Faults()
    document = read_document(file, faults)
    apply_overrides(document, overrides, Whole, faults)
    config = validate(Whole, document, faults) if document.values else None
    return config, list(faults)


# --- YAML ---------------------------------------------------------------------


def test_a_right_config_has_no_faults(tmp_path: Path) -> None:
    config, faults = read(tmp_path, "source: {name: a}\nlimit: 4\nmethod: {type: large, depth: 7}")
    assert faults == []
    assert config == Whole(source=Source(name="a"), limit=4, method=Large(depth=7))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e-3", 1e-3),
        ("2E5", 2e5),
        ("1.5e3", 1.5e3),
        (".5", 0.5),
        ("3", 3),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("null", None),
        ("1e", "1e"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(tmp_path: Path, written: str, meant: object) -> None:
    (tmp_path / "c.yaml").write_text(f"key: {written}")
    value = read_document(tmp_path / "c.yaml", Faults()).values["key"]
    assert value == meant
    assert type(value) is type(meant)


def test_every_key_is_found_again_by_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("# comment\nsource:\n  name: a\n  columns: {text: b}\n")
    document = read_document(file, Faults())
    assert document.place(["source"]) == Place(str(file), 2, 1)
    assert document.place(["source", "columns", "text"]) == Place(str(file), 4, 13)


def test_a_key_that_was_not_written_is_placed_at_the_one_around_it(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("limit: 1\nsource:\n  name: a\n")
    document = read_document(tmp_path / "c.yaml", Faults())
    assert document.place(["source", "columns", "text"]).line == 2
    assert document.place(["nowhere"]).line is None


def test_a_mark_of_byte_order_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    config, faults = read(tmp_path, "\ufefflimit: 3\r\nsource: a\r\n".encode())
    assert faults == []
    assert config is not None and config.limit == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "c.yaml config.empty"),
        ("# only this\n", "c.yaml config.empty"),
        ("- a\n- b\n", "c.yaml:1:1 config.not_a_mapping"),
        ("source: [a\n", "c.yaml:2:1 config.bad_yaml"),
        ("limit: 1\n\tmode: fast\n", "c.yaml:2:1 config.bad_yaml"),
        ("limit: 1\nlimit: 2\n", "c.yaml:2:1 config.key_repeated"),
        ("limit: 2024-13-45\n", "c.yaml config.bad_scalar"),
        ("source: &a [*a]\n", "c.yaml config.bad_scalar"),
        ("? [a, b]\n: 1\n", "c.yaml:1:3 config.key_not_a_word"),
        ("source: \x00\n", "c.yaml config.bad_character"),
        (b"source: caf\xe9\n", "c.yaml config.not_utf8"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: str, told: str) -> None:
    _, faults = read(tmp_path, text)
    assert brief(faults)[0] == told
    assert faults[0].remedy


@pytest.mark.parametrize("kind", ["python/object/apply:os.system", "python/name:os.system", "set"])
@pytest.mark.parametrize("value", ["[ls]", "{a: b}", "ls"])
def test_yaml_that_would_run_code_is_refused(tmp_path: Path, kind: str, value: str) -> None:
    config, faults = read(tmp_path, f"source: !!{kind} {value}\n")
    assert config is None
    assert faults and all(fault.startswith("c.yaml") for fault in brief(faults))


def test_a_missing_file_is_named() -> None:
    faults = Faults()
    read_document(Path("nowhere.yaml"), faults)
    assert brief(faults) == ["nowhere.yaml config.file_missing"]


def test_a_folder_is_no_config_file(tmp_path: Path) -> None:
    faults = Faults()
    read_document(tmp_path, faults)
    assert codes(faults) == ["config.unreadable"]


# --- Overrides ----------------------------------------------------------------


def test_an_override_wins_over_the_file_and_the_last_over_all(tmp_path: Path) -> None:
    config, faults = read(tmp_path, "source: a\nlimit: 2", "limit=3", "limit=4")
    assert faults == []
    assert config is not None and config.limit == 4


def test_an_override_reaches_inner_keys_and_leaves_their_neighbours(tmp_path: Path) -> None:
    config, _ = read(tmp_path, "source: {name: a, first: 1}", "source.last=9")
    assert config is not None
    assert config.source == Source(name="a", first=1, last=9)


def test_an_override_of_an_inner_key_spells_the_short_form_out(tmp_path: Path) -> None:
    config, _ = read(tmp_path, "source: a", "source.last=9")
    assert config is not None
    assert config.source == Source(name="a", last=9)


def test_an_override_may_hold_structure_and_equals_signs(tmp_path: Path) -> None:
    config, faults = read(tmp_path, "limit: 1", "source={name: a=b, columns: {x: y}}")
    assert faults == []
    assert config is not None
    assert config.source == Source(name="a=b", columns={"x": "y"})


@pytest.mark.parametrize("value", ["*.csv", "[a", "2024-13-45", "%x", "a: b: c"])
def test_an_override_that_is_no_yaml_is_taken_as_text(tmp_path: Path, value: str) -> None:
    config, faults = read(tmp_path, "limit: 1", f"source.name={value}")
    assert faults == []
    assert config is not None and config.source.name == value


@pytest.mark.parametrize("override", ["limit", "=3", ".a=1", "a.=1"])
def test_an_override_without_key_or_value_is_refused(tmp_path: Path, override: str) -> None:
    _, faults = read(tmp_path, "source: a", override)
    assert brief(faults) == [f"argument '{override}' config.bad_override"]


def test_a_fault_in_an_override_is_placed_at_the_argument(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "source: a\nlimit: 2", "limit=0")
    assert brief(faults) == ["argument 'limit=0' config.value_invalid"]
    assert faults[0].values["key"] == "limit" and faults[0].values["given"] == "0"


def test_a_fault_below_an_override_is_not_placed_in_the_file(tmp_path: Path) -> None:
    """The file's own places of the replaced part are forgotten."""
    _, faults = read(tmp_path, "source:\n  name: a\n  first: x\n", "source={first: y, name: a}")
    assert brief(faults) == ["argument 'source={first: y, name: a}' config.value_invalid"]
    assert faults[0].values["key"] == "source.first" and faults[0].values["given"] == "'y'"


# --- What is said -------------------------------------------------------------


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


# --- Parts --------------------------------------------------------------------


def test_a_part_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Source(name="a").name = "b"


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
