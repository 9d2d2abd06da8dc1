"""What both engines do around an optimizer step: begin or go on, report, save, validate.

    state = LoopState(job)
    for each step of state.left():            those that are left, where a training goes on
        state.gradients.take(step, backward)   clipped; none where anything is not finite
        state.optimizer.step(), state.schedule.step()
        state.after(step, gradients)           reported; saved and validated where that is due
    outcome = state.finish()

A training is saved before it validates, and goes on with the validation that was due then: so one
that is stopped while it validates loses no step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import torch
from torch import nn

from welltuned.engines import distributed
from welltuned.engines.best_checkpoint import Validator
from welltuned.engines.gradients import Gradients, GradientTaker
from welltuned.engines.job import Job, Outcome
from welltuned.engines.optimizer import build_optimizer, build_schedule, learning_rate_at
from welltuned.engines.optimizers.averaged import AveragedWeights
from welltuned.engines.save_schedule import SaveSchedule
from welltuned.engines.snapshot import Snapshot, trained_weights
from welltuned.engines.step_plan import PlannedStep, StepPlan
from welltuned.engines.throughput import Meter
from welltuned.errors import Stopped
from welltuned.models.freezing import set_training_modes
from welltuned.runs.phases import CLOCK, phase
from welltuned.runs.results_schema import Scores
from welltuned.runs.stopping import asked_to_stop, at_once, stop_now


class LoopState:
    """All that changes from step to step, and what is done between two of them."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.plan = StepPlan.of(job.batches, job.training)
        self.optimizer = build_optimizer(job.groups, job.training)
        self._averaged = AveragedWeights(self.optimizer, self._weights.values())
        self.taken = job.start.step if job.start is not None else 0
        """Optimizer steps taken before this process began."""
        self.schedule = build_schedule(self.optimizer, self.plan.total, job.training, self.taken)
        self.meter = Meter(self.plan.total)
        self.gradients = GradientTaker(job, self.meter)
        self._validator = Validator.of(replace(job, validate=self._scores))
        self._last_step = self.taken
        self._saved: int | None = None
        self._saves = SaveSchedule(job.training)

    @property
    def outcome(self) -> Outcome:
        return self.meter.outcome

    def begin(self) -> None:
        """Seed random numbers, or put back what a training that goes on was interrupted with."""
        job = self._job
        torch.manual_seed(job.training.seed + distributed.rank())
        if job.start is not None:
            self._restore(job.start)
        set_training_modes(job.model)
        job.listener.started(self.plan.total)
        if job.start is not None:
            self._validate(self._last_taken)

    def finish(self) -> Outcome:
        """After the last step: leave the weights in the model that the training was for."""
        self._averaged.show()
        return self.outcome

    def left(self) -> Iterator[PlannedStep]:
        """The steps that this process is to take."""
        steps = iter(()) if self.outcome.stopped_early else self.plan.after(self.taken)
        return map(self.gradients.micro_batches.fit, steps)

    def left_of(self, epoch: int) -> Iterator[PlannedStep]:
        """Those of one epoch (from 0)."""
        gone = self.outcome.stopped_early
        steps = (step for step in self.plan.epoch(epoch) if step.number > self.taken and not gone)
        return map(self.gradients.micro_batches.fit, steps)

    def after(self, step: PlannedStep, gradients: Gradients) -> Scores | None:
        """Report a step that was taken or skipped; save and validate if due. Returns its scores.

        Raises `Stopped` where a signal asks for it, and has saved the training then.
        """
        self._last_step = step.number
        rate = learning_rate_at(step.number, self.plan.total, self._job.training)
        done = self.meter.finish(step, gradients.loss, rate, gradients.norm)
        if gradients.flaw is None:
            self._job.listener.stepped(done)
        else:
            self._job.listener.skipped(done, gradients.flaw)
        due = distributed.is_main() and self._saves.is_due(step.number)
        # One message for both: every step of several processes waits for it.
        stops, saves = distributed.totals(asked_to_stop() is not None, due)
        if stops or saves:
            self._save(step.number)
        if stops:
            stop_now()
        return self._validate(step)

    def _validate(self, step: PlannedStep) -> Scores | None:
        if not self._validator.is_due(step.number, self.plan.total, step.ends_epoch):
            return None
        with self._averaged.shown():
            return self._validator.after(step, self.plan.total, self._job, self.outcome)

    def _scores(self) -> Scores:
        """Those of the validation split. This may be stopped anywhere: nothing has changed by it.

        Not where others wait for the scores, who cannot be stopped with it.
        """
        if distributed.processes() > 1:
            return self._job.validate()
        try:
            with at_once():
                return self._job.validate()
        except (Stopped, KeyboardInterrupt):
            self._averaged.hide()
            self._save(self._last_step)
            raise

    # --- Saving and restoring ---

    def _save(self, step: int) -> None:
        if step == self._saved:
            return
        self._saved = step
        with phase("save"), self._saves.saving():
            snapshot = self._snapshot(step)
            if distributed.is_main():
                self._job.save(snapshot)

    def _snapshot(self, step: int) -> Snapshot:
        job = self._job
        numbers = {
            "validator": self._validator.state(),
            "meter": self.meter.state(),
            "listener": job.listener.state(),
            "spent": CLOCK.spent(),
        }
        return Snapshot.of(step, self._weights, self.optimizer, job.device, numbers)

    def _restore(self, snapshot: Snapshot) -> None:
        job, numbers = self._job, snapshot.numbers
        snapshot.put_back(self._weights, self.optimizer, job.device)
        self._validator.restore(numbers["validator"])
        self.meter.restore(numbers["meter"])
        if distributed.is_main():  # nobody listens to the others
            job.listener.restore(numbers["listener"])
        progress = self._last_taken.progress
        job.strategy.advance(job.model, job.anatomy, progress)
        for guard in job.guards:
            guard.advance(progress)

    @cached_property
    def _last_taken(self) -> PlannedStep:
        return next(self.plan.after(self.taken - 1))

    @cached_property
    def _weights(self) -> dict[str, nn.Parameter]:
        return trained_weights(self._job.model, self._job.groups)
