"""`welltuned data suspects`: labels that are probably wrong, ranked, in a file to be corrected.

The labels of a config's data are judged out of fold by the cheapest models there are: heads on
hidden states that are read once, and word counts. Those of a comparison's test split have been
judged by its cells already, and are taken from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from welltuned.config import RunConfig
from welltuned.data.overlap.duplicates import keys_of
from welltuned.data.sources import name_of
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.evaluation.config import OFF, EvaluationConfig
from welltuned.evaluation.label_check import find_suspects
from welltuned.experiments.labels.block_features import block_features
from welltuned.experiments.labels.config import SuspectsSettings
from welltuned.experiments.labels.out_of_fold import deal_folds, head_outputs, word_outputs
from welltuned.experiments.labels.suspects_folder import (
    command_to_correct,
    twins_among,
    write_suspects,
)
from welltuned.metrics import Row
from welltuned.runs.folder import next_free
from welltuned.runs.suspects_schema import SuspectsFile
from welltuned.strategies import looking_strategy
from welltuned.tasks import Examples, Problem
from welltuned.training.observer import Observer
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.prepare import CheckedRun, RunPlan, check_run, encode_run
from welltuned.training.probe import base_model
from welltuned.training.session.choose_pooling import resolve_pooling

_JUDGES = ("linear head", "word counts")


@dataclass(frozen=True)
class OutOfFold:
    """Examples with what models say of them that did not learn their labels."""

    examples: Examples
    outputs_NK: np.ndarray
    """The mean of all judges."""
    by_judge: dict[str, np.ndarray]
    """Each one's own outputs (N, K)."""
    rows: list[Row]
    """As `predictions.jsonl` would have them."""


def check_labels_by_folds(
    config: RunConfig, settings: SuspectsSettings, words: Sequence[str], observer: Observer
) -> Path:
    """Judge every label out of fold, and write what is to be checked into a folder, its result.

    `words`: the arguments, after `welltuned train`, of the run that the labels are for. Of the
    config it reads model, data, task and seed. Raises `InputError` with all faults found.
    """
    folder = _free_folder(config, settings)
    plan = plan_check(config, settings, observer)
    judged = judge_out_of_fold(plan, _splits(settings), settings.folds, observer)
    problem, targets = plan.problem, judged.examples.targets
    assert targets is not None
    metric = problem.scorer.default_metric
    suspects, expected = find_suspects(judged.rows)
    near, again = twins_among(judged.rows, config.data.compare_as), ["welltuned", "train", *words]
    found: SuspectsFile = {
        "data": config.data.train,
        "model": config.model.name,
        "language": config.report.language,
        "judged_by": list(_JUDGES),
        "folds": settings.folds,
        "splits": _splits(settings),
        "examples": len(judged.examples),
        "metric": metric,
        "score": float(problem.scorer.score(judged.outputs_NK, targets)[metric]),
        "expected": expected,
        "suspects": suspects,
        "near_duplicates": near,
        "command": command_to_correct(again, config.data.corrections, folder, folder.name)
        if suspects or near
        else None,
    }
    write_suspects(folder, found, dict(zip(problem.labels, problem.label_keys, strict=True)))
    return folder


def judge_out_of_fold(
    plan: RunPlan, splits: Sequence[str], folds: int, observer: Observer
) -> OutOfFold:
    """The examples of some splits, each answered by models that learned from the other folds."""
    plan = resolve_pooling(plan, observer)
    examples, problem, seed = _joined(plan, splits), plan.problem, plan.config.training.seed
    targets, total = examples.targets, len(examples)
    assert targets is not None
    features_NH = block_features(
        base_model(plan), examples, plan.config.task.pooling,
        lambda done: observer.working("reading texts", done, total),
    )  # fmt: skip
    keys = keys_of(examples.records, plan.config.data.compare_as)
    fold_N = deal_folds(keys, _strata(problem, targets), folds, seed)
    heads_NK = head_outputs(
        problem, features_NH, targets, fold_N,
        lambda done: observer.working("judging labels", done, folds + 1),
    )  # fmt: skip
    words_NK = word_outputs(problem, examples.records.texts(), targets, fold_N)
    observer.working("judging labels", folds + 1, folds + 1)
    outputs_NK = (heads_NK + words_NK) / 2
    rows = list(problem.presenter.rows(outputs_NK, examples, {}))
    by_judge = dict(zip(_JUDGES, (heads_NK, words_NK), strict=True))
    return OutOfFold(examples, outputs_NK, by_judge, rows)


# --- What is checked ---------------------------------------------------------------


def plan_check(config: RunConfig, settings: SuspectsSettings, observer: Observer) -> RunPlan:
    """The run as far as its examples; only what is read off them matters here.

    Raises `InputError` with all faults found, before any weight is loaded.
    """
    looking = {
        "strategy": looking_strategy(config.model),
        "protection": (),
        "evaluation": EvaluationConfig(retention=(OFF,), test=settings.test),
        "data": config.data.model_copy(update={"replay": None}),
    }
    cache = DataCache()
    checked = check_run(config.model_copy(update=looking), cache)
    _refuse_unsuited(checked, settings)
    return encode_run(checked, cache, observer.working)


def _refuse_unsuited(checked: CheckedRun, settings: SuspectsSettings) -> None:
    """Raise `InputError` where labels cannot be judged, or a fold would lack one of them."""
    problem, linear = checked.problem, checked.problem.linear
    has_labels = problem.scorer.family.has_label_probabilities
    if not has_labels or linear is None or linear.estimator(1.0) is None:
        raise InputError(
            Fault(
                "suspects.task_unsupported",
                "the task '{task}' has no labels of whole texts, which could be checked",
                None,
                "check the data of a task with classes",
                task=problem.title,
            )
        )
    read = [problem.codec.read_targets(checked.data[s], Faults()) for s in _splits(settings)]
    counts_K = _counts(np.concatenate(read), len(problem.labels))
    rarest = int(counts_K.argmin())
    if counts_K[rarest] < settings.folds:
        raise InputError(_too_rare(problem.labels[rarest], int(counts_K[rarest]), settings.folds))


def _too_rare(label: str, number: int, folds: int) -> Fault:
    mend = f"set folds={number}, or give it more examples" if number > 1 else "give it more"
    return Fault(
        "suspects.label_too_rare",
        "'{label}' has {number} examples, fewer than the {folds} folds",
        None,
        "{mend}",
        label=label,
        number=number,
        folds=folds,
        mend=mend,
    )


def _counts(targets: np.ndarray, number: int) -> np.ndarray:
    """How often each label is given (K), whether as a class or as one of several."""
    if targets.ndim > 1:
        return np.asarray(targets.sum(axis=0).astype(int))
    return np.bincount(targets, minlength=number)


def _strata(problem: Problem, targets: np.ndarray) -> list[str]:
    return [problem.presenter.target_text(target) for target in targets]


def _splits(settings: SuspectsSettings) -> list[str]:
    return ["train", "validation", *(["test"] if settings.test else [])]


def _joined(plan: RunPlan, splits: Sequence[str]) -> Examples:
    first, *others = (plan.examples[split] for split in splits)
    for part in others:
        first = first.join(part)
    return first


# --- Where it is written --------------------------------------------------------------


def _free_folder(config: RunConfig, settings: SuspectsSettings) -> Path:
    """Where results go. Raises `InputError` where something lies there already."""
    if settings.folder is None:
        return next_free(Path("suspects"), name_of(config.data.train) or "data")
    folder = Path(settings.folder).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            Fault(
                "suspects.folder_in_use",
                "the output folder is already in use",
                Place(str(folder)),
                "choose another folder; nothing is ever overwritten",
            )
        )
    return folder
