"""Carrying a config over: each key by its rule, then checked as any config is.

1. What the task and the strategy are, since other keys belong to one of them.
2. Every key in the order of the file, and the library's own defaults where we take others.
3. Where the data are, which each library says in its own way.
4. What a person gives on the line, which counts before all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from welltuned.config import RunConfig
from welltuned.drafts.commented import Entry
from welltuned.drafts.given import nested
from welltuned.drafts.migration.findings import KeyFinding
from welltuned.drafts.migration.library import ForeignConfig, Library
from welltuned.drafts.migration.rules import Fate, Rule
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.schema.document import Document, KeyPath
from welltuned.schema.field_types import GoesWith
from welltuned.schema.part import parts_under
from welltuned.schema.reference import Key, type_of, walk
from welltuned.schema.secrets import masked
from welltuned.schema.validation import validate

KINDS = ("task.type", "strategy.type")
"""What says which other keys there are."""
_NEEDED = {"model.name": "model", "data.train": "data"}


@dataclass
class Carrying:
    """A config on its way: what became of its keys so far."""

    library: Library
    foreign: ForeignConfig
    asked: Mapping[str, object]
    """What is given on the line, by key."""
    kinds: dict[str, str] = field(default_factory=dict)
    """The types of the task and of the strategy."""
    findings: list[KeyFinding] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    """Why the result cannot be run as it is."""

    @property
    def task(self) -> str:
        return self.kinds["task.type"]

    @property
    def carried(self) -> dict[str, KeyFinding]:
        """What was carried over, by key here; of several the last counts, but trackers add up."""
        found: dict[str, KeyFinding] = {}
        for one in self.findings:
            if one.outcome == "carried" and one.to:
                before = found.get(one.to)
                if before is not None and self._names_trackers(one):
                    found[one.to] = _together(before, one)
                else:
                    found[one.to] = one
        return found

    def _names_trackers(self, one: KeyFinding) -> bool:
        rule = self.library.table.rules.get(one.key)
        return rule is not None and rule.trackers

    def run(self) -> None:
        """All steps, one after the other."""
        self._find_kinds()
        self._carry_keys()
        self._carry_defaults()
        self._find_data()
        self._settle()
        self._require()

    # --- 1 ---

    def _find_kinds(self) -> None:
        table = self.library.table
        for path in KINDS:
            if path in self.asked:
                self.kinds[path] = str(self.asked[path])
                continue
            for key, value, place in self._written(table.defaults):
                rule = table.rules.get(key)
                if rule is not None and rule.to == path:
                    self.kinds[path] = str(self._required(key, value, place, rule))
        if "task.type" not in self.kinds:
            self.kinds["task.type"] = self._kind_by_marks()

    def _kind_by_marks(self) -> str:
        """Of a library that has a command for each task: what the keys belong to."""
        kinds = self.library.table.kinds
        for kind, marks in kinds.items():
            for mark in marks if isinstance(marks, list) else ():
                if self.foreign.get(mark) is not None:
                    note = f"'{mark}' says so; task=… on the line says otherwise"
                    self.findings.append(self._marked(mark, kind, note))
                    return str(kind)
        note = "no key says otherwise; task=… on the line does"
        self.findings.append(self._marked("", kinds["otherwise"], note))
        return str(kinds["otherwise"])

    def _marked(self, key: str, kind: str, note: str) -> KeyFinding:
        return KeyFinding(key or "the command", None, None, "carried", "task.type", kind, note)

    def _required(self, key: str, value: object, place: Place | None, rule: Rule) -> object:
        """What a value is here. Raises `InputError` where there is no such thing."""
        found = rule.translate(value)
        if isinstance(found, Fate):
            raise InputError(
                Fault(
                    "migrate.kind_unsupported",
                    "'{key}: {value}' of {library} has no counterpart here",
                    place,
                    "{because}",
                    key=key,
                    value=value,
                    library=self.library.table.library,
                    because=rule.because or "see `welltuned init --template`",
                )
            )
        return found

    # --- 2 ---

    def _written(
        self, defaults: Mapping[str, object]
    ) -> Iterator[tuple[str, object, Place | None]]:
        """What stands in the file, and then what the library takes where nothing does."""
        for key, value in self.foreign.values.items():
            if value is not None:
                yield str(key), value, self.foreign.place(key)
        for key, value in defaults.items():
            if self.foreign.get(key) is None:
                yield key, value, None

    def _carry_keys(self) -> None:
        table = self.library.table
        for key, value in self.foreign.values.items():
            if key in table.own:
                continue
            place, rule = self.foreign.place(key), table.rules.get(str(key))
            if value is None:
                self._add(KeyFinding(str(key), value, place, "nothing", note="not set"))
            elif rule is None:
                note = f"no key of {table.library} that is known here"
                self._add(KeyFinding(str(key), value, place, "left", note=note))
            else:
                self._add_also(str(key), value, place, rule)
                for part in rule.parts(value):
                    self._add(self._follow(str(key), part, place, rule))

    def _add(self, found: KeyFinding) -> None:
        """Note what became of a key; a secret is not shown."""
        shown = masked({found.key: found.value})[found.key]
        self.findings.append(replace(found, value=shown))

    def _follow(self, key: str, value: object, place: Place | None, rule: Rule) -> KeyFinding:
        """One key by its rule."""
        if rule.to is not None and not self._takes(rule.to):
            part = rule.to.partition(".")[0]
            note = f"{self.kinds.get(f'{part}.type', part).replace('_', ' ')} has no such option"
            return KeyFinding(key, value, place, "left", note=note)
        found = rule.translate(value)
        if found is Fate.REFUSED and rule.essential:
            self._required(key, value, place, rule)
        if isinstance(found, Fate):
            left = found is Fate.REFUSED
            note = rule.because if left or rule.to is None else "the same by itself"
            return KeyFinding(key, value, place, "left" if left else "nothing", note=note)
        remark = rule.remark if value and (rule.values is None or found != value) else ""
        return KeyFinding(key, value, place, "carried", rule.to, found, remark)

    def _add_also(self, key: str, value: object, place: Place, rule: Rule) -> None:
        more = rule.also.get(value, {}) if isinstance(value, (str, int)) else {}
        for to, ours in more.items():
            self.findings.append(KeyFinding(key, value, place, "carried", to, ours))

    def _carry_defaults(self) -> None:
        """What the library takes by itself, if nothing in the file speaks of the same."""
        table = self.library.table
        spoken = {table.rules[key].to for key in self.foreign.values if self._speaks(str(key))}
        for key, value in self.library.defaults(self.foreign, self.task).items():
            rule = table.rules[key]
            if rule.to in spoken or rule.to is None or not self._takes(rule.to):
                continue
            found = self._follow(key, value, None, rule)
            if found.outcome == "carried":
                note = f"{table.library}'s default"
                self.findings.append(replace(found, note=note))

    def _speaks(self, key: str) -> bool:
        return key in self.library.table.rules and self.foreign.get(key) is not None

    def _takes(self, path: str) -> bool:
        """Whether there is such a key beside this task and this strategy."""
        part = path.partition(".")[0]
        return takes(path, self.kinds.get(f"{part}.type"))

    # --- 3 and 4 ---

    def _find_data(self) -> None:
        of_data = Faults()
        found = list(self.library.find_data(self.foreign, self.task, of_data))
        if "data.train" in self.asked:  # then it does not matter what could not be found
            found = [
                replace(one, outcome="left", note="data.train on the line counts")
                if one.to == "data.train"
                else one
                for one in found
            ]
        else:
            self.faults.extend(of_data)
        self.findings += found

    def _settle(self) -> None:
        """Where keys speak of the same, one counts, and the others are told as left."""
        counts = self.carried
        for i, one in enumerate(self.findings):
            if one.outcome != "carried" or one.to is None:
                continue
            reason = self._outdone(one, counts)
            if reason is not None:
                self.findings[i] = replace(one, outcome="left", note=reason)
        self.findings = [
            one for one in self.findings if not (one.is_default and one.outcome == "left")
        ]

    def _outdone(self, one: KeyFinding, counts: Mapping[str, KeyFinding]) -> str | None:
        """Why a finding does not count after all."""
        assert one.to is not None
        if one.to in self.asked:
            return f"{one.to} on the line counts"
        if counts[one.to] is not one and not self._names_trackers(one):
            return f"{counts[one.to].key} counts"
        for other in counts.values():
            rule = self.library.table.rules.get(other.key)
            if rule is not None and rule.instead_of == one.to:
                return f"{other.key} counts"
        for mark in marks_of(one.to):
            beside = f"{one.to.rpartition('.')[0]}.{mark.key}"
            said = self.asked.get(beside, counts[beside].ours if beside in counts else None)
            if str(said) != mark.value:
                return f"read beside {mark.key}: {mark.value} alone"
        return None

    def _require(self) -> None:
        """A model and data have to be named, and everything has to hold together."""
        there = {*self.carried, *self.asked}
        lost = {fault.code for fault in self.faults}
        for path, what in _NEEDED.items():
            if path not in there and not (what == "data" and lost):
                self.faults.add(
                    "migrate.nothing_named",
                    "the config names no {what}",
                    Place(str(self.foreign.file)),
                    "add it on the line: {path}=…",
                    what=what,
                    path=path,
                )
        if there >= set(_NEEDED):
            validate(RunConfig, self.document(), self.faults)

    # --- What comes of it ---

    def entries(self) -> list[Entry]:
        """The config here, with where each key is from."""
        found = [
            Entry(tuple(path.split(".")), one.ours, _origin(one))
            for path, one in self.carried.items()
        ]
        given = [Entry(tuple(path.split(".")), value, "") for path, value in self.asked.items()]
        return [*found, *given]

    def document(self) -> Document:
        """The same as a config to be checked, whose keys stand where they are from."""
        values = nested({".".join(entry.path): entry.value for entry in self.entries()})
        places: dict[KeyPath, Place] = {
            tuple(path.split(".")): one.place
            for path, one in self.carried.items()
            if one.place is not None
        }
        return Document(values, places, str(self.foreign.file))


def _together(before: KeyFinding, one: KeyFinding) -> KeyFinding:
    """Of two keys that name trackers, all that both name."""
    named = [name for each in (before, one) for name in _listed(each.ours)]
    return replace(one, ours=list(dict.fromkeys(named)))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def takes(path: str, kind: str | None = None) -> bool:
    """Whether a config of a run has such a key, below a part of this type where that has several.

    Parts that take the options of another library take any name; that is checked with the rest.
    """
    part, _, key = path.partition(".")
    if path.startswith("data.columns."):
        return True
    variants = {one.variant for one in run_keys() if one.key == path}
    if variants & {None, kind}:
        return True
    chosen = [one for one in parts_under(RunConfig, part) if type_of(one) == kind]
    return bool(key) and any(one.model_config.get("extra") == "allow" for one in chosen)


def marks_of(path: str) -> Sequence[GoesWith]:
    """The keys without which a key is not read."""
    return next((one.goes_with for one in run_keys() if one.key == path), [])


@cache
def run_keys() -> tuple[Key, ...]:
    """Every key of a run's config."""
    return tuple(walk(RunConfig))


def _origin(one: KeyFinding) -> str:
    if one.place is None:
        return one.note
    line = f" ({one.place.source}:{one.place.line})" if one.place.line else ""
    return f"{one.key}{line}" + (f"; {one.note}" if one.note else "")
