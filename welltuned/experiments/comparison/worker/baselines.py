"""Baselines that need no tuning: majority class, the untuned model, TF-IDF, static embeddings.

A neural network that is no better than word counts and a linear model is not needed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from welltuned.config import RunConfig, run_config_from
from welltuned.data.storage.kept_values import kept_answers
from welltuned.experiments.comparison.variants import slug_of
from welltuned.experiments.comparison.worker import static_embedding
from welltuned.experiments.comparison.worker.protocol import Request, StaticSource
from welltuned.experiments.cross_validation.fold_runs import fold_runs
from welltuned.experiments.cross_validation.pool_runs import pooled_rows, pooled_test
from welltuned.experiments.executors.shared_data import shared_data
from welltuned.experiments.executors.telling import TellingObserver
from welltuned.metrics import is_better
from welltuned.runs import Run, process_memory
from welltuned.runs.code_version import code_version
from welltuned.runs.comparison_schema import BESIDE
from welltuned.runs.cross_validated import FOLDS
from welltuned.runs.phases import phase
from welltuned.tasks import LinearReadout, Scorer
from welltuned.training.observer import Observer
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.prepare import RunPlan, prepare
from welltuned.training.session.session import load_session
from welltuned.training.waits import telling_waits

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

    from welltuned.experiments.executors.process import Tell

MAJORITY, UNTOUCHED, TFIDF, STATIC = "majority", "untouched", "tf-idf", "static"
_STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Inverse strengths of the linear model's regularisation; the validation split chooses."""
_TRAINING = 4
"""How many times its weights a model needs to train: gradients, two moments, best weights."""
_SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff]")
"""Letters of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana, Han."""


def run_baselines(request: Request, tell: Tell) -> None:
    """Write each baseline's folder, and tell what holds for all cells of the model.

    That is precision and pooling.
    """
    folder, observer = Path(request["folder"]), TellingObserver(tell)
    config = run_config_from(request["config"])
    cache = shared_data(request)
    with telling_waits(observer), phase("baseline"):
        if config.data.is_cross_validated:
            settled = _of_folds(config, request, folder, observer, cache)
        else:
            prepared = prepare(config, observer.working, cache)
            settled = _measure(prepared, request, folder, observer)
    tell("settled", **settled)


def _measure(
    prepared: RunPlan, request: Request, folder: Path, observer: Observer
) -> dict[str, Any]:
    """Each baseline on one test split; returns what is settled."""
    if not request.get("of_model_alone", False):
        _majority(prepared, folder)
        _linear_models(prepared, folder, request.get("static"), observer)
    return _untouched(prepared, folder, request.get("model_label"), observer)


def _of_folds(
    config: RunConfig, request: Request, folder: Path, observer: Observer, cache: DataCache
) -> dict[str, Any]:
    """Each baseline on every fold, in `folds/N/NAME`, and their answers scored together."""
    settled = []
    for number, one in enumerate(fold_runs(config)):
        prepared = prepare(one, observer.working, cache)
        settled.append(_measure(prepared, request, folder / FOLDS / str(number), observer))
    for name in {path.name for path in folder.glob(f"{FOLDS}/0/*")}:
        folds = [Run(folder / FOLDS / str(number) / name) for number in range(len(settled))]
        first = folds[0].results
        if all(fold.results for fold in folds):
            rows = pooled_rows(folds)
            test = pooled_test(rows, folds, prepared.data.facts.task)
            whole = Run(folder / name)
            whole.folder.mkdir(parents=True, exist_ok=True)
            whole.write_lines("predictions.jsonl", rows)
            whole.write("results.json", {**first, "test": test})
    return {**settled[0], "memory_bytes": max(one["memory_bytes"] for one in settled)}


def _linear_models(
    prepared: RunPlan, folder: Path, static: StaticSource | None, observer: Observer
) -> None:
    """Those that a linear model is fitted for, where a linear model can answer."""
    linear = prepared.problem.linear
    if linear is None or linear.estimator(1.0) is None:
        return
    observer.working("counting words", 0, 1)
    _tfidf(prepared, folder)
    if static is not None:
        observer.working("averaging static embeddings", 0, 1)
        _static(prepared, folder, static)


def _write(
    folder: Path,
    kind: str,
    results: dict[str, Any],
    rows: list[Mapping[str, object]],
    model: str | None = None,
) -> None:
    name = kind if model is None else f"{kind}{BESIDE}{model}"
    run = Run(folder / slug_of(name))
    run.folder.mkdir(parents=True, exist_ok=True)
    run.write_lines("predictions.jsonl", rows)
    run.write("results.json", {**results, "name": name, "model": model})


def _majority(prepared: RunPlan, folder: Path) -> None:
    """The majority or mean baseline, which ignores the text; some tasks have none."""
    problem, examples = prepared.problem, prepared.examples
    train, test = examples["train"].targets, examples["test"].targets
    assert train is not None and test is not None
    scores = problem.scorer.majority(train, test)
    if scores:
        _write(folder, MAJORITY, {"test": scores}, [])


def _untouched(
    prepared: RunPlan, folder: Path, model: str | None, observer: Observer
) -> dict[str, Any]:
    """The untuned model, its new head untrained; `model` is its name among several."""
    tuned = load_session(prepared, observer)
    tuned.model.eval()
    targets = tuned.prepared.examples["test"].targets
    assert targets is not None
    outputs = tuned.predict("test", tuned.precision_in_use, observer)
    scores = tuned.problem.scorer.score(outputs, targets, intervals=True)
    rows = list(tuned.problem.presenter.rows(outputs, tuned.prepared.examples["test"], {}))
    _write(folder, UNTOUCHED, {"test": scores}, rows, model)
    weights = sum(p.numel() * p.element_size() for p in tuned.model.parameters())
    return {
        "precision": tuned.precision,
        "pooling": tuned.config.task.pooling,
        "device": tuned.device.type,
        "memory_bytes": process_memory.peak() + _TRAINING * weights,
    }


# --- Fixed features and a linear model ------------------------------------------


@dataclass(frozen=True)
class LinearBaseline:
    """A linear model of fixed features, as far as a comparison shows it."""

    outputs_NK: np.ndarray
    """Of the test split."""
    validation_NK: np.ndarray
    """Of the validation split, by which a decision rule is settled as it is for a strategy."""
    train_seconds: float
    artifact_bytes: int
    features: str


def _tfidf(prepared: RunPlan, folder: Path) -> None:
    """That baseline, fitted once for all comparisons on the same data."""
    found = kept_answers().once([TFIDF, *_follows_from(prepared)], lambda: count_words(prepared))
    _write_linear(prepared, folder, TFIDF, found)


def _static(prepared: RunPlan, folder: Path, source: StaticSource) -> None:
    """Static embeddings likewise: once for the same data and the same vectors."""
    follows_from = [STATIC, static_embedding.source_identity(source), *_follows_from(prepared)]
    found = kept_answers().once(follows_from, lambda: embed_statically(prepared, source))
    _write_linear(prepared, folder, STATIC, found)


def _follows_from(prepared: RunPlan) -> list[object]:
    """What a linear model follows from, besides how its features are made."""
    versions = code_version(), metadata.version("scikit-learn")
    return [versions, prepared.problem.to_dict(), prepared.metric, prepared.examples]


def _write_linear(prepared: RunPlan, folder: Path, name: str, found: LinearBaseline) -> None:
    problem, examples = prepared.problem, prepared.examples
    validation = found.validation_NK, _not_none(examples["validation"].targets)
    problem = problem.measured(lambda split: validation)
    results = {
        "test": problem.scorer.score(
            found.outputs_NK, _not_none(examples["test"].targets), intervals=True
        ),
        "cost": {"train_seconds": found.train_seconds, "artifact_bytes": found.artifact_bytes},
        "features": found.features,
    }
    rows = problem.presenter.rows(found.outputs_NK, examples["test"], {})
    _write(folder, name, results, list(rows))


def embed_statically(prepared: RunPlan, source: StaticSource) -> LinearBaseline:
    """The mean static embedding of each text's tokens, and a (logistic) regression."""
    started = time.perf_counter()
    features = static_embedding.embed(source, _texts(prepared))
    told = f"{source['name']}, {features['train'].shape[1]:,}"
    size, strengths = static_embedding.size(source), static_embedding.STRENGTHS
    return _fit_linear(prepared, features, strengths, started, size, told)


def count_words(prepared: RunPlan) -> LinearBaseline:
    """TF-IDF of words and pairs of words, or of characters, and a (logistic) regression."""
    started = time.perf_counter()
    texts = _texts(prepared)
    vectorizer = word_vectorizer(texts["train"])
    features = {"train": vectorizer.fit_transform(texts["train"])}
    features |= {split: vectorizer.transform(texts[split]) for split in ("validation", "test")}
    kind = "words" if vectorizer.analyzer == "word" else "characters"
    told = f"{kind}, {features['train'].shape[1]:,}"
    size = sum(len(word.encode()) for word in vectorizer.vocabulary_)
    return _fit_linear(prepared, features, _STRENGTHS, started, size, told)


def _texts(prepared: RunPlan) -> dict[str, list[str]]:
    return {split: part.records.texts() for split, part in prepared.examples.items()}


def _fit_linear(
    prepared: RunPlan,
    features: dict[str, Any],
    strengths: Sequence[float],
    started: float,
    size: int,
    told: str,
) -> LinearBaseline:
    """A linear model of these features, which were begun to be made at `started`.

    The strength of its regularisation is the one that scores best on the validation split. `size`
    is that of what makes the features, in bytes; `told` is what they are.
    """
    problem, linear = prepared.problem, prepared.problem.linear
    assert linear is not None
    targets = {split: part.targets for split, part in prepared.examples.items()}
    model = _choose(problem.scorer, linear, features, targets, prepared.metric, strengths)
    outputs, validation = (
        np.asarray(linear.estimator_outputs(model, features[split]))
        for split in ("test", "validation")
    )
    coefficients = sum(part.coef_.nbytes for part in _linear(model))
    seconds = time.perf_counter() - started
    return LinearBaseline(outputs, validation, seconds, int(coefficients + size), told)


def word_vectorizer(texts: list[str]) -> TfidfVectorizer:
    """Counts of words and of pairs of words, or of one to three characters, for such texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    characters = spaceless(texts)
    return TfidfVectorizer(
        analyzer="char" if characters else "word",
        ngram_range=(1, 3) if characters else (1, 2),
        token_pattern=None if characters else r"(?u)\b\w+\b",
        sublinear_tf=True,
        min_df=1 if len(texts) < 1000 else 2,
    )


def spaceless(texts: list[str]) -> bool:
    """Whether most letters are of scripts that put no spaces between words."""
    text = "".join(texts)
    return 2 * len(_SPACELESS.findall(text)) > sum(character.isalpha() for character in text)


def _choose(
    scorer: Scorer,
    linear: LinearReadout,
    features: dict[str, Any],
    targets: dict[str, Any],
    metric: str,
    strengths: Sequence[float],
) -> Any:
    best: tuple[float, Any] | None = None
    for strength in strengths:
        fitted = linear.estimator_targets(targets["train"])
        estimator = linear.estimator(strength)
        assert estimator is not None
        model = estimator.fit(features["train"], fitted)
        outputs = linear.estimator_outputs(model, features["validation"])
        score = float(scorer.score(outputs, targets["validation"])[metric])
        if best is None or is_better(metric, score, best[0]):
            best = score, model
    assert best is not None
    return best[1]


def _linear(model: Any) -> list[Any]:
    return list(getattr(model, "estimators_", [model]))


def _not_none(targets: np.ndarray | None) -> np.ndarray:
    assert targets is not None
    return targets
