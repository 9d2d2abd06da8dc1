"""What stands under a key is told apart by its `type`: one of ours, or one that a package adds.

A package adds a strategy, for example, with an entry point that is called as its `type`:

    [project.entry-points."welltuned.strategies"]
    norms = "my_package.norms:Norms"

Entry points are listed when a config is read and imported when they are asked for by name, so
none costs anything before it is used, and one that is broken breaks nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any, Generic, TypeGuard, TypeVar

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, SchemaValidator
from pydantic_core import core_schema as schemas

from welltuned.errors import Fault, Faults, InputError

T = TypeVar("T")

GROUPS = ("strategies", "tasks", "protections", "metrics", "algorithms", "rewards", "executors")
"""What packages may add: entry points of the groups `welltuned.strategies` and so on."""


_HIDDEN: list[bool] = []
"""Not empty while there are no plug-ins, for every thread alike."""


class PluginError(InputError):
    """A plug-in that cannot be used: which package it is of, why, and how to mend it."""

    def __init__(
        self, code: str, plugin: Plugin, reason: str, remedy: str, /, **values: object
    ) -> None:
        what = "the plug-in '{plugin}' of {package} cannot be used: " + reason
        values |= {"plugin": plugin.name, "package": plugin.package}
        super().__init__(Fault(code, what, None, remedy, **values))


@dataclass(frozen=True)
class Plugin:
    """An entry point of an installed package; nothing of it is imported yet."""

    group: str
    """One of `GROUPS`."""
    name: str
    package: str
    entry: metadata.EntryPoint

    def load(self) -> object:
        """What it names. Raises `PluginError` when its package cannot be imported."""
        try:
            return self.entry.load()
        except Exception as error:  # whatever a stranger's module does when it is imported
            raise PluginError(
                "plugin.import_failed",
                self,
                "{kind}: {error}",
                "fix or uninstall {package}",
                package=self.package,
                kind=type(error).__name__,
                error=error,
            ) from error


@cache
def plugins(group: str) -> tuple[Plugin, ...]:
    """The plug-ins that installed packages add to one of `GROUPS`, by name and package."""
    found = metadata.entry_points(group=f"welltuned.{group}")
    return tuple(
        sorted(
            (
                Plugin(group, entry.name, entry.dist.name if entry.dist else "a package", entry)
                for entry in found
            ),
            key=lambda plugin: (plugin.name, plugin.package),
        )
    )


@contextmanager
def without_plugins() -> Iterator[None]:
    """For what tells of welltuned itself, wherever it is written: there are no plug-ins."""
    _HIDDEN.append(True)
    try:
        yield
    finally:
        _HIDDEN.pop()


class Registry(Generic[T]):
    """Named things of one kind: our own, and those of plug-ins."""

    def __init__(self, group: str, base: type, own: dict[str, T]) -> None:
        self.group, self.base, self.own = group, base, own
        self._imported: dict[str, T] = {}

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """Those of installed packages, but for a time `without_plugins`."""
        return () if _HIDDEN else plugins(self.group)

    @property
    def names(self) -> list[str]:
        """All that can be asked for, our own first."""
        added = [plugin.name for plugin in self.plugins if plugin.name not in self.own]
        return [*self.own, *dict.fromkeys(added)]

    def find(self, name: str) -> T:
        """What is called so. Raises `KeyError`, or `PluginError` for a plug-in that is broken."""
        if name in self.own or name in self._imported:
            return {**self._imported, **self.own}[name]
        same = [plugin for plugin in self.plugins if plugin.name == name]
        if not same:
            raise KeyError(name)
        self._require_free(same[0])
        self._imported[name] = self._checked(same[0])
        return self._imported[name]

    def check(self, plugin: Plugin) -> None:
        """Raise `PluginError` when a plug-in of this group cannot be used."""
        self._require_free(plugin)
        self._checked(plugin)

    def check_all(self, faults: Faults) -> None:
        """Record why any plug-in of this group cannot be used; imports all of them."""
        for plugin in self.plugins:
            try:
                self.check(plugin)
            except PluginError as error:
                faults.extend(error.faults)

    @property
    def imported(self) -> list[T]:
        """Our own, and the plug-ins that were asked for by now."""
        return [*self.own.values(), *self._imported.values()]

    def usable(self) -> Iterator[T]:
        """All of them but broken plug-ins, our own first; imports every plug-in."""
        yield from self.own.values()
        for name in self.names[len(self.own) :]:
            try:
                yield self.find(name)
            except PluginError:
                continue

    def name_of(self, found: Any) -> Any:
        """What a plug-in calls itself, which has to be the name of its entry point."""
        return found.name

    def is_one(self, found: object) -> TypeGuard[T]:
        """Whether a plug-in is what this registry holds."""
        return isinstance(found, self.base)

    def _require_free(self, plugin: Plugin) -> None:
        if plugin.name in self.own:
            raise PluginError(
                "plugin.name_of_ours",
                plugin,
                "welltuned has one of that name itself",
                "give it another name",
            )
        others = [p for p in self.plugins if p.name == plugin.name and p != plugin]
        if others:
            raise PluginError(
                "plugin.name_repeated",
                plugin,
                "{other} adds one of the same name",
                "uninstall one of them",
                other=others[0].package,
            )

    def _checked(self, plugin: Plugin) -> T:
        found = plugin.load()
        if not self.is_one(found):
            raise PluginError(
                "plugin.wrong_type",
                plugin,
                "{object} is not a {base}",
                "see CONTRIBUTING for what it derives from",
                object=plugin.entry.value,
                base=self.base.__name__,
            )
        if (name := self.name_of(found)) != plugin.name:
            raise PluginError(
                "plugin.name_differs",
                plugin,
                "it calls itself '{name}'",
                "give its entry point the same name",
                name=name,
            )
        return found


class OneOf(Registry[type[Any]]):
    """For a key of a config: the parts that may stand there, told apart by `type`.

    `strategy: Annotated[Strategy, OneOf("strategies", Strategy, Full, Lora)]`
    """

    def __init__(
        self, group: str, base: type[BaseModel], *own: type[BaseModel], default: str | None = None
    ) -> None:
        super().__init__(group, base, {_type_of(part): part for part in own})
        self.default = default
        """The type of a part that does not say its own."""

    def name_of(self, found: Any) -> Any:
        return _type_of(found)

    def is_one(self, found: object) -> TypeGuard[type[BaseModel]]:
        return isinstance(found, type) and issubclass(found, self.base)

    def validate(self, value: object) -> Any:
        """The part that a mapping describes; a part is returned as it is."""
        if isinstance(value, self.base):
            return value
        if not isinstance(value, dict):
            raise PydanticKnownError("model_attributes_type")
        if self.default is not None:
            value = {"type": self.default, **value}
        if "type" not in value:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": "'type'"})
        return _validator(self._part(value["type"])).validate_python(value)

    def _part(self, name: Any) -> type[BaseModel]:
        try:
            return self.find(name)
        except PluginError as error:
            (fault,) = error.faults
            told = {"what": fault.what, "fault": fault}
            raise PydanticCustomError("conflict", "{what}", told) from error
        except (KeyError, TypeError):
            choices = ", ".join(f"'{name}'" for name in self.names)
            given = str(name).encode("utf-8", "backslashreplace").decode()  # half a character, too
            raise PydanticKnownError(
                "union_tag_invalid",
                {"discriminator": "'type'", "tag": given, "expected_tags": choices},
            ) from None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return schemas.no_info_plain_validator_function(self.validate)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"oneOf": [handler(part.__pydantic_core_schema__) for part in self.usable()]}


def _type_of(part: type[BaseModel]) -> Any:
    field = part.model_fields.get("type")
    return None if field is None else field.default


@cache
def _validator(part: type[BaseModel]) -> SchemaValidator:
    """Of a union with one member, so that errors lie where those of any union lie."""
    part.model_rebuild()
    schema = part.__pydantic_core_schema__
    return SchemaValidator(schemas.tagged_union_schema({_type_of(part): schema}, "type"))
