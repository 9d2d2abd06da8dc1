"""The page of a run's folder and the JSON schemas are those of the types."""

from __future__ import annotations

import json

import pytest

import run_folder
from welltuned.runs import comparison_schema, results_schema


def test_the_page_is_that_of_the_types() -> None:
    assert run_folder.PAGE.read_text(encoding="utf-8") == run_folder.page(), "run `make schemas`"


@pytest.mark.parametrize("name", run_folder.SCHEMAS)
def test_the_schemas_are_those_of_the_types(name: str) -> None:
    written = (run_folder.DOCS / "schemas" / name).read_text(encoding="utf-8")
    assert json.loads(written) == run_folder.schema(name), "run `make schemas`"


@pytest.mark.parametrize("name", run_folder.SCHEMAS)
def test_every_field_says_what_it_means(name: str) -> None:
    kinds = run_folder.schema(name)["$defs"]
    fields = [
        (kind, field, part)
        for kind, definition in kinds.items()
        for field, part in definition.get("properties", {}).items()
    ]
    assert len(fields) > 50
    assert not [(kind, field) for kind, field, part in fields if not run_folder._about(part, kinds)]


def test_every_type_has_a_section_and_every_link_leads_to_one() -> None:
    page = run_folder.page()
    sections = [line.removeprefix("### ") for line in page.splitlines() if line.startswith("### ")]
    assert len(sections) == len(set(sections))
    assert {"RunResults", "ComparisonResults", "ComparisonRecord", "Cost"} <= set(sections)
    links = {part.partition(")")[0] for part in page.split("](#")[1:]}
    assert links <= {name.lower() for name in sections}


def test_fields_that_are_not_always_there_say_so() -> None:
    rows = {line.split("`")[1]: line for line in run_folder.page().splitlines() if "| `" in line}
    assert "*Not always there.*" in rows["skipped"]
    assert "*Not always there.*" not in rows["reloaded_difference"]


def test_the_types_are_closed() -> None:
    """So that a field without documentation is noticed; protections add fields of their own."""
    for module in (results_schema, comparison_schema):
        for name, kind in vars(module).items():
            config = getattr(kind, "__pydantic_config__", None)
            if config is not None:
                assert config["extra"] == ("allow" if name == "RunResults" else "forbid"), name
