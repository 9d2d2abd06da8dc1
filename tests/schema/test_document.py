"""Reading configs: YAML with positions, and overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import brief, codes
from small_config import Large, Source, Whole, read
from welltuned.errors import Faults, Place
from welltuned.schema.document import is_config_file, read_document


def billions(form: str) -> str:
    """A few lines in which each alias stands for nine of the one before."""
    lines = [f"x{i + 1}: &x{i + 1} " + form % ", ".join([f"*x{i}"] * 9) for i in range(10)]
    return "\n".join(["x0: &x0 {a: 1}", *lines])


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
        ("limit: 2024-13-45\n", "c.yaml:1:8 config.bad_scalar"),
        ("limit: !!int x\n", "c.yaml:1:8 config.bad_scalar"),
        ("limit: !!int ''\n", "c.yaml:1:8 config.bad_scalar"),
        ("limit: !!float ''\n", "c.yaml:1:8 config.bad_scalar"),
        ("limit: !!bool x\n", "c.yaml:1:8 config.bad_scalar"),
        ("limit: !!timestamp x\n", "c.yaml:1:8 config.bad_scalar"),
        ('limit: "\\uD800"\n', "c.yaml:1:8 config.bad_scalar"),
        ("!!bool x: 1\n", "c.yaml:1:1 config.bad_scalar"),
        ("source: &a [*a]\n", "c.yaml config.too_large"),
        (billions("[%s]"), "c.yaml config.too_large"),
        (billions("{<<: [%s]}"), "c.yaml config.too_large"),
        ("source: " + "[" * 2000, "c.yaml config.too_deep"),
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


@pytest.mark.parametrize(
    "value", ["*.csv", "[a", "2024-13-45", "%x", "a: b: c", "!!int ''", "[" * 2000, "&a [*a]"]
)
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


@pytest.mark.parametrize(
    ("name", "config"),
    [("a.yaml", True), ("b/c.yml", True), ("a.yaml.csv", False), ("reviews", False), ("", False)],
)
def test_a_config_is_known_by_its_suffix(name: str, config: bool) -> None:
    assert is_config_file(name) is config
