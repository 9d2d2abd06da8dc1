"""Baselines that need no tuning: majority class, the untuned model, TF-IDF.

A neural network that is no better than word counts and a linear model is not needed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from welltuned.config import run_config_from
from welltuned.data.kept_values import kept_answers
from welltuned.data.records import Records
from welltuned.experiments.comparison.worker.protocol import Request
from welltuned.experiments.executors.shared_data import shared_data
from welltuned.experiments.executors.telling import TellingObserver
from welltuned.metrics import is_better
from welltuned.runs import Run, process_memory
from welltuned.runs.code_version import code_version
from welltuned.runs.phases import phase
from welltuned.tasks import LinearReadout, Scorer
from welltuned.training.observer import Observer
from welltuned.training.prepare import RunPlan, prepare
from welltuned.training.session import load_session
from welltuned.training.waits import telling_waits

if TYPE_CHECKING:
    from welltuned.experiments.executors.process import Tell

MAJORITY, UNTOUCHED, TFIDF = "majority", "untouched", "tf-idf"
_STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Inverse strengths of the linear model's regularisation; the validation split chooses."""
_TRAINING = 4
"""How many times its weights a model needs to train: gradients, two moments, best weights."""
_SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff]")
"""Letters of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana, Han."""


def run_baselines(request: Request, tell: Tell) -> None:
    """Write each baseline's folder, and tell what holds for all cells: precision and pooling."""
    folder, observer = Path(request["folder"]), TellingObserver(tell)
    config = run_config_from(request["config"])
    with telling_waits(observer), phase("baseline"):
        prepared = prepare(config, observer.working, shared_data(request))
        _majority(prepared, folder)
        linear = prepared.problem.linear
        if linear is not None and linear.estimator(1.0) is not None:
            observer.working("counting words", 0, 1)
            _tfidf(prepared, folder)
        settled = _untouched(prepared, folder, observer)
    tell("settled", **settled)


def _write(
    folder: Path, name: str, results: dict[str, Any], rows: list[Mapping[str, object]]
) -> None:
    run = Run(folder / name)
    run.folder.mkdir(parents=True, exist_ok=True)
    run.write_lines("predictions.jsonl", rows)
    run.write("results.json", {**results, "name": name})


def _majority(prepared: RunPlan, folder: Path) -> None:
    """The majority or mean baseline, which ignores the text; some tasks have none."""
    problem, examples = prepared.problem, prepared.examples
    train, test = examples["train"].targets, examples["test"].targets
    assert train is not None and test is not None
    scores = problem.scorer.majority(train, test)
    if scores:
        _write(folder, MAJORITY, {"test": scores}, [])


def _untouched(prepared: RunPlan, folder: Path, observer: Observer) -> dict[str, Any]:
    """The untuned model, its new head untrained."""
    tuned = load_session(prepared, observer)
    tuned.model.eval()
    targets = tuned.prepared.examples["test"].targets
    assert targets is not None
    outputs = tuned.predict("test", tuned.precision_in_use, observer)
    scores = tuned.problem.scorer.score(outputs, targets, intervals=True)
    rows = list(tuned.problem.presenter.rows(outputs, tuned.prepared.examples["test"], {}))
    _write(folder, UNTOUCHED, {"test": scores}, rows)
    weights = sum(p.numel() * p.element_size() for p in tuned.model.parameters())
    return {
        "precision": tuned.precision,
        "pooling": tuned.config.task.pooling,
        "device": tuned.device.type,
        "memory_bytes": process_memory.peak() + _TRAINING * weights,
    }


# --- TF-IDF and a linear model --------------------------------------------------


@dataclass(frozen=True)
class WordCounts:
    """A linear model of word counts, as far as a comparison shows it."""

    outputs_NK: np.ndarray
    """Of the test split."""
    train_seconds: float
    artifact_bytes: int
    features: str


def _tfidf(prepared: RunPlan, folder: Path) -> None:
    """That baseline, fitted once for all comparisons on the same data."""
    problem, examples = prepared.problem, prepared.examples
    versions = code_version(), metadata.version("scikit-learn")
    known = [TFIDF, versions, problem.to_dict(), prepared.metric, examples]
    found = kept_answers().once(known, lambda: count_words(prepared))
    results = {
        "test": problem.scorer.score(
            found.outputs_NK, _not_none(examples["test"].targets), intervals=True
        ),
        "cost": {"train_seconds": found.train_seconds, "artifact_bytes": found.artifact_bytes},
        "features": found.features,
    }
    rows = problem.presenter.rows(found.outputs_NK, examples["test"], {})
    _write(folder, TFIDF, results, list(rows))


def count_words(prepared: RunPlan) -> WordCounts:
    """TF-IDF of words and pairs of words, or of characters, and a (logistic) regression.

    The strength of its regularisation is the one that scores best on the validation split.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    problem, examples = prepared.problem, prepared.examples
    linear = problem.linear
    assert linear is not None
    started = time.perf_counter()
    texts = {split: _texts(part.records) for split, part in examples.items()}
    characters = spaceless(texts["train"])
    vectorizer = TfidfVectorizer(
        analyzer="char" if characters else "word",
        ngram_range=(1, 3) if characters else (1, 2),
        token_pattern=None if characters else r"(?u)\b\w+\b",
        sublinear_tf=True,
        min_df=1 if len(texts["train"]) < 1000 else 2,
    )
    features = {"train": vectorizer.fit_transform(texts["train"])}
    features |= {split: vectorizer.transform(texts[split]) for split in ("validation", "test")}
    targets = {split: part.targets for split, part in examples.items()}
    model = _choose(problem.scorer, linear, features, targets, prepared.metric)
    outputs = np.asarray(linear.estimator_outputs(model, features["test"]))
    coefficients = sum(part.coef_.nbytes for part in _linear(model))
    words = sum(len(word.encode()) for word in vectorizer.vocabulary_)
    return WordCounts(
        outputs,
        time.perf_counter() - started,
        int(coefficients + words),
        f"{'characters' if characters else 'words'}, {features['train'].shape[1]:,}",
    )


def spaceless(texts: list[str]) -> bool:
    """Whether most letters are of scripts that put no spaces between words."""
    text = "".join(texts)
    return 2 * len(_SPACELESS.findall(text)) > sum(character.isalpha() for character in text)


def _texts(records: Records) -> list[str]:
    return [
        "\n".join(str(records[role][i]) for role in records.input_roles)
        for i in range(len(records))
    ]


def _choose(
    scorer: Scorer,
    linear: LinearReadout,
    features: dict[str, Any],
    targets: dict[str, Any],
    metric: str,
) -> Any:
    best: tuple[float, Any] | None = None
    for strength in _STRENGTHS:
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
