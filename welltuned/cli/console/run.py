"""Terminal view of a run: one live line, or plain lines without a terminal.

Everything goes to standard error. Standard output carries results alone.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.status import Status
from rich.table import Table

from welltuned.engines.events import Step
from welltuned.reports.answered import answered_line
from welltuned.reports.folds import fold_lines
from welltuned.reports.forgetting import forgetting_lines
from welltuned.reports.translations import ENGLISH
from welltuned.runs import Run
from welltuned.runs.phases import MEANING
from welltuned.runs.results_schema import Cost, FindingRecord, HeadOptimum, RunResults, Scores
from welltuned.schema.messages import render_message
from welltuned.schema.units import duration_text, rate_text, size_text
from welltuned.training.diagnosis import Finding, finding_lines
from welltuned.training.log import BACKED_OFF
from welltuned.training.observer import Observer
from welltuned.training.waits import Pace, Rate

if TYPE_CHECKING:
    from welltuned.models.freezing import TableRow
    from welltuned.training.preparation.prepare import RunPlan


class ConsoleObserver(Observer):
    """Tells a person at a terminal what happens."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._status: Status | None = None
        self._drawing = threading.RLock()
        self._pace, self._rate_of_work = Pace(), Rate()
        self._metric = ""
        self._validation = ""
        self._best: float | None = None
        self._rate = 0.0

    # --- Before training ---

    def working(self, what: str, done: int, total: int) -> None:
        due = self._pace.is_due(what, done >= total)
        rate = self._rate_of_work.text(what, done)
        if self._console.is_terminal:
            self._bar(what, done, total, rate)
        elif due:
            of_all = "" if done >= total else f" of {total:,}"
            self._console.print(f"{what}: {done:,}{of_all}" + f" · {rate}" * bool(rate))

    def prepared(self, prepared: RunPlan) -> None:
        self._close()
        config, data = prepared.config, prepared.data
        self._metric = prepared.metric
        sizes = ", ".join(f"{split} {len(data[split]):,}" for split in prepared.examples)
        self._console.print(
            f"[bold]{config.strategy.type}[/] on {escape(config.model.name)}: "
            f"{escape(prepared.problem.presenter.headline(data.facts.task))}; {sizes}"
        )
        for said in data.facts.said:
            self._console.print(f"[yellow]·[/] {escape(render_message(said))}")
        for choice in prepared.choices:
            self._console.print(f"[dim]·[/] {escape(str(choice))}")
        self._console.print(f"[dim]·[/] run folder {escape(str(config.output_dir))}")

    def advanced(self, what: str, done: int, total: int, text: str) -> None:
        due = self._pace.is_due(what, done >= total)
        if self._console.is_terminal:
            self._bar(what, done, total, text)
        elif due:
            self._console.print(f"{what} {done}/{total} · {text}")

    def waiting(self, what: str, seconds: float) -> None:
        so_far = f"{what}: {duration_text(seconds)} so far"
        if not self._console.is_terminal:
            if self._pace.breaks_silence(seconds):
                self._say(so_far)
        elif self._pace.is_silent(seconds):
            self._show_wait(so_far)

    def waited(self) -> None:
        self._hide_wait()

    def noted(self, text: str) -> None:
        self._close()
        self._console.print(f"[dim]·[/] {escape(text)}")

    def loaded(self, rows: list[TableRow]) -> None:
        self._console.print(render_trainable(rows))

    # --- While training ---

    def started(self, total_steps: int) -> None:
        self._pace.told()

    def stepped(self, step: Step) -> None:
        rate = step.examples / max(step.seconds, 1e-9)
        self._rate = rate if not self._rate else 0.9 * self._rate + 0.1 * rate
        text = (
            f"epoch {step.epoch:.2f} · loss {step.loss:.4f} · "
            f"{rate_text(self._rate, 'examples')}{self._validation}"
        )
        due = self._pace.is_due("training", step.step >= step.total)
        if self._console.is_terminal:
            self._bar("training", step.step, step.total, text)
        elif due:
            self._console.print(f"step {step.step}/{step.total} · {text}")

    def skipped(self, step: Step, flaw: str) -> None:
        self._say(f"[yellow]step {step.step}: skipped, its {flaw} is not finite[/]")

    def backed_off(self, step: int, size: int) -> None:
        self._say(f"[yellow]step {step}: {BACKED_OFF.format(size=size)}[/]")

    def read(self, done: int, total: int) -> None:
        self.working("reading training examples", done, total)

    def solved(self, number: int, total: int, optimum: HeadOptimum) -> None:
        score = optimum.get("score")
        told = "" if score is None else f" · validation {self._metric} {score:.4f}"
        text = f"L2 {optimum['l2']:.2g} · loss {optimum['loss']:.4f}{told}"
        self.advanced("fitting the head", number, total, text)

    def changed(self, step: int, what: str) -> None:
        self._say(f"step {step}: {what}")

    def evaluated(self, step: int, epoch: float, scores: Scores, best: bool) -> None:
        score = float(scores.get(self._metric, float("nan")))
        if best:
            self._best = score
        best_text = f" (best {self._best:.4f})" if self._best is not None and not best else ""
        self._validation = f" · validation {self._metric} {score:.4f}{best_text}"
        if not self._console.is_terminal:
            so_far = " (best so far)" if best else ""
            self._say(f"step {step}: validation {self._metric} {score:.4f}{so_far}")

    def warned(self, step: int, finding: FindingRecord) -> None:
        seen, next_thing = Finding(**finding).lines
        self._say(f"[yellow]step {step}: {escape(seen)}[/]")
        self._say(f"[yellow]{escape(next_thing)}[/]")

    def finished(self, run: Run) -> None:
        self._close()

    # --- Drawing ---

    def _say(self, text: str) -> None:
        self._pace.told()
        (self._progress.console if self._progress else self._console).print(f"[dim]·[/] {text}")

    def _show_wait(self, text: str) -> None:
        """A line that goes when the wait is over; beside a bar where one is under way."""
        with self._drawing:
            if self._progress is not None and not self._progress.finished:
                self._progress.update(max(self._tasks.values()), wait=f"· {text}")
            elif self._status is not None:
                self._status.update(text)
            else:
                self._close()
                self._status = self._console.status(text)
                self._status.start()

    def _hide_wait(self) -> None:
        with self._drawing:
            if self._status is not None:
                self._status.stop()
                self._status = None
            if self._progress is not None:
                for task in self._tasks.values():
                    self._progress.update(task, wait="")

    def _bar(self, what: str, done: int, total: int, text: str = "") -> None:
        with self._drawing:
            self._hide_wait()
            self._draw_bar(what, done, total, text)

    def _draw_bar(self, what: str, done: int, total: int, text: str) -> None:
        if self._progress is None:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
                TextColumn("{task.fields[text]} {task.fields[wait]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(elapsed_when_finished=False),
                console=self._console,
                transient=False,
            )
            self._progress.start()
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total, text=text, wait="")
        self._progress.update(self._tasks[what], completed=done, total=total, text=text)

    def _close(self) -> None:
        with self._drawing:
            self._hide_wait()
            if self._progress is not None:
                self._progress.stop()
                self._progress, self._tasks = None, {}

    def close(self) -> None:
        """Leave the terminal as it was, also after a failure."""
        self._close()


def results_console() -> Console:
    """A console on standard output that cuts nothing off when it is piped."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 240)


def render_trainable(rows: list[TableRow]) -> Table:
    """What trains, region by region, as a table."""
    table = Table(
        title="What trains", title_justify="left", header_style="bold", box=None, padding=(0, 2)
    )
    table.add_column("region")
    for name in ("weights", "trainable", "share"):
        table.add_column(name, justify="right")
    for row in rows:
        style = "" if row.trainable else "dim"
        table.add_row(
            row.region, f"{row.parameters:,}", f"{row.trainable:,}", f"{row.share:.2%}", style=style
        )
    total, trainable = sum(row.parameters for row in rows), sum(row.trainable for row in rows)
    table.add_section()
    table.add_row(
        "all", f"{total:,}", f"{trainable:,}", f"{trainable / max(total, 1):.2%}", style="bold"
    )
    return table


def results_lines(run: Run) -> list[str]:
    """The results of a run as plain lines for standard output."""
    results = run.results
    judged = results[run.judged]
    lines = [f"run         {run.folder}", f"{run.judged:11} {_scores(judged)}"]
    names = [name for name in judged if f"{name}_ci95" in judged]
    for name, scores in results["baselines"].items():
        known = [f"{metric} {scores[metric]:.3f}" for metric in names if metric in scores]
        lines.append(f"{name:11} {' · '.join(known)}")
    lines += [*answered_line(results, run.judged), *_decision_rule(results, run.judged)]
    lines += [*fold_lines(results), *forgetting_lines(results)]
    cost, parameters = results["cost"], results["parameters"]
    lines.append(
        f"cost        {duration_text(cost['train_seconds'])} · "
        f"{rate_text(cost['examples_per_second'], 'examples')} · "
        f"{size_text(cost['peak_memory_bytes'])} · "
        f"artifact {size_text(cost['artifact_bytes'])} · "
        f"{parameters['trainable']:,} of {parameters['total']:,} weights trained"
    )
    lines += _time(cost)
    proof = results["proof"]
    lines.append(
        f"proof       reloaded outputs differ by {proof['reloaded_difference']:.1g} · "
        f"{proof['frozen_moved']} of {proof['frozen_weights']} frozen tensors moved · "
        f"{proof['trainable_moved']} of {proof['trainable_weights']} trainable ones did"
    )
    told = zip(("diagnosis", "next"), finding_lines(results["diagnosis"]), strict=False)
    lines += [f"{name:11} {line}" for name, line in told]
    lines.append(f"report      {run.report}")
    return lines


def _decision_rule(results: RunResults, judged: str) -> list[str]:
    """What the decision rule changes, where a run has one."""
    if (rule := results.get("decision_rule")) is None:
        return []
    effect = rule["effect"][judged]
    told = [f"temperature {rule['temperature']:.3g}"] if "temperature" in rule else []
    told += [
        f"{name} {change['before']:.3f} -> {change['after']:.3f}"
        for name, change in effect["scores"].items()
        if change["before"] != change["after"]
    ]
    if "coverage" in effect:
        told.append(f"answered {effect['coverage']:.1%}")
    return [f"rule        {' · '.join(told) or 'changes no score'}"]


def _time(cost: Cost) -> list[str]:
    """Where the time went, the longest first; runs of earlier releases do not say."""
    longest = sorted(cost.get("phases", {}).items(), key=lambda item: -item[1])
    told = " · ".join(f"{name} {duration_text(taken)}" for name, taken in longest)
    return [f"time        {told}"] if told else []


def phase_lines(cost: Cost) -> list[str]:
    """The same as a table: each phase with its share and what it means, and their sum."""
    phases = cost.get("phases", {})
    whole = sum(phases.values())
    rows = [*sorted(phases.items(), key=lambda item: -item[1]), ("all", whole)]
    return [
        f"{name:11} {MEANING.get(name, ''):30} {duration_text(taken):>12} {taken / whole:6.1%}"
        for name, taken in rows
        if whole
    ]


def policy_lines(run: Run) -> list[str]:
    """The results of an RL stage as plain lines: the policy before and after."""
    results = run.results
    test, before, cost = results["test"], results["baselines"]["sft"], results["cost"]
    low, high = test["reward_gain_ci95"]
    lines = [
        f"run         {run.folder}",
        f"reward      {before['reward']:.3f} -> {test['reward']:.3f} · "
        f"gain {test['reward_gain']:+.3f} [{low:+.3f}, {high:+.3f}]",
        f"KL          {test['kl']:.3f} nats a response",
    ]
    for name in ("accuracy", "macro_f1", "second_reward", "length", "distinct_2"):
        if name in test:
            lines.append(f"{name:11} {before[name]:.3f} -> {test[name]:.3f}")
    if exploded := results["training"]["exploded"]:
        lines.append(f"stopped     {ENGLISH.message(exploded)}")
    lines.append(
        f"cost        {duration_text(cost['train_seconds'])} · "
        f"{rate_text(cost['examples_per_second'], 'responses')} · "
        f"{size_text(cost['peak_memory_bytes'])} · "
        f"artifact {size_text(cost['artifact_bytes'])}"
    )
    lines += _time(cost)
    lines.append(f"report      {run.report}")
    return lines


def _scores(scores: Scores) -> str:
    parts = []
    for name in scores:
        interval = scores.get(f"{name}_ci95")
        if interval is not None:
            parts.append(f"{name} {scores[name]:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]")
    return " · ".join(parts)


def print_lines(lines: list[str]) -> None:
    """Results, on standard output."""
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
