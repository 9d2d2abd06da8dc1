"""Forgetting, from the first moment of a run to the last: what the untouched model knew, what
protects it, and what is left of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from welltuned.engines.best_checkpoint import signed
from welltuned.evaluation.layer_probe import LayerScores, hint, probe_layers
from welltuned.evaluation.retention import Memory
from welltuned.evaluation.retention_sets import embedded_text, language_of, texts_of
from welltuned.protection import Finish, Guard, Scene
from welltuned.training.observer import Observer
from welltuned.training.session import Tuning


@dataclass(frozen=True)
class Untouched:
    """What is remembered of a model before its first step."""

    memory: Memory
    layers: LayerScores | None
    start: dict[str, torch.Tensor]
    """Copies of pretrained weights that will train, where someone goes back to them."""


def remember(tuning: Tuning, observer: Observer) -> Untouched:
    """Ask the untouched model everything that will be asked of the tuned one."""
    config, prepared = tuning.config, tuning.prepared
    subject = tuning.subject(tuning.precision_in_use)
    memory, layers = Memory(()), None
    with config.strategy.untouched(tuning.model):
        if config.evaluation.retained:
            own = prepared.examples["validation"]
            progress = _telling(observer, "measuring what it knows")
            memory = Memory.of(subject, prepared.retention, own, _training(tuning), progress)
        if config.evaluation.probe:
            layers = _probe(tuning, _telling(observer, "probing blocks before"))
    start = {}
    if any(protection.finishes for protection in config.protection):
        start = {
            name: weight.detach().cpu().clone()
            for name, weight in _scene(tuning).pretrained().items()
        }
    return Untouched(memory, layers, start)


def guards(tuning: Tuning, observer: Observer) -> list[Guard]:
    """What goes along with training. To be asked before the first step."""
    if not tuning.config.protection:
        return []
    scene = _scene(tuning)
    found = [protection.guard(scene) for protection in tuning.config.protection]
    for guard in filter(None, found):
        if guard.note:
            observer.noted(guard.note)
    return [guard for guard in found if guard is not None]


def go_back(tuning: Tuning, untouched: Untouched, observer: Observer) -> dict[str, Any]:
    """Let protections finish, which may change the trained weights.

    Returns what results.json keeps of it, by their types.
    """
    config = tuning.config
    metric = tuning.metric
    found: dict[str, Any] = {}
    for protection in config.protection:
        if not protection.finishes:
            continue
        end = Finish(
            scene=_scene(tuning),
            start=untouched.start,
            score=lambda: _numbers(tuning.score("validation", tuning.precision_in_use)),
            value=lambda scores: signed(scores, metric),
            kept=lambda: untouched.memory.kept(tuning.subject(tuning.precision_in_use)),
            progress=_telling(observer, f"finishing by {protection.type}"),
        )
        found[protection.type] = {"metric": metric, **protection.finish(end)}
    return found


def measure(tuning: Tuning, untouched: Untouched, observer: Observer) -> dict[str, Any]:
    """The parts `retention` and `probe` of results.json, of the tuned model."""
    found: dict[str, Any] = {}
    if tuning.config.evaluation.retained:
        found["retention"] = untouched.memory.compared(
            tuning.subject(tuning.precision_in_use),
            _telling(observer, "measuring what it still knows"),
        )
    if untouched.layers is not None:
        after = _probe(tuning, _telling(observer, "probing blocks after"))
        found["probe"] = describe(untouched.layers, after)
    return found


def describe(before: LayerScores, after: LayerScores | None = None) -> dict[str, Any]:
    """Scores by block for results.json and `--json`."""
    return {
        "metric": before.metric,
        "regions": list(before.regions),
        "before": list(before.scores),
        **({"after": list(after.scores)} if after is not None else {}),
        "behind": list(before.behind),
        "error": before.error,
        "chance": before.chance,
        "texts": {"fitted": before.fitted, "scored": before.scored},
        "hint": hint(before),
    }


def _scene(tuning: Tuning) -> Scene:
    prepared = tuning.prepared
    subject = tuning.subject(tuning.precision)
    return Scene(
        subject=subject,
        strategy=tuning.config.strategy,
        problem=tuning.problem,
        examples=prepared.examples["train"],
        replay=prepared.replay,
        general=embedded_text(language_of(texts_of(prepared.data)), subject.speaks),
        training=_training(tuning),
        new=frozenset(tuning.origin.new),
        seed=tuning.config.training.seed,
    )


def _training(tuning: Tuning) -> frozenset[int]:
    return frozenset(id(weight) for group in tuning.groups for weight in group.parameters)


def _probe(tuning: Tuning, progress: Callable[[int, int], None]) -> LayerScores:
    prepared = tuning.prepared
    return probe_layers(
        tuning.subject(tuning.precision_in_use),
        prepared.problem,
        prepared.config.task.pooling,
        prepared.examples["train"],
        prepared.examples["validation"],
        progress,
    )


def _telling(observer: Observer, what: str) -> Callable[[int, int], None]:
    return lambda done, total: observer.working(what, done, total)


def _numbers(scores: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in scores.items() if isinstance(value, (int, float))}
