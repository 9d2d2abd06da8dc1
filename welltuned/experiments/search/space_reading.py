"""Search dimensions from `sweep.space`, or by default from the fields' own ranges."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping

from welltuned.config import RunConfig
from welltuned.errors import Fault, Faults, Place
from welltuned.experiments.search.config import SweepConfig, as_run
from welltuned.experiments.search.space import Dimension, Interval, Value
from welltuned.experiments.search.space_parsing import read_dimension
from welltuned.schema.document import Document, put
from welltuned.schema.part import Part
from welltuned.schema.search_space import Around, Range, searched
from welltuned.schema.validation import nearest, validate
from welltuned.training.preparation import defaults
from welltuned.training.preparation.prepare import RunPlan

_SEARCHABLE = ("strategy", "training", "task")
"""The parts whose keys may be tried. Others say what is asked, on what, and how it is judged."""

_NOWHERE = Place("sweep.space")


def read_space(
    config: SweepConfig, document: Document, prepared: RunPlan | None, faults: Faults
) -> list[Dimension]:
    """All dimensions; every fault is recorded. `prepared` is the run that is varied, if sound."""
    base, written = as_run(config), config.sweep.space
    if isinstance(written, str):
        return list(_declared_space(base, prepared)) if prepared else []
    if not written:
        place = document.place(("sweep", "space"))
        faults.add(
            "sweep.empty_space",
            "'sweep.space' is empty",
            place,
            "name at least one key, or write auto",
        )
    space: list[Dimension] = []
    for key, value in written.items():
        place, found = document.place(("sweep", "space", key)), Faults()
        _require_key(key, base, place, found)
        dimension: Dimension | None = None
        if not len(found) and value != "auto":
            dimension = read_dimension(key, value, _whole(key, base), place, found)
        elif not len(found):
            dimension = _declared(key, base, prepared, place, found)
        if dimension is not None:
            _require_sound(dimension, base, prepared, place, found)
            space.append(dimension)
        faults.extend(found)
    return space


def with_values(
    config: RunConfig, values: Mapping[str, Value], faults: Faults, place: Place = _NOWHERE
) -> RunConfig | None:
    """A config with some keys changed. None when there were faults; they are recorded."""
    changed = config.model_dump(mode="json")
    for key, value in values.items():
        put(changed, tuple(key.split(".")), value, RunConfig)
    places = {tuple(key.split(".")): place for key in values}
    return validate(RunConfig, Document(changed, places, place.source), faults)


def with_found(config: RunConfig, values: Mapping[str, Value]) -> RunConfig:
    """The same with values that a search has found. Raises `InputError`."""
    faults = Faults()
    changed = with_values(config, values, faults)
    faults.raise_if_any()
    assert changed is not None
    return changed


# --- As declared -------------------------------------------------------------


def _declared_space(base: RunConfig, prepared: RunPlan) -> Iterator[Dimension]:
    """The learning rate, and of the strategy what is worth searching and was left open."""
    keys = ["training.learning_rate"]
    for name in searched(type(base.strategy)):
        headless = name == "head_learning_rate_scale" and not prepared.anatomy.head
        if name not in base.strategy.model_fields_set and not headless:
            keys.append(f"strategy.{name}")
    for key in keys:
        dimension = _declared(key, base, prepared, _NOWHERE, Faults())
        if dimension is not None and _can_be_set(dimension, base):
            yield dimension


def _can_be_set(dimension: Dimension, base: RunConfig) -> bool:
    """Whether the rest of the config lets the key be set at all."""
    return with_values(base, {dimension.key: dimension.ends[0]}, Faults()) is not None


def _declared(
    key: str, base: RunConfig, prepared: RunPlan | None, place: Place, faults: Faults
) -> Dimension | None:
    """What a field declares of itself, for this model; None when it is not known."""
    section, _, name = key.partition(".")
    marker = searched(type(getattr(base, section))).get(name)
    if marker is None:
        faults.add(
            "sweep.no_default_range",
            "'{key}' in sweep.space has no default range",
            place,
            "write {{low: …, high: …}} or a list of values",
            key=key,
        )
    if marker is None or prepared is None:
        return None
    if isinstance(marker, Around):
        centre = _usual_number(section, name, prepared)
        return Interval(key, centre / marker.factor, centre * marker.factor, log=True)
    return _clipped(key, marker, base, prepared)


def _usual_number(section: str, name: str, prepared: RunPlan) -> float:
    """The value as configured or, where that is no number, the strategy's default."""
    value = getattr(getattr(prepared.config, section), name)
    if isinstance(value, (int, float)):
        return float(value)
    strategy, examples = prepared.config.strategy, len(prepared.data.train)
    return defaults.defaults_for(strategy, prepared.anatomy, examples)[name].value


def _clipped(key: str, declared: Range, base: RunConfig, prepared: RunPlan) -> Interval | None:
    """A declared range; one of whole numbers only as far up as the model goes along."""
    whole, high = bool(_whole(key, base)), declared.high
    while whole and high > declared.low and _refusals(base, {key: int(high)}, prepared):
        high -= 1
    if high <= declared.low:
        return None
    return Interval(key, declared.low, high, declared.log, whole)


# --- What stands against it --------------------------------------------------


def _require_key(key: str, base: RunConfig, place: Place, faults: Faults) -> None:
    """Refuse keys that do not exist, and those that say what is asked rather than how."""
    section, _, name = key.partition(".")
    known = [f"{part}.{field}" for part in _SEARCHABLE for field in _fields(base, part)]
    if key == "strategy.type":
        faults.add(
            "sweep.strategy_type",
            "'strategy.type' in sweep.space: strategies are compared, not swept",
            place,
            "sweep one strategy at a time",
        )
    elif section in RunConfig.model_fields and section not in _SEARCHABLE:
        faults.add(
            "sweep.key_not_searchable",
            "'{key}' in sweep.space: trials differ only in how they train",
            place,
            "try keys of {sections}",
            key=key,
            sections=", ".join(_SEARCHABLE),
        )
    elif key not in known and not (section == "strategy" and name and _is_open(base)):
        faults.add(
            "sweep.key_unknown",
            "unknown key '{key}' in sweep.space",
            place,
            "{hint}",
            key=key,
            hint=nearest(key, known),
        )


def _fields(base: RunConfig, section: str) -> list[str]:
    return [name for name in type(getattr(base, section)).model_fields if name != "type"]


def _is_open(base: RunConfig) -> bool:
    """Whether the strategy takes options of PEFT beside its own; it refuses unknown ones itself."""
    return type(base.strategy).model_config.get("extra") == "allow"


def _whole(key: str, base: RunConfig) -> bool | None:
    """Whether a field takes whole numbers only; None for options that are no fields of ours."""
    section, _, name = key.partition(".")
    part: type[Part] = type(getattr(base, section))
    if name not in part.model_fields:
        return None
    leaves, waiting = set(), [part.model_fields[name].annotation]
    while waiting:
        annotation = waiting.pop()
        waiting.extend(typing.get_args(annotation))
        leaves.add(annotation)
    return int in leaves and float not in leaves


def _require_sound(
    dimension: Dimension, base: RunConfig, prepared: RunPlan | None, place: Place, faults: Faults
) -> None:
    """Refuse a dimension one of whose ends the config, the strategy or the model refuses."""
    refusals = {
        fault.at(place): None
        for value in dimension.ends
        for fault in _refusals(base, {dimension.key: value}, prepared)
    }
    faults.extend(refusals)


def _refusals(
    base: RunConfig, values: Mapping[str, Value], prepared: RunPlan | None
) -> list[Fault]:
    """Why these values cannot work, by themselves and on this model."""
    faults = Faults()
    config = with_values(base, values, faults)
    if config is None or prepared is None:
        return list(faults)
    room, taken = prepared.anatomy.max_length, config.strategy.input_positions
    if room is not None and 2 * taken > room:
        faults.add(
            "sweep.prompt_too_long",
            "the prompt takes {taken} of the {room} tokens that the model reads",
            None,
            "choose at most {most}",
            taken=taken,
            room=room,
            most=room // 2,
        )
    return [*faults, *config.strategy.check(prepared.anatomy)]
