"""Variants: `strategies:` expanded to one run config each, with what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from welltuned.config import RunConfig
from welltuned.errors import Faults
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.read_config import ADAPT
from welltuned.experiments.comparison.adapt_variant import as_strategy, read_adaptation
from welltuned.experiments.comparison.chosen_models import ChosenModel
from welltuned.experiments.comparison.config import EVERYTHING, PIPELINE, SEVERAL, CompareConfig
from welltuned.experiments.comparison.rlhf_variant import first_stage, read_pipeline
from welltuned.rlhf.algorithms import ALGORITHMS
from welltuned.rlhf.config import RlhfConfig
from welltuned.runs.comparison_schema import BESIDE
from welltuned.schema.document import Document
from welltuned.schema.validation import validate
from welltuned.strategies import every_variant, usual_strategies

_OWN = ("strategy", "output_dir", "report")
"""Parts of a run's config that a variant cannot have of its own."""
_OF_PIPELINES = ("strategy", "sft", "reward", "rl", *ALGORITHMS.names)
_PARTS = tuple(name for name in RunConfig.model_fields if name not in _OWN)


@dataclass(frozen=True)
class Variant:
    """One row of the table: a name, and a run's config for every seed."""

    name: str
    config: RunConfig
    asked_by_name: bool
    """Whether it was named, and not only meant by `all`."""
    pipeline: RlhfConfig | None = None
    """What `rlhf` does besides; the config is then that of its first stage."""
    impossible: str | None = None
    """Why it is not possible, where that shows before anything is read."""
    model_label: str | None = None
    """What its model is called, where several are compared."""
    adaptation: AdaptConfig | None = None
    """What its model reads before, where it is `adapt`."""

    @property
    def slug(self) -> str:
        """The name as a folder's."""
        return slug_of(self.name)

    @property
    def strategy(self) -> str:
        """The name without that of the model."""
        return self.name.removesuffix(f"{BESIDE}{self.model_label}")


def slug_of(name: str) -> str:
    """A row's name as a folder's: it leads nowhere, and is never empty."""
    return re.sub(r"[^\w.=+-]+", "-", name).strip("-.") or "strategy"


@dataclass(frozen=True)
class VariantRequest:
    """One of `strategies:`, before it is read."""

    name: str
    index: int
    by_name: bool
    model_label: str | None = None


def find_variants(
    config: CompareConfig,
    document: Document,
    faults: Faults,
    models: Sequence[ChosenModel] = (),
) -> list[Variant]:
    """The variants in order: every strategy on every one of `models`, or on the config's own.

    What is wrong with one is recorded with its place.
    """
    variants: list[Variant] = []
    for on_model, given, asked in _requests(config, models or [ChosenModel(config.model)]):
        found = Faults()
        read = _READERS.get(str(given.get("type")), _ordinary)
        variant = read(on_model, given, asked, document, found)
        if variant is not None:
            variants.append(variant)
        if asked.by_name or variant is None:
            told = list(faults)  # of another model the same may be wrong
            faults.extend([fault for fault in found if fault not in told])
    variants = [variant for n, variant in enumerate(variants) if not _is_repeated(variants, n)]
    _refuse_doubles(variants, document, faults)
    return variants


def _requests(
    config: CompareConfig, models: Sequence[ChosenModel]
) -> Iterator[tuple[CompareConfig, dict[str, Any], VariantRequest]]:
    """(the config with a model, what a variant gives, how it is called), strategy by strategy."""
    for index, asked, by_name in _spelled_out(config):
        given = {"type": asked} if isinstance(asked, str) else dict(asked)
        name = str(given.pop("name", None) or _name(given))
        for chosen in [ChosenModel(config.model)] if _names_a_model(given) else models:
            on_model = config.model_copy(update={"model": chosen.model})
            yield on_model, given, VariantRequest(chosen.row(name), index, by_name, chosen.label)


def _names_a_model(given: Mapping[str, Any]) -> bool:
    """Whether a variant brings its own model, and not only options for those of all."""
    stage = given["sft"] if isinstance(given.get("sft"), Mapping) else {}
    models = [stage.get("model"), given.get("model")]
    return any("name" in one if isinstance(one, Mapping) else one is not None for one in models)


def _spelled_out(config: CompareConfig) -> Iterator[tuple[int, str | dict[str, Any], bool]]:
    """(its place in the list, what was asked, whether by name)."""
    for index, asked in enumerate(config.strategies):
        if asked in SEVERAL:
            meant = every_variant() if asked == EVERYTHING else usual_strategies()
            yield from ((index, one, False) for one in (*meant, PIPELINE))
        else:
            yield index, asked, True


def _ordinary(
    config: CompareConfig,
    given: dict[str, Any],
    asked: VariantRequest,
    document: Document,
    faults: Faults,
) -> Variant | None:
    run = _run_config(config, given, _places(asked.index, document), document, faults)
    if run is None:
        return None
    return Variant(asked.name, run, asked.by_name, model_label=asked.model_label)


def _pipeline(
    config: CompareConfig,
    given: dict[str, Any],
    asked: VariantRequest,
    document: Document,
    faults: Faults,
) -> Variant | None:
    """`rlhf`. Where `all` means it and it cannot be had, the variant says why."""
    places = _places(asked.index, document)
    run = _run_config(config, first_stage(config, given), places, document, faults)
    if run is None:
        return None
    own = Document(document.values, places, document.source)
    pipeline = read_pipeline(config, given, run, own, faults)
    reasons = "; ".join(fault.what for fault in faults) or None
    if pipeline is None and asked.by_name:
        return None
    return Variant(asked.name, run, asked.by_name, pipeline, reasons, asked.model_label)


def _adapting(
    config: CompareConfig,
    given: dict[str, Any],
    asked: VariantRequest,
    document: Document,
    faults: Faults,
) -> Variant | None:
    """`adapt`: the run of another strategy, and what its model reads before."""
    places = _places(asked.index, document)
    run = _run_config(config, as_strategy(config, given), places, document, faults)
    if run is None:
        return None
    own = Document(document.values, places, document.source)
    adaptation = read_adaptation(config, given, run, own, faults)
    if adaptation is None:
        return None
    return Variant(
        asked.name, run, asked.by_name, model_label=asked.model_label, adaptation=adaptation
    )


_READERS = {PIPELINE: _pipeline, ADAPT: _adapting}
"""Who reads the variants that are more than a strategy."""


def _run_config(
    config: CompareConfig,
    given: dict[str, Any],
    places: dict[tuple[str, ...], Any],
    document: Document,
    faults: Faults,
) -> RunConfig | None:
    """The base config with the variant's own strategy and parts."""
    parts = {key: value for key, value in given.items() if key in _PARTS}
    options = {key: value for key, value in given.items() if key not in _PARTS}
    if options.get("type") == config.strategy.type:
        options = {**config.strategy.model_dump(mode="json", exclude_unset=True), **options}
    base = config.model_dump(mode="json", include=set(RunConfig.model_fields) - {"output_dir"})
    base["data"]["unlabelled"] = None  # `adapt` alone reads them
    values = {**base, "strategy": options}
    for key, value in parts.items():
        values[key] = _merged(values[key], value)
    return validate(RunConfig, Document(values, places, document.source), faults)


def _merged(base: Any, own: Any) -> Any:
    if not isinstance(base, Mapping) or not isinstance(own, Mapping):
        return own
    return {**base, **{key: _merged(base.get(key), value) for key, value in own.items()}}


def _places(index: int, document: Document) -> dict[tuple[str, ...], Any]:
    """Where a variant's keys stand, under the paths they have in a run's config."""
    places = {path: place for path, place in document.places.items() if path[0] != "strategies"}
    places[("strategy",)] = document.place(("strategies", str(index)))
    for path, place in document.places.items():
        if path[:2] == ("strategies", str(index)) and len(path) > 2:
            places[path[2:]] = place
            own = path[3:] if path[2] == "sft" and len(path) > 3 else path[2:]
            places[own if own[0] in (*_PARTS, *_OF_PIPELINES) else ("strategy", *own)] = place
    return places


def _name(given: dict[str, Any]) -> str:
    """`lora r=64`: the type, and what is set. A judge is not part of the name."""
    options = {key: value for key, value in given.items() if key not in ("type", "reward")}
    return " ".join([str(given.get("type")), *(f"{k}={v}" for k, v in _flat(options))])


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _is_repeated(variants: list[Variant], number: int) -> bool:
    """Whether it is meant by `all` and also named, with the same options.

    `rlhf` as `all` means it is repeated by any that is named and can be had.
    """
    variant = variants[number]
    same = [
        other
        for other in variants
        if (other.name, other.config, other.pipeline)
        == (variant.name, variant.config, variant.pipeline)
        or (variant.impossible and other.pipeline)
    ]
    return not variant.asked_by_name and any(other.asked_by_name for other in same)


def _refuse_doubles(variants: list[Variant], document: Document, faults: Faults) -> None:
    for number, variant in enumerate(variants):
        if variant.slug.lower() in {other.slug.lower() for other in variants[:number]}:
            faults.add(
                "compare.name_repeated",
                "two strategies are called '{name}'",
                document.place(("strategies",)),
                "give them names: {{type: lora, r: 8, name: small}}",
                name=variant.name,
            )
