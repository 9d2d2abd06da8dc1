"""Free text in time: what is answered, what is left out, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from support import tune
from welltuned.evaluation.config import EvaluationConfig
from welltuned.training.answering import Answers, allowed_seconds, answers_in_time, tell_of_some
from welltuned.training.observer import Observer


class Slow:
    """A model that needs so many seconds for an answer, and its clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0
        self.rounds: list[int] = []

    def ask(self, rows: Sequence[int], before: int) -> list[str]:
        assert before == sum(self.rounds)
        self.rounds.append(len(rows))
        self.now += self.seconds * len(rows)
        return [f"answer {row}" for row in rows]

    def within(self, seconds: float, order: Sequence[int]) -> dict[int, str]:
        return answers_in_time(self.ask, order, seconds, lambda: self.now)


ORDER = np.random.default_rng(0).permutation(1000).tolist()


@pytest.mark.parametrize("each", [0.05, 0.4, 1.0])
def test_as_many_are_answered_as_there_is_time_for(each: float) -> None:
    model = Slow(each)
    said = model.within(60.0, ORDER)
    assert model.now == pytest.approx(min(60.0, 1000 * each), abs=2 * each)
    assert set(said) == set(ORDER[: len(said)]), "the first of the drawn order, whatever the time"
    assert list(said) == sorted(said) and all(said[row] == f"answer {row}" for row in said)


def test_rounds_grow_from_one_batch_and_the_first_is_always_answered() -> None:
    model = Slow(0.001)
    assert len(model.within(60.0, ORDER)) == 1000 and model.rounds[:3] == [16, 64, 320]
    late = Slow(9.0)
    assert len(late.within(1.0, ORDER)) == 16
    assert Slow(1.0).within(9.0, []) == {}


def test_time_is_a_share_of_training_or_seconds() -> None:
    def allowed(value: object, seconds: float = 1000.0) -> float:
        return allowed_seconds(EvaluationConfig.model_validate({"answering_time": value}), seconds)

    assert (allowed("auto"), allowed("auto", 4.0)) == (250.0, 60.0)
    assert (allowed("2%"), allowed("90s"), allowed("2m")) == (20.0, 90.0, 120.0)


@pytest.mark.parametrize("wrong", ["soon", "-5%", "0s", 0])
def test_other_words_for_time_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError):
        EvaluationConfig.model_validate({"answering_time": wrong})


def test_it_is_said_how_many_were_answered() -> None:
    heard: list[str] = []

    class Listening(Observer):
        def noted(self, text: str) -> None:
            heard.append(text)

    three = dict.fromkeys(range(3), "")
    tell_of_some(Answers(three, 1319, 61.0, 60.0), "test", Listening())
    tell_of_some(Answers(three, 10), "test", Listening())
    tell_of_some(Answers(three, 3, 1.0, 60.0), "test", Listening())
    assert heard == [
        "answered: 3 of 1,319 test examples, drawn at random, in 1 min 0 s (answering_time)",
        "answered: the first 3 of 10 test examples (task.scored_examples)",
    ]


def test_a_run_answers_a_drawn_part_and_says_so(
    causal: Any, instructions: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time at all: the first batch of the drawn order, before and after alike."""
    from welltuned.cli.console.run import results_lines
    from welltuned.training import answering

    monkeypatch.setattr(answering, "ANSWERED_AT_ONCE", 2)
    run = tune(
        causal("llama"),
        instructions,
        {"type": "full"},
        tmp_path / "run",
        task={"type": "generation", "max_length": 64, "decoding": {"max_new_tokens": 3}},
        evaluation={"answering_time": "0.001s", "retention": "none"},
    )
    rows = list(run.read_lines("predictions.jsonl"))
    answered = [i for i, row in enumerate(rows) if "response" in row]
    found = run.results["answered"]
    assert sorted(np.random.default_rng(0).permutation(len(rows))[:2]) == answered
    assert (found["number"], found["of"], found["untrained"]) == (2, len(rows), 2)
    assert all("before" in rows[i] and "reference" in rows[i] for i in answered)
    (line,) = [line for line in results_lines(run) if line.startswith("answered")]
    assert f"2 of {len(rows)} test examples, drawn at random" in line
    assert "drawn at random" in run.report.read_text(encoding="utf-8")
