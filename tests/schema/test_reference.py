"""The reference of config keys: complete, and every example in it may be written."""

from __future__ import annotations

import copy
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from welltuned.config import RunConfig
from welltuned.errors import Faults
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.search.config import SweepConfig
from welltuned.rlhf.config import RlhfConfig
from welltuned.schema.document import Document, apply_overrides
from welltuned.schema.field_types import GoesWith
from welltuned.schema.part import Part
from welltuned.schema.plugins import without_plugins
from welltuned.schema.reference import Key, Section, matching, sections, walk
from welltuned.schema.search_space import Around, Range
from welltuned.schema.units import Duration
from welltuned.schema.validation import validate

SCHEMAS: list[type[Part]] = [RunConfig, CompareConfig, SweepConfig, RlhfConfig]
with without_plugins():  # the test environment has some
    ALL = sections(SCHEMAS)


class Base(Part):
    """What both kinds have in common."""

    rate: Annotated[Annotated[float, Field(gt=0)] | Literal["auto"], Around(10)] = "auto"
    """How
    fast."""


class Small(Base):
    """The small kind.

    More of it.
    """

    type: Literal["small"] = "small"


class Large(Base):
    """The large kind."""

    type: Literal["large"] = "large"
    depth: Annotated[int, Range(2, 64, log=True)] = Field(default=8, ge=1, le=99)
    """How deep."""
    name: Annotated[str | None, GoesWith("depth", "3")] = Field(default=None, examples=["a: b"])
    """What it is called."""


class Source(Part):
    """Where from."""

    shorthand: ClassVar[str | None] = "file"

    file: str = Field(examples=["a.csv"])
    """The file."""
    roles: dict[str, str] = Field(default_factory=dict, alias="lambda")
    """Which column is what."""


class Whole(Part):
    """Everything."""

    source: Source
    """Where it comes from."""
    other: Source | None = None
    """Where else it comes from."""
    method: Annotated[Small | Large, Field(discriminator="type")] = Small()
    """How it is done."""
    several: tuple[Source, ...] = ()
    """More of them."""
    limit: Duration | None = None
    """When it ends."""


class Longer(Whole):
    """Everything, and more."""

    limit: Duration | None = 60.0
    """When it ends at last."""


def key_of(schema: type[Part], key: str, variant: str | None = None) -> Key:
    [found] = [one for one in walk(schema) if (one.key, one.variant) == (key, variant)]
    return found


def test_keys_stand_in_the_order_of_the_fields_each_before_those_below_it() -> None:
    keys = [key.key for key in walk(Whole)]
    assert keys[:7] == [
        "source", "source.file", "source.lambda", "other", "other.file", "other.lambda", "method",
    ]  # fmt: skip
    assert keys[7:] == [
        *["method.rate", "method.type"],
        *["method.rate", "method.type", "method.depth", "method.name"],
        *["several", "several.file", "several.lambda", "limit"],
    ]


@pytest.mark.parametrize(
    ("key", "variant", "accepts", "default"),
    [
        ("source", None, "the keys below, or file alone", "required"),
        ("source.file", None, "text", "required"),
        ("source.lambda", None, "mapping of text to text", "{}"),
        ("other", None, "the keys below, or file alone", "not set"),
        ("method", None, '"small" or "large"', "small"),
        ("method.rate", "large", 'number > 0 or "auto"', "auto"),
        ("method.depth", "large", "whole number ≥ 1 and ≤ 99", "8"),
        ("method.name", "large", "text", "not set"),
        ("several", None, "list of the keys below, or file alone", "[]"),
        ("limit", None, "time, such as 1h30m", "not set"),
    ],
)
def test_types_and_defaults_are_in_words(
    key: str, variant: str | None, accepts: str, default: str
) -> None:
    found = key_of(Whole, key, variant)
    assert (found.accepts, found.default) == (accepts, default)


def test_the_meaning_is_the_string_below_the_field() -> None:
    assert key_of(Whole, "method.rate", "small").doc == "How fast."
    assert key_of(Whole, "method.type", "small").doc == "The small kind."


def test_a_default_comes_from_the_class_that_says_it() -> None:
    assert key_of(Whole, "method.rate", "large").source == f"{__name__}.Base"
    assert key_of(Whole, "method.depth", "large").source == f"{__name__}.Large"
    assert key_of(Longer, "limit").source == f"{__name__}.Longer"
    assert key_of(Longer, "source").source == f"{__name__}.Whole"


def test_where_a_sweep_looks_is_told() -> None:
    assert key_of(Whole, "method.depth", "large").search == "from 2 to 64, by factors"
    assert key_of(Whole, "method.rate", "large").search.endswith("by up to 10")
    assert key_of(Whole, "limit").search == ""


@pytest.mark.parametrize(
    ("key", "variant", "example"),
    [
        ("source", None, ["source=a.csv"]),
        ("other.lambda", None, ["other.file=a.csv", "other.lambda={}"]),
        ("method", None, ["method=large"]),
        ("method.rate", "large", ["method=large", "method.rate=0.1"]),
        ("method.depth", "large", ["method=large", "method.depth=64"]),
        ("method.name", "large", ["method=large", "method.depth=3", 'method.name="a: b"']),
        ("limit", None, ["limit=20m"]),
    ],
)
def test_examples_hold_all_that_the_key_needs(
    key: str, variant: str | None, example: list[str]
) -> None:
    assert list(key_of(Whole, key, variant).example) == example


def test_a_part_has_one_section_with_all_its_paths() -> None:
    found = {section.part: section for section in sections([Whole, Longer])}
    assert found[Source].paths == ("source", "other", "several")
    assert [key.name for key in found[Source].keys] == ["file", "roles"]
    assert (found[Large].variant, found[Large].doc) == ("large", "The large kind.")
    assert [key.name for key in found[Longer].keys] == ["limit"], "the rest stands under Whole"
    assert list(found) == [Whole, Source, Small, Large, Longer]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("method.depth", ["method.depth"]),
        ("depth", ["method.depth"]),
        ("large.depth", ["method.depth"]),
        ("small.depth", []),
        ("limit", ["limit"]),
        ("file", ["source.file", "other.file", "several.file"]),
        ("nothing", []),
    ],
)
def test_a_key_may_be_asked_for_in_short(wanted: str, found: list[str]) -> None:
    assert [key.key for key in matching(list(walk(Whole)), wanted)] == found


# --- The real configs ---------------------------------------------------------------


@pytest.mark.parametrize("section", ALL, ids=lambda section: section.part.__name__)
def test_every_key_says_what_it_means(section: Section) -> None:
    assert section.doc
    assert [key.key for key in section.keys if not key.doc] == []


def _schema_of(key: Key) -> type[Part]:
    if key.key in READ_BY:
        return READ_BY[key.key]
    return next(schema for schema in SCHEMAS if key in walk(schema))


READ_BY: dict[str, type[Part]] = {"data.unlabelled": AdaptConfig}
"""Keys that stand in every config and are read by one kind alone."""


STARTS: dict[type[Part], dict[str, Any]] = {
    CompareConfig: {"strategies": ["all", "adapt"], "reward": {"data": "judged.jsonl"}},
    RlhfConfig: {"reward": {"data": "judged.jsonl"}},
}
OTHER_STARTS: dict[str, dict[str, Any]] = {
    "strategies": {"reward": []},
    "reward.run": {"reward": {}},
    "reward.function": {"reward": {}},
    "reward.columns": {"reward": {"function": "mine.rewards.brevity"}},
    "training.optim_args": {"training": {"optim": "adamw"}},
    "reward.time_limit": {"reward": {"function": "mine.rewards.brevity"}},
}
"""For keys that stand in place of what a start above has."""


@pytest.mark.parametrize("section", ALL, ids=lambda section: section.part.__name__)
def test_every_example_may_be_written(section: Section) -> None:
    refused: dict[str, list[str]] = {}
    for key in section.keys:
        schema = _schema_of(key)
        given = STARTS.get(schema, {}) | OTHER_STARTS.get(key.key, {})
        start = copy.deepcopy({"model": "m", "data": "d.csv", **given})
        faults = Faults()
        document = Document(values=start)
        apply_overrides(document, key.example, schema, faults)
        validate(schema, document, faults)
        if len(faults):
            refused[key.key] = [str(fault) for fault in faults]
        assert "…" not in " ".join(key.example), key.key
    assert refused == {}
