"""RL training loop: roll out, score, update, evaluate; roll back when training diverges."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from welltuned.errors import Fault, RunFailed
from welltuned.rlhf.actors.base import DivergedError, Rollout
from welltuned.rlhf.actors.classifier import ClassifierActor
from welltuned.rlhf.defaults import batches_of
from welltuned.rlhf.learner import Learner, Stats, require_reference, step
from welltuned.rlhf.policy_eval import look
from welltuned.rlhf.prompt_splits import PromptSplits
from welltuned.rlhf.reward_set import RewardSet
from welltuned.rlhf.safeguards import Safeguards
from welltuned.runs import Run
from welltuned.runs.checkpoints import (
    keep_only,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from welltuned.runs.phases import Phase, phase
from welltuned.schema.messages import Message
from welltuned.strategies import Progress
from welltuned.training.observer import Observer

_SAMPLES = 12
"""Responses kept of every look."""


@dataclass
class LoopTotals:
    """What happened."""

    batches: int = 0
    episodes: int = 0
    tokens: int = 0
    optimizer_steps: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """By what they were spent on: rollout, reward, learning, looking."""
    exploded: Message | None = None
    """What exploded."""
    went_back_to: int | None = None
    """The batch whose weights were kept then."""
    validation: dict[str, Any] = field(default_factory=dict)
    """The last look."""

    @contextmanager
    def timed(self, what: Phase) -> Iterator[None]:
        started = time.perf_counter()
        try:
            with phase(what):
                yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started


@dataclass
class Loop:
    """Everything the loop needs while it runs."""

    learner: Learner
    asks: PromptSplits
    judges: RewardSet
    run: Run
    observer: Observer
    course: LoopTotals = field(default_factory=LoopTotals)

    def train(self) -> LoopTotals:
        """All batches, or as many as went well.

        Raises `RunFailed` when it explodes before there is anything to go back to.
        """
        algorithm = self.learner.algorithm
        assert algorithm.max_kl != "auto" and algorithm.eval_steps != "auto"
        total, guard = batches_of(algorithm), Safeguards(algorithm.max_kl)
        self._look(0)
        for number, asked in enumerate(self.asks.batches(algorithm), 1):
            self._advance((number - 1) / total, number)
            try:
                stats = self._batch(asked)
                self._record(number, total, stats)
                trouble = guard.trouble(stats)
                if trouble is None and (number % algorithm.eval_steps == 0 or number == total):
                    self._look(number)
            except DivergedError as error:
                trouble = error.faults[0]
            if trouble is not None:
                self._go_back(number, trouble)
                break
        return self.course

    def _advance(self, fraction: float, number: int) -> None:
        """Let the strategy change what trains, as it does in every other training."""
        policy = self.learner.actor.policy
        prompts = self.course.episodes / self.learner.algorithm.samples_per_prompt
        passes = prompts / len(self.asks.train)
        progress = Progress(fraction, passes)
        change = policy.strategy.advance(policy.model, policy.anatomy, progress)
        if change is not None:
            row = {"step": number, "split": "train", "change": change}
            self.run.append("metrics.jsonl", row)
            self.observer.noted(f"batch {number}: {change}")

    def _batch(self, asked: Any) -> Stats:
        course = self.course
        with course.timed("rollout"):
            rollout = self.learner.rollout(asked)
        if course.batches == 0:
            require_reference(self.learner.actor, rollout)
        with course.timed("reward"):
            scores = self._scores(rollout)
        with course.timed("learning"):
            stats = step(self.learner, rollout, scores)
        course.batches += 1
        course.episodes += len(rollout)
        course.tokens += stats.tokens
        course.optimizer_steps += stats.optimizer_steps
        return stats

    def _scores(self, rollout: Rollout) -> np.ndarray:
        """The reward of each response, or of every label (B, K) where all are scored."""
        actor = self.learner.actor
        if self.learner.algorithm.scores_every_action:
            assert isinstance(actor, ClassifierActor)
            return self.judges.reward.of_all(rollout.prompts, actor.problem.labels)
        return self.judges.reward(rollout.prompts, rollout.responses)

    def _record(self, number: int, total: int, stats: Stats) -> None:
        row = {"step": number, "split": "train", "episodes": self.course.episodes}
        self.run.append("metrics.jsonl", {**row, **stats.as_dict()})
        self.run.set_status("running", number)
        told = f"reward {stats.reward:.3f} · KL {stats.kl:.3f} · entropy {stats.entropy:.3f}"
        self.observer.advanced(self.learner.algorithm.title, number, total, told)

    # --- Looking, keeping, going back ---

    def _look(self, number: int) -> None:
        """Answer the validation prompts, note what is thought of the answers, keep the weights."""
        with self.course.timed("looking"):
            found = look(
                self.learner.actor, self.asks.validation, self.judges.reward, self.judges.second
            )
        scores = found.scores()
        self.course.validation = scores
        self.run.append("metrics.jsonl", {"step": number, "split": "validation", **scores})
        for row in found.rows()[:_SAMPLES]:
            self.run.append("samples.jsonl", {"step": number, **row})
        if number:
            state = {"validation": scores, "kl_coef": self.learner.kl.value}
            kept = save_checkpoint(self.run.checkpoints, number, self._weights(), state)
            keep_only(self.run.checkpoints, kept)

    def _weights(self) -> dict[str, torch.nn.Parameter]:
        """What trains at any time, by name; the value head's names begin with `value.`"""
        actor = self.learner.actor
        trains = {id(weight) for group in self.learner.groups for weight in group.parameters}
        named = actor.model.named_parameters()
        weights = {name: weight for name, weight in named if id(weight) in trains}
        return weights | {f"value.{name}": w for name, w in actor.value.named_parameters()}

    def _go_back(self, number: int, trouble: Fault) -> None:
        """To the weights of the last look, after which nothing had exploded."""
        folder = newest_checkpoint(self.run.checkpoints)
        if folder is None:
            raise RunFailed(
                Fault(
                    "rlhf.exploded",
                    "training diverged at batch {number}, before its first evaluation: {trouble}",
                    None,
                    "lower rl.learning_rate, raise rl.kl_coef, or look at the reward",
                    number=number,
                    trouble=trouble.what,
                )
            )
        weights, state = load_checkpoint(folder)
        parameters = self._weights()
        with torch.no_grad():
            for name, tensor in weights.items():
                parameters[name].copy_(tensor)
        self.course.exploded, self.course.went_back_to = trouble.as_message(), int(state["step"])
        self.course.validation = state["validation"]
        self.observer.noted(
            f"batch {number} of {batches_of(self.learner.algorithm)}: stopped: {trouble.what}; "
            f"the weights of batch {state['step']} are kept"
        )
