"""Retention in a run: measured on the base model first, on the tuned model last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from welltuned.engines.best_checkpoint import signed
from welltuned.evaluation.eval_model import EvalModel
from welltuned.evaluation.layer_probe import LayerScores, hint, probe_layers
from welltuned.evaluation.retention import BaseAnswers
from welltuned.evaluation.retention_sets import embedded_text, language_of, texts_of
from welltuned.models.sharding import is_sharded
from welltuned.models.tensor_parts import on_main
from welltuned.protection import FinishContext, Guard, GuardContext
from welltuned.runs.phases import phase
from welltuned.runs.results_schema import Kept, LayerProbe, Scores
from welltuned.training.observer import Observer
from welltuned.training.session.session import LoadedModel, Session


@dataclass(frozen=True)
class BaseMeasurements:
    """What is stored of a model before its first step."""

    memory: BaseAnswers
    layers: LayerScores | None
    start: dict[str, torch.Tensor]
    """Copies of pretrained weights that will train, where a protection interpolates back to
    them."""


@phase("retention")
def measure_base(session: LoadedModel, observer: Observer) -> BaseMeasurements:
    """Measure on the base model everything that will be measured on the tuned one."""
    config, prepared = session.config, session.prepared
    subject = session.base_subject(session.precision_in_use)
    memory, layers = BaseAnswers(()), None
    with config.strategy.base_model(session.model):
        if config.evaluation.retained:
            own = prepared.examples["validation"]
            progress = _telling(observer, "measuring what it knows")
            memory = BaseAnswers.of(subject, prepared.retention, own, _training(session), progress)
        if config.evaluation.probe:
            layers = _probe(session, subject, _telling(observer, "probing blocks before"))
    start = {}
    if any(protection.finishes for protection in config.protection):
        pretrained = on_main(_scene(session).pretrained())
        start = {name: weight.detach().cpu().clone() for name, weight in pretrained.items()}
    return BaseMeasurements(memory, layers, start)


def help_to_measure(session: LoadedModel, observer: Observer) -> None:
    """What other processes do while the main one measures: sharded weights are read by all."""
    if is_sharded(session.model):
        measure_base(session, observer)


def guards(session: LoadedModel, observer: Observer) -> list[Guard]:
    """The guards during training. To be called before the first step."""
    if not session.config.protection:
        return []
    scene = _scene(session)
    found = [protection.guard(scene) for protection in session.config.protection]
    for guard in filter(None, found):
        if guard.note:
            observer.noted(guard.note)
    return [guard for guard in found if guard is not None]


def finish_protections(
    session: Session, untouched: BaseMeasurements, observer: Observer
) -> dict[str, Mapping[str, object]]:
    """Let protections finish, which may change the trained weights.

    Returns what results.json keeps of it, by their types.
    """
    config = session.config
    metric = session.metric
    found: dict[str, Mapping[str, object]] = {}
    for protection in config.protection:
        if not protection.finishes:
            continue
        end = FinishContext(
            scene=_scene(session),
            start=untouched.start,
            score=lambda: _numbers(session.score("validation", session.precision_in_use)),
            value=lambda scores: signed(scores, metric),
            kept=lambda: untouched.memory.kept(session.subject(session.precision_in_use)),
            progress=_telling(observer, f"finishing by {protection.type}"),
        )
        found[protection.type] = {"metric": metric, **protection.finish(end)}
    return found


@phase("retention")
def measure_retention(
    session: LoadedModel, untouched: BaseMeasurements, observer: Observer
) -> Kept:
    """The parts `retention` and `probe` of results.json, of the tuned model."""
    found: Kept = {}
    subject = _trained(session)
    if session.config.evaluation.retained:
        found["retention"] = untouched.memory.compared(
            subject, _telling(observer, "measuring what it still knows")
        )
    if untouched.layers is not None:
        after = _probe(session, subject, _telling(observer, "probing blocks after"))
        found["probe"] = layer_scores_dict(untouched.layers, after)
    return found


def layer_scores_dict(before: LayerScores, after: LayerScores | None = None) -> LayerProbe:
    """Scores by block for results.json and `--json`."""
    found: LayerProbe = {
        "metric": before.metric,
        "regions": list(before.regions),
        "before": list(before.scores),
        "behind": list(before.behind),
        "error": before.error,
        "chance": before.chance,
        "texts": {"fitted": before.fitted, "scored": before.scored},
        "hint": hint(before),
    }
    if after is not None:
        found["after"] = list(after.scores)
    return found


def _scene(session: LoadedModel) -> GuardContext:
    prepared = session.prepared
    subject = session.subject(session.precision)
    return GuardContext(
        subject=subject,
        strategy=session.config.strategy,
        problem=session.problem,
        examples=prepared.examples["train"],
        replay=prepared.replay,
        general=embedded_text(language_of(texts_of(prepared.data)), subject.speaks),
        training=_training(session),
        new=frozenset(session.origin.new),
        seed=session.config.training.seed,
    )


def _training(session: LoadedModel) -> frozenset[int]:
    return frozenset(id(weight) for group in session.groups for weight in group.parameters)


def _trained(session: LoadedModel) -> EvalModel:
    """The tuned model, which knows nothing else than the base below a head that alone trained."""
    depth = session.prepared.anatomy.depth
    changed = any(depth(name) for name in session.before.trainable)
    ask = session.subject if changed else session.base_subject
    return ask(session.precision_in_use)


def _probe(
    session: LoadedModel, subject: EvalModel, progress: Callable[[int, int], None]
) -> LayerScores:
    prepared = session.prepared
    return probe_layers(
        subject,
        prepared.problem,
        prepared.config.task.pooling,
        prepared.examples["train"],
        prepared.examples["validation"],
        progress,
    )


def _telling(observer: Observer, what: str) -> Callable[[int, int], None]:
    return lambda done, total: observer.working(what, done, total)


def _numbers(scores: Scores) -> dict[str, float]:
    return {name: float(value) for name, value in scores.items() if isinstance(value, (int, float))}
