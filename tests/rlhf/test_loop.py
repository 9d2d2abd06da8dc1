"""The loop: what it notes, what it keeps, and where it goes back to when training diverges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from acting import classifier_actor, policy_of, texts_of
from faults import fails
from tabular import ppo
from welltuned.errors import Fault
from welltuned.rlhf.actors.base import DivergedError
from welltuned.rlhf.learner import Learner, Stats, step
from welltuned.rlhf.loop import Loop, LoopTotals
from welltuned.runs import Run
from welltuned.schema.messages import render_message
from welltuned.training.observer import Observer

CONFIG = ppo(
    learning_rate=1e-2, total_episodes=24, batch_size=4, eval_steps=2, max_kl=50.0, kl_coef=0.0
)


class Heard(Observer):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def noted(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def made(classified: Callable[..., Run], sentiment: str, tmp_path: Path) -> Iterator[Loop]:
    """A loop over six batches of four texts, whose reward is the length of the label's name."""
    policy = policy_of(classified("lora"))
    actor, texts = classifier_actor(policy), texts_of(policy, sentiment)
    parts = [texts.take([i % 12 for i in range(4 * n, 4 * n + 4)]) for n in range(6)]
    asks: Any = SimpleNamespace(
        train=texts, validation=texts.take(range(4)), batches=lambda config: iter(parts)
    )

    def reward(prompts: list[str], responses: list[str], columns: Any) -> np.ndarray:
        return np.array([float(len(response)) for response in responses])

    judges: Any = SimpleNamespace(reward=reward, second=None)
    run = Run(tmp_path)
    yield Loop(Learner.of(actor, CONFIG, 6), asks, judges, run, Heard())


def rows(loop: Loop, split: str) -> list[dict[str, Any]]:
    return [row for row in loop.run.read_lines("metrics.jsonl") if row["split"] == split]


def diverging(monkeypatch: pytest.MonkeyPatch, at: int, how: Callable[[Stats], Stats]) -> None:
    """Let the statistics of one batch be others than they are."""
    number = iter(range(1, 100))

    def stepped(*args: Any) -> Stats:
        stats = step(*args)
        return how(stats) if next(number) == at else stats

    monkeypatch.setattr("welltuned.rlhf.loop.step", stepped)


def raise_(stats: Stats) -> Stats:
    raise DivergedError(Fault("rlhf.probabilities_not_finite", "they are not finite"))


def weights(loop: Loop) -> list[torch.Tensor]:
    return [w.detach().clone() for group in loop.learner.groups for w in group.parameters]


def equal(left: Iterable[torch.Tensor], right: Iterable[torch.Tensor]) -> bool:
    return all(map(torch.equal, left, right))


def test_every_batch_and_every_look_is_noted(made: Loop) -> None:
    totals = made.train()
    assert [row["step"] for row in rows(made, "train")] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows(made, "validation")] == [0, 2, 4, 6]
    assert (totals.batches, totals.episodes, totals.exploded) == (6, 24, None)
    assert [row["episodes"] for row in rows(made, "train")][-1] == 24
    assert set(totals.seconds) == {"rollout", "reward", "learning", "looking"}
    last = rows(made, "validation")[-1]
    assert {**totals.validation, "step": 6, "split": "validation"} == last
    samples = made.run.read_lines("samples.jsonl")
    assert len(list(samples)) == 4 * 4, "every response of four looks"


def test_it_learns_what_is_rewarded(made: Loop) -> None:
    made.learner.algorithm = CONFIG.model_copy(update={"num_ppo_epochs": 4})
    made.train()
    first, *_, last = rows(made, "validation")
    assert last["reward"] > first["reward"] or first["reward"] == len("negative")


def test_a_last_batch_is_looked_at_whatever_its_number(made: Loop) -> None:
    made.learner.algorithm = CONFIG.model_copy(update={"eval_steps": 4})
    made.train()
    assert [row["step"] for row in rows(made, "validation")] == [0, 4, 6]


@pytest.mark.parametrize(
    "how, why",
    [(raise_, "not finite"), (lambda stats: replace(stats, kl=80.0, kl_error=0.0), "50")],
    ids=["raised", "too far from the reference"],
)
def test_it_goes_back_to_the_last_look(
    made: Loop, monkeypatch: pytest.MonkeyPatch, how: Callable[[Stats], Stats], why: str
) -> None:
    kept: list[list[torch.Tensor]] = []
    real = made._look

    def look(number: int) -> None:
        real(number)
        kept.append(weights(made))

    monkeypatch.setattr(made, "_look", look)
    diverging(monkeypatch, 5, how)
    totals = made.train()
    assert totals.went_back_to == 4 and totals.exploded is not None
    assert why in render_message(totals.exploded)
    assert equal(weights(made), kept[-1]) and not equal(kept[-1], kept[-2])
    assert totals.validation["reward"] == rows(made, "validation")[-1]["reward"]
    assert isinstance(made.observer, Heard) and "batch 4 are kept" in made.observer.notes[-1]


def test_with_nothing_to_go_back_to_it_fails(made: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    diverging(monkeypatch, 1, raise_)
    with fails("rlhf.exploded", number=1, trouble="they are not finite"):
        made.train()


def test_time_adds_up_by_what_it_was_spent_on_also_when_it_fails() -> None:
    totals = LoopTotals()
    for _ in range(2):
        with pytest.raises(ValueError), totals.timed("reward"):
            raise ValueError
    once = totals.seconds["reward"]
    assert set(totals.seconds) == {"reward"} and once > 0
