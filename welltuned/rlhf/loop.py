"""RL training loop: roll out, score, update, evaluate; roll back when training diverges."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from welltuned.engines.config import TrainingConfig
from welltuned.engines.save_schedule import SaveSchedule
from welltuned.engines.snapshot import Snapshot, restore_weights
from welltuned.errors import Fault, RunFailed, Stopped
from welltuned.rlhf.actors.base import DivergedError, Rollout
from welltuned.rlhf.actors.classifier import ClassifierActor
from welltuned.rlhf.defaults import batches_of
from welltuned.rlhf.learner import Learner, Stats, require_reference, step
from welltuned.rlhf.policy_eval import look
from welltuned.rlhf.prompt_splits import PromptSplits
from welltuned.rlhf.reward_set import RewardSet
from welltuned.rlhf.rewards.functions import RewardError
from welltuned.rlhf.safeguards import Safeguards
from welltuned.runs import Run
from welltuned.runs.checkpoints import (
    keep_only,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from welltuned.runs.phases import CLOCK, Phase, phase
from welltuned.runs.stopping import asked_to_stop, at_boundaries, at_once, stop_now
from welltuned.schema.messages import Message
from welltuned.strategies import Progress
from welltuned.training.observer import Line, Observer
from welltuned.training.resume import save_snapshot

_WRITTEN = "metrics.jsonl", "samples.jsonl"
"""What grows line by line while it runs."""
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
    start: Snapshot | None = None
    """What it goes on from, where it was interrupted."""
    tell: Callable[[Line], object] = lambda row: None
    """Hears of every line of metrics.jsonl."""
    course: LoopTotals = field(default_factory=LoopTotals)

    def __post_init__(self) -> None:
        max_kl = self.learner.algorithm.max_kl
        assert max_kl != "auto"
        self._guard = Safeguards(max_kl)
        self._saves = SaveSchedule(TrainingConfig())
        self._saved = self._looked = 0
        self._progress = Progress(0.0, 0.0)

    def train(self) -> LoopTotals:
        """All batches, or as many as went well.

        Raises `RunFailed` when it explodes before there is anything to go back to.
        """
        with at_boundaries():
            taken = self._begin()
            if taken > self._looked and not self._goes_well(taken, self._look_if_due):
                return self.course
            batches = enumerate(self.asks.batches(self.learner.algorithm), 1)
            for number, asked in islice(batches, taken, None):
                if not self._goes_well(number, partial(self._learn_from, asked)):
                    break
        return self.course

    def _begin(self) -> int:
        """How many batches there were before; 0 where this is the beginning."""
        if self.start is not None:
            self._restore(self.start)
            return self.start.step
        self._look(0)
        return 0

    def _goes_well(self, number: int, work: Callable[[int], Fault | None]) -> bool:
        """Whether nothing explodes; else the weights go back to where nothing had."""
        try:
            trouble = work(number)
        except DivergedError as error:
            trouble = error.faults[0]
        if trouble is not None:
            self._go_back(number, trouble)
        return trouble is None

    def _learn_from(self, asked: Any, number: int) -> Fault | None:
        """One batch. Returns what has exploded; None where nothing has."""
        total = batches_of(self.learner.algorithm)
        self._advance((number - 1) / total, number)
        stats = self._batch(asked)
        self._record(number, total, stats)
        trouble = self._guard.trouble(stats)
        if trouble is None:
            self._save_if_due(number)
            self._look_if_due(number)
        return trouble

    def _look_if_due(self, number: int) -> None:
        algorithm = self.learner.algorithm
        assert algorithm.eval_steps != "auto"
        if number % algorithm.eval_steps == 0 or number == batches_of(algorithm):
            self._look(number)

    def _advance(self, fraction: float, number: int) -> None:
        """Let the strategy change what trains, as it does in every other training."""
        prompts = self.course.episodes / self.learner.algorithm.samples_per_prompt
        change = self._let_train(Progress(fraction, prompts / len(self.asks.train)))
        if change is not None:
            self._write({"step": number, "split": "train", "change": change})
            self.observer.noted(f"batch {number}: {change}")

    def _let_train(self, progress: Progress) -> str | None:
        self._progress, policy = progress, self.learner.actor.policy
        return policy.strategy.advance(policy.model, policy.anatomy, progress)

    def _batch(self, asked: Any) -> Stats:
        course = self.course
        with self.saved_when_stopped():
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
            labels = actor.problem.labels
            return self.judges.reward.of_all(rollout.prompts, labels, rollout.columns)
        return self.judges.reward(rollout.prompts, rollout.responses, rollout.columns)

    def _record(self, number: int, total: int, stats: Stats) -> None:
        row = {"step": number, "split": "train", "episodes": self.course.episodes}
        self._write({**row, **stats.as_dict()})
        self.run.set_status("running", number)
        told = f"reward {stats.reward:.3f} · KL {stats.kl:.3f} · entropy {stats.entropy:.3f}"
        self.observer.advanced(self.learner.algorithm.title, number, total, told)

    def _write(self, row: Line) -> None:
        self.run.append("metrics.jsonl", row)
        self.tell(row)

    # --- Saving, and going on ---

    def _save_if_due(self, number: int) -> None:
        stops = asked_to_stop() is not None
        if stops or self._saves.is_due(number):
            self._save()
        if stops:
            stop_now()

    @contextmanager
    def saved_when_stopped(self) -> Iterator[None]:
        """Around work that changes no weight, and so may be stopped, or fail, anywhere."""
        try:
            with at_once():
                yield
        except (Stopped, KeyboardInterrupt, RewardError):
            self._save()
            raise

    def _save(self) -> None:
        """Everything that the loop goes on from after the last batch, unless it has been saved.

        Nothing where it went back, for it does not go on from there.
        """
        if self.course.batches == self._saved or self.course.exploded is not None:
            return
        self._saved = self.course.batches
        learner, device = self.learner, self.learner.actor.device
        numbers = {
            "kl_coef": learner.kl.value,
            "course": asdict(self.course),
            "guard": [self._guard.first_reward, self._guard.first_deviation],
            "progress": asdict(self._progress),
            "spent": CLOCK.spent(),
            "looked": self._looked,
            "bytes": {name: self.run.size_of(name) for name in _WRITTEN},
        }
        with phase("save"), self._saves.saving():
            state = learner.weights, learner.optimizer, device
            save_snapshot(self.run, Snapshot.of(self.course.batches, *state, numbers))

    def _restore(self, snapshot: Snapshot) -> None:
        learner, numbers = self.learner, snapshot.numbers
        snapshot.put_back(learner.weights, learner.optimizer, learner.actor.device)
        learner.go_on(snapshot.step, numbers["kl_coef"])
        self.course = LoopTotals(**numbers["course"])
        self._guard.first_reward, self._guard.first_deviation = numbers["guard"]
        self._looked = numbers["looked"]
        for name, size in numbers["bytes"].items():
            self.run.cut(name, size)
        self._let_train(Progress(**numbers["progress"]))

    # --- Looking, keeping, going back ---

    def _look(self, number: int) -> None:
        """Answer the validation prompts, note what is thought of the answers, keep the weights."""
        with self.saved_when_stopped(), self.course.timed("looking"):
            found = look(
                self.learner.actor, self.asks.validation, self.judges.reward, self.judges.second
            )
        scores = found.scores()
        self.course.validation = scores
        self._write({"step": number, "split": "validation", **scores})
        for row in found.rows()[:_SAMPLES]:
            self.run.append("samples.jsonl", {"step": number, **row})
        if number:
            state = {"validation": scores, "kl_coef": self.learner.kl.value}
            kept = save_checkpoint(self.run.checkpoints, number, self.learner.weights, state)
            keep_only(self.run.checkpoints, kept)
        self._looked = number

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
        restore_weights(self.learner.weights, weights)
        self.course.exploded, self.course.went_back_to = trouble.as_message(), int(state["step"])
        self.course.validation = state["validation"]
        self.observer.noted(
            f"batch {number} of {batches_of(self.learner.algorithm)}: stopped: {trouble.what}; "
            f"the weights of batch {state['step']} are kept"
        )
