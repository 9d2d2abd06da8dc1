"""Requests to workers made while planning, so that the parent process never loads a model.

Which strategies can start and what an epoch is; and what needs no tuning scores.
"""

from __future__ import annotations

import queue
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from welltuned.errors import Fault, InputError, RunFailed
from welltuned.experiments.comparison.budget import CellBudget, Feasibility, spend
from welltuned.experiments.comparison.chosen_models import is_about_model, labels_of
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.comparison.observer import ComparisonObserver
from welltuned.experiments.comparison.variants import Variant
from welltuned.experiments.comparison.worker.protocol import (
    BASELINES,
    SCOUT,
    Candidate,
    Request,
    StaticSource,
)
from welltuned.experiments.executors.base import Event, Pool
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import Scouted, SharedSettings
from welltuned.strategies import looking_strategy

Missing = dict[str, Sequence[Fault]]
"""Why models of several cannot be had, by what rows call them."""


@dataclass(frozen=True)
class Requester:
    """Who carries requests out, and who hears how far they are."""

    pool: Pool
    observer: ComparisonObserver

    def events_of(self, request: Mapping[str, object]) -> Iterator[Event]:
        """The events of a request as they come, its progress passed on.

        Raises what it ended with.
        """
        events: queue.Queue[Event] = queue.Queue()
        self.observer.working("starting a process", 0, 1)  # which imports, where it is the first
        worker = self.pool.start(request, events)
        try:
            while (event := events.get()).name != "ended":
                if event.name == "working":
                    self.observer.working(**event.values)
                yield event
        finally:
            worker.stop()
        if worker.refused:
            raise InputError([Fault.from_dict(values) for values in worker.refused])
        if reason := event.values["error"]:
            raise RunFailed(Fault("compare.worker_failed", "{reason}", reason=reason))


def request_feasibility(
    comparison: Comparison,
    config: CompareConfig,
    variants: Sequence[Variant],
    requester: Requester,
) -> tuple[Scouted, Missing]:
    """Look which variants can start and what an epoch is, and share the budget out.

    Of several models those that cannot be had are told apart from strategies that cannot work.
    Raises `InputError` when a strategy that was named cannot work, or the budget is too small.
    """
    timed = config.is_timed
    able = [variant for variant in variants if variant.impossible is None]
    request: Request = {
        "do": SCOUT,
        "data": str(comparison.data),
        "variants": [_described(variant) for variant in able],
        "timed": timed,
        "folder": str(comparison.folder / "timing"),
    }
    found: dict[str, dict[str, Any]] = {}
    impossible: dict[str, list[Fault]] = {}
    startup, spent = 0.0, 0.0
    for event in requester.events_of(request):
        startup = startup or event.worker.seconds
        spent = event.worker.seconds
        if event.name in ("checked", "timed"):
            name = event.values.pop("name")
            found[name] = {**found.get(name, {}), **event.values}
        elif event.name == "cannot":
            faults = [Fault.from_dict(values) for values in event.values["faults"]]
            impossible[event.values["name"]] = faults
    missing = _missing_models(able, impossible)
    able = [variant for variant in able if variant.model_label not in missing]
    impossible = {v.name: impossible[v.name] for v in able if v.name in impossible}
    _require_possible(able, impossible)
    if timed:
        found = {name: {**part, "rest": part["rest"] + startup} for name, part in found.items()}
    trainings = {v.name: v.config.training for v in variants}
    parts = {name: Feasibility(**values) for name, values in found.items()}
    spending = spend(config, parts, trainings, spent)
    _note_spending(spending, [v for v in able if v.name in found], requester.observer)
    reasons = {name: "; ".join(fault.what for fault in them) for name, them in impossible.items()}
    scouted: Scouted = {
        "metric": next(iter(parts.values())).metric,
        "spending": {name: part.as_dict() for name, part in spending.items()},
        "impossible": reasons | {v.name: v.impossible for v in variants if v.impossible},
        "missing": list(missing),
        "seconds": spent,
    }
    return scouted, missing


def _described(variant: Variant) -> Candidate:
    pipeline = variant.pipeline
    return {
        "name": variant.name,
        "config": variant.config.of_one_run.model_dump(mode="json", exclude={"output_dir"}),
        "pipeline": pipeline.model_dump(mode="json") if pipeline is not None else None,
    }


def _missing_models(
    variants: Sequence[Variant], impossible: Mapping[str, Sequence[Fault]]
) -> Missing:
    """Of several models those that no strategy can start on, for they cannot be had.

    What a pipeline lacks may be another model, such as its judge. Raises `InputError` where none
    is left.
    """
    found: Missing = {}
    labels = dict.fromkeys(variant.model_label for variant in variants)
    plain = [variant for variant in variants if variant.pipeline is None]
    for label in filter(None, labels):
        own = [impossible.get(v.name, ()) for v in plain if v.model_label == label]
        if own and all(any(map(is_about_model, faults)) for faults in own):
            found[label] = own[0]
    if found and len(found) == len(labels):
        raise InputError(dict.fromkeys(fault for faults in found.values() for fault in faults))
    return found


def _require_possible(variants: Sequence[Variant], impossible: dict[str, list[Fault]]) -> None:
    """What was asked for by name must work; what `all` means is left out where it does not.

    Of several models it must work on one.
    """
    works = {variant.strategy for variant in variants if variant.name not in impossible}
    named = [
        v.name
        for v in variants
        if v.asked_by_name and v.name in impossible and v.strategy not in works
    ]
    if not named and len(impossible) == len(variants):
        named = [v.name for v in variants]
    faults = [fault for name in named for fault in impossible[name]]
    if faults:
        raise InputError(list(dict.fromkeys(faults)))


def _note_spending(
    spending: dict[str, CellBudget], variants: Sequence[Variant], observer: ComparisonObserver
) -> None:
    short = {name: part for name, part in spending.items() if part.planned_epochs < 1}
    if short:
        name, part = next(iter(short.items()))
        observer.noted(
            f"the budget is {part.planned_epochs:.2f} epochs of '{name}': not every training "
            f"example will be seen. budget.steps={part.steps_per_epoch} is one epoch"
        )
    for variant in variants:
        if variant.pipeline is not None:
            observer.noted(
                f"'{variant.name}' has the same budget as the others for its supervised stage; its "
                "reward model and RL come on top, and their cost is reported"
            )


def request_baselines(
    comparison: Comparison,
    variants: Sequence[Variant],
    static: StaticSource | None,
    requester: Requester,
) -> tuple[SharedSettings, Missing]:
    """Measure the baselines; returns what is settled for all cells of each model.

    That is precision and pooling. Of several models those that cannot be loaded are left out.
    """
    shutil.rmtree(comparison.folder / "baselines", ignore_errors=True)
    firsts = _one_on_each_model(variants)
    found: dict[str, SharedSettings] = {}
    missing: Missing = {}
    for variant, label in firsts:
        request = _baselines_on(variant, comparison, static)
        request["of_model_alone"] = bool(found)
        request["model_label"] = label if len(firsts) > 1 else None
        try:
            found[variant.config.model.title] = _settled_by(request, requester)
        except (InputError, RunFailed) as error:
            none_left = not found and variant is firsts[-1][0]
            if variant.model_label is None or none_left:
                raise
            missing[variant.model_label] = error.faults
    return _shared_settings(found), missing


def _one_on_each_model(variants: Sequence[Variant]) -> list[tuple[Variant, str]]:
    """(the first variant on a model, what the model is called), model by model."""
    firsts: dict[str, Variant] = {}
    for variant in variants:
        firsts.setdefault(variant.config.model.title, variant)
    labels = labels_of([variant.config.model for variant in firsts.values()])
    named = zip(firsts.values(), labels, strict=True)
    return [(variant, variant.model_label or label) for variant, label in named]


def _baselines_on(variant: Variant, comparison: Comparison, static: StaticSource | None) -> Request:
    config = variant.config.model_dump(mode="json", exclude={"output_dir", "strategy"})
    return {
        "do": BASELINES,
        "data": str(comparison.data),
        "config": {**config, "strategy": {"type": looking_strategy(variant.config.model).type}},
        "folder": str(comparison.folder / "baselines"),
        "static": static,
    }


def _settled_by(request: Request, requester: Requester) -> SharedSettings:
    settled: SharedSettings = {}
    for event in requester.events_of(request):
        if event.name == "settled":
            settled = cast(SharedSettings, event.values)
    return settled


def _shared_settings(found: Mapping[str, SharedSettings]) -> SharedSettings:
    """What the first model settled and, where there are several, what each did."""
    settled: SharedSettings = {**next(iter(found.values()))}
    if len(found) > 1:
        settled["memory_bytes"] = max(one["memory_bytes"] for one in found.values())
        settled["models"] = {
            title: {"precision": one["precision"], "pooling": one["pooling"]}
            for title, one in found.items()
        }
    return settled
