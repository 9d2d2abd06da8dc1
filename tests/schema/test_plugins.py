"""Plug-ins: found by entry points, imported when asked for, and harmless when broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import metadata
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic_core import PydanticKnownError

from faults import refused
from welltuned.errors import Faults
from welltuned.schema import plugins
from welltuned.schema.document import Document
from welltuned.schema.part import Part
from welltuned.schema.plugins import OneOf, PluginError
from welltuned.schema.validation import validate


class Shape(Part):
    shorthand: ClassVar[str | None] = "type"

    type: str


class Circle(Shape):
    type: Literal["circle"] = "circle"
    radius: int = 1


class Square(Shape):
    type: Literal["square"] = "square"
    side: int = 1


class Hexagon(Shape):
    type: Literal["hexagon"] = "hexagon"
    side: int = 1


class Other(Part):
    type: Literal["other"] = "other"


Install = Callable[..., OneOf]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """The shapes, with what some packages add: (package, name, what it names)."""

    def make(*added: tuple[str, str, Any]) -> OneOf:
        found = [SimpleNamespace(name=n, value=str(what), dist=SimpleNamespace(name=package),
                                 load=lambda what=what: what() if _explodes(what) else what)
                 for package, n, what in added]  # fmt: skip
        entries = {"welltuned.shapes": found}
        monkeypatch.setattr(metadata, "entry_points", lambda group: entries.get(group, []))
        plugins.plugins.cache_clear()
        return OneOf("shapes", Shape, Circle, Square)

    yield make
    plugins.plugins.cache_clear()


def _explodes(what: Any) -> bool:
    return not isinstance(what, type)


def explode() -> Any:
    raise ModuleNotFoundError("No module named 'gone'")


def told(registry: OneOf, value: Any) -> str:
    """The faults of a config with this shape."""
    drawing = type("Drawing", (Part,), {"__annotations__": {"shape": Annotated[Shape, registry]}})
    faults = Faults()
    validate(drawing, Document(values={"shape": value}, source="c.yaml"), faults)
    return "\n".join(map(str, faults))


def test_a_plug_in_is_one_of_them(install: Install) -> None:
    shapes = install(("six", "hexagon", Hexagon))
    assert shapes.names == ["circle", "square", "hexagon"]
    assert shapes.validate({"type": "hexagon", "side": 3}) == Hexagon(side=3)
    assert list(shapes.usable()) == [Circle, Square, Hexagon]
    assert told(shapes, {"type": "hexagon", "sides": 3}) == (
        "c.yaml: unknown key 'shape.sides' -> did you mean 'side'? "
        "(choices: type, side) [config.key_unknown]"
    )


def test_what_is_not_known_lists_plug_ins_too(install: Install) -> None:
    shapes = install(("six", "hexagon", Hexagon))
    assert "did you mean 'hexagon'? (choices: circle, square, hexagon)" in told(shapes, "hexagn")
    assert (
        told(shapes, {"side": 1})
        == "c.yaml: 'shape' needs a type -> write `shape: {type: …}` [config.type_missing]"
    )


def test_nothing_is_imported_before_it_is_asked_for(install: Install) -> None:
    asked: list[str] = []
    shapes = install(("bad", "blob", lambda: asked.append("blob")))
    assert shapes.names[-1] == "blob" and shapes.validate({"type": "circle"}) == Circle()
    assert "unknown key 'shape.side'" in told(shapes, {"type": "circle", "side": 1})
    assert "did you mean 'circle'" in told(shapes, "circel") and asked == []
    assert list(shapes.usable()) == [Circle, Square]


@pytest.mark.parametrize(
    ("added", "code", "values"),
    [
        (
            [("bad", "blob", explode)],
            "plugin.import_failed",
            {"plugin": "blob", "package": "bad", "kind": "ModuleNotFoundError"},
        ),
        ([("six", "circle", Hexagon)], "plugin.name_of_ours", {"plugin": "circle"}),
        ([("six", "other", Other)], "plugin.wrong_type", {"plugin": "other", "base": "Shape"}),
        ([("six", "hex", Hexagon)], "plugin.name_differs", {"plugin": "hex", "name": "hexagon"}),
        (
            [("six", "hexagon", Hexagon), ("bees", "hexagon", Hexagon)],
            "plugin.name_repeated",
            {"plugin": "hexagon", "package": "bees", "other": "six"},
        ),
    ],
)
def test_one_that_cannot_be_used_says_whose_it_is_and_why(
    added: list[tuple[str, str, Any]], code: str, values: dict[str, str], install: Install
) -> None:
    shapes = install(*added)
    with refused(code, error=PluginError, **values):
        shapes.check(shapes.plugins[0])
    if values["plugin"] not in shapes.own:
        assert f"[{code}]" in told(shapes, values["plugin"])
    assert shapes.validate({"type": "circle"}) == Circle()


def test_without_a_type_it_is_the_default_where_there_is_one() -> None:
    shapes = OneOf("shapes", Shape, Circle, Square, default="square")
    assert shapes.validate({"side": 2}) == Square(side=2)
    assert shapes.validate(Hexagon()) == Hexagon()


def test_a_name_that_is_no_text_is_unknown() -> None:
    with pytest.raises(PydanticKnownError):
        OneOf("shapes", Shape, Circle).validate({"type": "\ud83d"})
