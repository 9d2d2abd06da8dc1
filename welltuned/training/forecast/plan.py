"""`welltuned plan`: what each strategy would cost on this machine, and what to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from welltuned.config import RunConfig
from welltuned.engines.config import ResolvedTraining
from welltuned.engines.device import choose_device
from welltuned.errors import Fault
from welltuned.runs import process_memory
from welltuned.schema.messages import render_message
from welltuned.strategies import STRATEGIES, Strategy
from welltuned.training.forecast.forecast import Forecast, forecast_run
from welltuned.training.forecast.limits import Limits
from welltuned.training.forecast.machine_profile import this_machine
from welltuned.training.forecast.memory import MemoryForecast
from welltuned.training.forecast.prices import Machine
from welltuned.training.forecast.reference_runs import complete
from welltuned.training.output_folder import prepare_in_folder
from welltuned.training.preparation import defaults
from welltuned.training.preparation.checks import refuse_quantized_base
from welltuned.training.preparation.encode import Working
from welltuned.training.preparation.optim import choose_optim, optim_of
from welltuned.training.preparation.prepare import RunPlan
from welltuned.training.preparation.starting_point import starting_notes


@dataclass(frozen=True)
class PlanRow:
    """One strategy or stage: its forecast, or why there is none."""

    name: str
    asked: bool
    """Whether it is the config's own."""
    forecast: Forecast | None = None
    refused: str = ""
    exceeds: tuple[str, ...] = ()
    """Which limits it does not keep: `memory`, `time`, `disk`."""

    @property
    def fits(self) -> bool:
        return self.forecast is not None and not self.exceeds

    def as_dict(self) -> dict[str, object]:
        found: dict[str, object] = {"name": self.name, "asked": self.asked}
        if self.forecast is None:
            return {**found, "refused": self.refused}
        values = asdict(self.forecast)
        values["memory"]["total"] = self.forecast.memory.total
        return {**values, **found, "fits": self.fits, "exceeds": list(self.exceeds)}


@dataclass(frozen=True)
class ResourcePlan:
    """All strategies, or all stages of a pipeline; the limits they were held against, and what
    to change."""

    rows: list[PlanRow]
    limits: Limits
    advice: list[str]
    machine: Machine
    of: Literal["strategy", "stage"] = "strategy"
    notes: tuple[str, ...] = ()
    """What is taken over from a base model that has been tuned before."""

    def as_dict(self) -> dict[str, object]:
        return {
            {"strategy": "strategies", "stage": "stages"}[self.of]: [
                row.as_dict() for row in self.rows
            ],
            "limits": asdict(self.limits),
            "advice": self.advice,
            "notes": list(self.notes),
            "machine": asdict(self.machine),
        }


def plan_resources(config: RunConfig, limits: Limits, progress: Working) -> ResourcePlan:
    """Forecast every strategy. Raises `InputError` before that when the config cannot work.

    Where no limit is given, what this machine has left is the limit of memory and disk.
    """
    prepared = prepare_in_folder(config, progress)
    device = choose_device(config.training.device)
    held = process_memory.held_at_start(device.type)
    machine = measured(device, progress)
    limits = limits.or_what_is_left(Path(str(prepared.config.output_dir)), device, held)
    planner = _Planner(config, prepared, machine, held, limits)
    strategies = list(_strategies(prepared.config.strategy))
    rows = []
    for i, strategy in enumerate(strategies):
        rows.append(row := planner.row(strategy))
        if row.asked and row.forecast is not None:
            # Strategies compute alike, so that they can be compared.
            planner = replace(planner, precision=row.forecast.precision)
        progress("rehearsing strategies", i + 1, len(strategies))
    notes = tuple(render_message(note) for note in starting_notes(prepared.model))
    return ResourcePlan(rows, limits, list(_advise(planner, rows)), machine, notes=notes)


def measured(device: torch.device, progress: Working) -> Machine:
    """This machine, measured in full where it was not yet."""
    return complete(
        this_machine(device), lambda done, total: progress("measuring this machine", done, total)
    )


def _strategies(asked: Strategy) -> Iterator[Strategy]:
    """The config's own, then every other that stands among all, as it comes."""
    yield asked
    for kind in STRATEGIES.usable():
        if kind.stands_in_all and kind.model_fields["type"].default != asked.type:
            yield kind()


@dataclass(frozen=True)
class _Planner:
    config: RunConfig
    """As it was written, so that other strategies get their own defaults."""
    prepared: RunPlan
    machine: Machine
    held: int
    limits: Limits
    precision: str = "auto"
    """What the strategy that was asked for will compute in, once that is known."""

    def row(self, strategy: Strategy, **changes: Any) -> PlanRow:
        asked = strategy is self.prepared.config.strategy
        training, strategy = self._resolved(strategy)
        training = training.model_copy(update=changes)
        faults = [] if asked else list(self._faults(strategy))
        if faults:
            return PlanRow(strategy.type, asked, refused=faults[0].what)
        try:
            found = forecast_run(self.prepared, strategy, training, self.machine, self.held)
        except (RuntimeError, NotImplementedError) as error:  # an operation without a meta kernel
            what = f"its steps cannot be rehearsed: {str(error).splitlines()[0]}"
            return PlanRow(strategy.type, asked, refused=what)
        return PlanRow(strategy.type, asked, found, exceeds=self.limits.exceeded_by(found))

    def _faults(self, strategy: Strategy) -> Iterator[Fault]:
        yield from strategy.check(self.prepared.anatomy)
        yield from refuse_quantized_base(self.config.model, strategy)

    def _resolved(self, strategy: Strategy) -> tuple[ResolvedTraining, Strategy]:
        """Both with a number for every `auto` that has a default."""
        anatomy, examples = self.prepared.anatomy, len(self.prepared.data.train)
        metric = self.prepared.metric
        asked = self.config.training.model_copy(update={"metric_for_best_model": metric})
        parts = defaults.resolve_parts(asked, strategy, anatomy, examples)
        training, strategy = parts[0].resolved(), parts[1]
        config = self.config.model_copy(update={"strategy": strategy})
        optim = choose_optim(asked, config, self.prepared.problem, anatomy, examples)
        training = training.model_copy(update={"optim": optim_of(asked, optim)})
        if training.precision == "auto":
            training = training.model_copy(update={"precision": self.precision})
        return training, strategy


# --- What to change ----------------------------------------------------------


def _advise(planner: _Planner, rows: Sequence[PlanRow]) -> Iterator[str]:
    asked = next(row for row in rows if row.asked)
    if asked.fits or asked.forecast is None:
        return
    if "memory" in asked.exceeds:
        yield _less_memory(planner, asked.forecast.memory)
    if "time" in asked.exceeds:
        yield _less_time(planner, asked.forecast)
    others = [row.name for row in rows if row.fits]
    if others:
        yield f"or another strategy that fits: {', '.join(others)}"


def _less_memory(planner: _Planner, needed: MemoryForecast) -> str:
    """The least change of how steps are taken after which they fit; what is learned is the same."""
    limit = planner.limits.memory
    assert limit is not None
    if needed.total - sum(needed.activations.values()) - needed.allocator > limit:
        return "even a batch of nothing would not fit into memory: a smaller model may"
    strategy = planner.prepared.config.strategy
    training = planner.prepared.config.training.resolved()
    size, accumulation = training.per_device_train_batch_size, training.gradient_accumulation_steps
    changes: list[dict[str, Any]] = []
    while size > 1:
        if size % 2:
            break
        size, accumulation = size // 2, accumulation * 2
        changes.append(
            {
                "per_device_train_batch_size": size,
                "gradient_accumulation_steps": accumulation,
            }
        )
    changes.append({"gradient_checkpointing": True})
    changes += [{**change, "gradient_checkpointing": True} for change in changes[:-1]]
    for change in changes:
        if "memory" not in planner.row(strategy, **change).exceeds:
            keys = " ".join(f"training.{key}={_yaml(value)}" for key, value in change.items())
            return f"to fit into memory with the same steps: {keys}"
    return "no batch is small enough to fit into memory; a shorter task.max_length may be"


def _less_time(planner: _Planner, found: Forecast) -> str:
    training, limit = planner.prepared.config.training.resolved(), planner.limits.time
    assert limit is not None
    if not found.steps:
        return "reading all examples once takes longer: set data.max_train_examples"
    share = max(0.0, (limit - found.evaluation_seconds) / found.train_seconds)
    if training.num_train_epochs is not None:
        epochs = int(100 * training.num_train_epochs * share) / 100
        if epochs > 0:
            return f"to end in time: training.num_train_epochs={epochs:g}"
    steps = int(found.steps * share)
    return f"to end in time: training.max_steps={steps}" if steps else "scoring alone takes longer"


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
