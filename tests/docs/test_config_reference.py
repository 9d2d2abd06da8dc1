"""The page of config keys is written from the config types, and has all of them."""

from __future__ import annotations

import pytest

import config_reference
from welltuned.config import RunConfig
from welltuned.schema.part import Part
from welltuned.schema.reference import walk


def test_the_page_is_that_of_the_config_types() -> None:
    written = config_reference.PAGE.read_text(encoding="utf-8")
    assert written == config_reference.page(), "run `make reference`"


@pytest.mark.parametrize("schema", config_reference.WHOLE, ids=lambda one: one.__name__)
def test_every_key_is_on_the_page(schema: type[Part]) -> None:
    """A part that stands in several places is there once, under the first of them."""
    page = config_reference.page()
    for key in walk(schema):
        assert f".{key.name}` |" in page or f"`{key.path[-1]}` |" in page or key.field.alias, key


def test_a_key_has_its_type_default_meaning_and_source() -> None:
    page = config_reference.page()
    row = next(line for line in page.splitlines() if line.startswith("| `strategy.r` |"))
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert cells[1:3] == ["whole number ≥ 1", "`8`"] and cells[3].startswith("The rank.")
    assert "Source: `welltuned.strategies.lora.Lora`." in page
    assert f"Source: `{RunConfig.__module__}.RunConfig`." in page


def test_no_key_lacks_its_meaning() -> None:
    rows = [line for line in config_reference.page().splitlines() if line.startswith("| `")]
    assert len(rows) > 200
    assert not [row for row in rows if len(row.rstrip("| ").split(" | ")) < 4]


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert config_reference._escaped("a | b") == "a \\| b"
