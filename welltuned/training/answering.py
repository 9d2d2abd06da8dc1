"""Answers in free text to a split: to its first examples, or to as many as there is time for.

Generating takes far longer than scoring what is given, so it has a budget. What does not fit is
left out at random: examples are answered in an order that is drawn once for all runs, in rounds
that grow, and after each the time of an answer is known better. So two runs of the same data
answer the same examples, one perhaps more of them; and where all fit, the clock decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from welltuned.engines.device import autocast
from welltuned.evaluation.config import EvaluationConfig
from welltuned.evaluation.predict import ANSWERED_AT_ONCE
from welltuned.runs.phases import phase
from welltuned.runs.results_schema import Answered
from welltuned.schema.units import duration_text
from welltuned.training.observer import Observer
from welltuned.training.session.session import LoadedModel

_SHARE, _LEAST = 0.25, 60.0
"""auto: such a part of the seconds of training, and no fewer seconds than these."""
_GROWTH = 4
"""A round has at most so many times as many examples as all before it."""


@dataclass(frozen=True)
class Answers:
    """What was said to which examples of a split, and what it took."""

    by_row: Mapping[int, str] = field(default_factory=dict)
    split_size: int = 0
    seconds: float = 0.0
    allowed_seconds: float | None = None
    """None where the config has the number of examples."""

    def record(self) -> Answered:
        """For results.json: nothing where the config has the number."""
        if self.allowed_seconds is None:
            return {}
        return {
            "answered": {
                "number": len(self.by_row),
                "of": self.split_size,
                "seconds": self.seconds,
                "allowed_seconds": self.allowed_seconds,
            }
        }


def allowed_seconds(config: EvaluationConfig, train_seconds: float) -> float:
    """How long the answers to a split may take, after a training of so many seconds."""
    asked = config.answering_time
    if asked == "auto":
        return max(_LEAST, _SHARE * train_seconds)
    return float(asked[:-1]) / 100 * train_seconds if isinstance(asked, str) else asked


def answer_split(split: str, session: LoadedModel, observer: Observer, seconds: float) -> Answers:
    """The answers of the model as it is now; none where it writes none.

    `seconds`: how long they may take, where the config does not have their number.
    """
    responder, examples = session.problem.responder, session.prepared.examples[split]
    if responder is None:
        return Answers()
    with phase("generate"), answering(session):
        if responder.number == "auto":
            order = np.random.default_rng(0).permutation(len(examples)).tolist()
            began = time.monotonic()
            texts = answers_in_time(_asking(split, session, observer), order, seconds)
            return Answers(texts, len(examples), time.monotonic() - began, seconds)
        rows = list(range(min(responder.number, len(examples))))
        texts = dict(zip(rows, _asking(split, session, observer)(rows, 0), strict=True))
        return Answers(texts, len(examples))


def answers_in_time(
    ask: Callable[[Sequence[int], int], Sequence[str]],
    order: Sequence[int],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> dict[int, str]:
    """The answers to as many examples as there is time for, by row, in the order of rows.

    `ask` answers some rows and is told how many are answered. The first batch always is.
    """
    began, said = clock(), dict[int, str]()
    fits = ANSWERED_AT_ONCE
    while rows := order[len(said) : len(said) + fits]:
        said |= dict(zip(rows, ask(rows, len(said)), strict=True))
        spent = clock() - began
        left = (seconds - spent) * len(said) / max(spent, 1e-9)
        fits = max(0, min(int(left), _GROWTH * len(said)))
    return dict(sorted(said.items()))


def _asking(
    split: str, session: LoadedModel, observer: Observer
) -> Callable[[Sequence[int], int], Sequence[str]]:
    """The model's answers to some examples, by row."""
    prepared, responder = session.prepared, session.problem.responder
    assert responder is not None

    def ask(rows: Sequence[int], before: int) -> Sequence[str]:
        planned = before + len(rows)
        return responder.respond(
            session.model,
            prepared.tokenizer,
            prepared.examples[split].records.take(rows),
            prepared.max_length,
            ANSWERED_AT_ONCE,
            lambda done: observer.working("writing answers", before + done, planned),
        )

    return ask


@contextmanager
def answering(session: LoadedModel) -> Iterator[None]:
    """Context in which text is generated: by merged weights, in the artifact's precision."""
    merged = session.config.strategy.merged_for_inference(session.model)
    with merged, autocast(session.precision_in_use, session.device):
        yield


def tell_of_some(answers: Answers, split: str, observer: Observer) -> None:
    """How many of the examples were answered, and why not all of them, where that is so."""
    if not 0 < len(answers.by_row) < answers.split_size:
        return
    number = f"{len(answers.by_row):,} of {answers.split_size:,} {split} examples"
    if answers.allowed_seconds is None:
        observer.noted(f"answered: the first {number} (task.scored_examples)")
    else:
        allowed = duration_text(answers.allowed_seconds)
        observer.noted(f"answered: {number}, drawn at random, in {allowed} (answering_time)")
