"""Extending a finished run: it trains for longer, in a folder of its own.

Training goes on from the newest snapshot of the run, under the schedule of the longer training: the
learning rate of the steps to come is that of a run planned as long from the start, of which those
that were taken knew nothing. So it is another schedule, and is told as such.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from welltuned.config import RunConfig
from welltuned.engines.snapshot import Snapshot
from welltuned.engines.step_plan import StepPlan, plan_batches
from welltuned.errors import Fault, InputError, Place
from welltuned.runs import Run
from welltuned.runs.checkpoints import is_whole
from welltuned.runs.folder import START, next_free
from welltuned.runs.phases import CLOCK
from welltuned.runs.status import begun
from welltuned.training.decisions import changes
from welltuned.training.preparation.prepare import RunPlan
from welltuned.training.resume import config_of, newest_snapshot, without_best

_LONGER = {"training.num_train_epochs", "training.max_steps"}


def extension_of(run: Run, overrides: Collection[str]) -> RunConfig:
    """The config of a run that goes on after one that has finished, in a free folder beside it.

    Raises `InputError` where anything else would change than how long it trains.
    """
    config = config_of(run, overrides)
    before = run.read(START)["config"]
    other = sorted({key for key, _, _ in changes(before, config)} - _LONGER)
    if other:
        raise InputError(
            Fault(
                "run.extended_otherwise",
                "a finished run can only train for longer, and {keys} would change",
                Place(str(run.folder)),
                "give training.num_train_epochs or training.max_steps alone, or begin a new run "
                "from the model: `welltuned train model={folder} …`",
                keys=", ".join(other),
                folder=run.folder,
            )
        )
    folder = next_free(run.folder.parent, f"{run.name}-extended")
    return config.model_copy(update={"output_dir": str(folder)})


def start_of_extension(
    run: Run, prepared: RunPlan, tell: Callable[[str], object]
) -> Snapshot | None:
    """What training goes on from; None where no snapshot was kept, and all steps are taken anew.

    Raises `InputError` where no step would be left.
    """
    training = prepared.config.training.resolved()
    total = StepPlan.of(plan_batches(prepared.learned, training), training).total
    taken = run.results["training"]["steps"]
    if total <= taken:
        raise InputError(
            Fault(
                "run.not_longer",
                "the run has taken {taken} steps, and {total} are asked for",
                Place(str(run.folder)),
                "ask for more training.num_train_epochs or training.max_steps",
                taken=taken,
                total=total,
            )
        )
    snapshot = newest_snapshot(run, tell)
    begins = snapshot.step if snapshot is not None else 0
    tell(
        f"goes on after step {begins} of {taken}, where {run.folder} was last saved, to step "
        f"{total}: this is another schedule than that of {total} steps from the start"
    )
    keeps = prepared.config.training.load_best_model_at_end
    if snapshot is None or not keeps or _has_best_of(run, snapshot):
        return snapshot
    tell(
        f"the best weights from step {begins} on are kept, for {run.folder} found better ones later"
    )
    return without_best(snapshot)


def _has_best_of(run: Run, snapshot: Snapshot) -> bool:
    """Whether the weights that were the best when the run was last saved are still there.

    A finished run keeps one checkpoint, which may be of a later step.
    """
    step = snapshot.numbers["validator"]["best_step"]
    return step is None or is_whole(run.checkpoints / f"step-{step}")


@contextmanager
def gone_further_than(run: Run, folder: Path, snapshot: Snapshot | None) -> Iterator[Run]:
    """A new run, with what a finished one had written when it was last saved: its curves, and its
    best weights so far."""
    with begun(folder) as longer:
        if snapshot is not None:
            shutil.copy(run.folder / "metrics.jsonl", longer.folder / "metrics.jsonl")
            best = f"step-{snapshot.numbers['validator']['best_step']}"
            if (run.checkpoints / best).exists():
                shutil.copytree(run.checkpoints / best, longer.checkpoints / best)
            CLOCK.carry(snapshot.numbers["spent"])
        yield longer
