"""A run reported through `logging`, for programs that call `wt.train`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from welltuned.engines.events import Step
from welltuned.runs import Run
from welltuned.runs.results_schema import FindingRecord, Scores
from welltuned.schema.messages import render_message
from welltuned.schema.units import duration_text, rate_text
from welltuned.training.diagnosis.finding import Finding
from welltuned.training.observer import Observer
from welltuned.training.waits import Pace

if TYPE_CHECKING:
    from welltuned.models.freezing import TableRow
    from welltuned.training.preparation.prepare import RunPlan

log = logging.getLogger("welltuned.train")
BACKED_OFF = "out of memory; micro-batches of {size} from here on, the same examples in every step"


class LoggingObserver(Observer):
    """Logs what happens at INFO, and what has gone wrong at WARNING.

    Steps and other long work are told after two seconds, then at most every `seconds` seconds, and
    at their end.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        self._pace = Pace(seconds)

    def working(self, what: str, done: int, total: int) -> None:
        if self._pace.is_due(what, done >= total):
            log.info("%s: %s of %s", what, f"{done:,}", f"{total:,}")

    def advanced(self, what: str, done: int, total: int, text: str) -> None:
        if self._pace.is_due(what, done >= total):
            log.info("%s %d/%d: %s", what, done, total, text)

    def waiting(self, what: str, seconds: float) -> None:
        if self._pace.breaks_silence(seconds):
            log.info("%s: %s so far", what, duration_text(seconds))

    def prepared(self, prepared: RunPlan) -> None:
        config = prepared.config
        sizes = ", ".join(f"{split} {len(rows):,}" for split, rows in prepared.examples.items())
        log.info("data read: %s", sizes)
        for said in prepared.data.facts.said:
            log.info("%s", render_message(said))
        for choice in prepared.choices:
            log.info("%s", choice)
        log.info("%s on %s, in %s", config.strategy.type, config.model.name, config.output_dir)

    def noted(self, text: str) -> None:
        log.info("%s", text)

    def loaded(self, rows: list[TableRow]) -> None:
        total, trains = (sum(row.parameters for row in rows), sum(row.trainable for row in rows))
        log.info("model loaded: %s of %s weights train", f"{trains:,}", f"{total:,}")

    def started(self, total_steps: int) -> None:
        self._pace.told()
        log.info("training: %d steps", total_steps)

    def stepped(self, step: Step) -> None:
        if self._pace.is_due("training", step.step >= step.total):
            speed = rate_text(step.examples / max(step.seconds, 1e-9), "examples")
            told = (step.step, step.total, step.epoch, step.loss, speed)
            log.info("step %d/%d: epoch %.2f, loss %.4f, %s", *told)

    def skipped(self, step: Step, flaw: str) -> None:
        log.warning("step %d: skipped, its %s is not finite", step.step, flaw)

    def backed_off(self, step: int, size: int) -> None:
        log.warning("step %d: %s", step, BACKED_OFF.format(size=size))

    def changed(self, step: int, what: str) -> None:
        log.info("step %d: %s", step, what)

    def evaluated(self, step: int, epoch: float, scores: Scores, best: bool) -> None:
        told = [f"{name} {value:.4f}" for name, value in scores.items() if isinstance(value, float)]
        so_far = " (best so far)" if best else ""
        log.info("step %d: validation%s: %s", step, so_far, ", ".join(told))

    def warned(self, step: int, finding: FindingRecord) -> None:
        log.warning("step %d: %s", step, " ".join(Finding(**finding).lines))

    def finished(self, run: Run) -> None:
        results = run.results
        metric, judged = results.get("metric"), results.get(run.judged, {})
        score = f", {run.judged} {metric} {judged[metric]:.4f}" if metric in judged else ""
        log.info("finished%s: %s", score, run.folder)
