"""Cells (strategy × seed) of a comparison, and which of them are finished."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from welltuned.config import RunConfig
from welltuned.errors import InputError
from welltuned.experiments.comparison.budget import CellBudget
from welltuned.experiments.comparison.cache_key import cell_key
from welltuned.experiments.comparison.rlhf_variant import whole
from welltuned.experiments.comparison.variants import Variant
from welltuned.experiments.comparison.worker.protocol import RLHF, Request
from welltuned.experiments.executors.train_run import TRAIN
from welltuned.rlhf.config import RlhfConfig
from welltuned.rlhf.resume import is_begun
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import SharedSettings
from welltuned.runs.folder import next_free
from welltuned.training.decisions import is_interrupted


@dataclass(frozen=True)
class Cell:
    """A strategy with a seed: an ordinary run, or a pipeline of runs."""

    name: str
    seed: int
    config: RunConfig
    key: str
    """What it is made from, as one hash."""
    run: Run
    pipeline: RlhfConfig | None = None
    """Of which the config is the first stage."""

    @property
    def is_finished(self) -> bool:
        """Whether it is there, whole, and made from the same."""
        return cell_record(self.run).get("key") == self.key and self.run.is_finished

    @property
    def is_stale(self) -> bool:
        """Whether it is there, whole, but made from something else."""
        record = cell_record(self.run)
        return bool(record) and record["key"] != self.key and self.run.is_finished

    def request(self, settled: SharedSettings) -> Request:
        """What its process is asked to do, with what was settled for all cells."""
        config, pipeline = self._asked(settled)
        asked: Request = {"do": TRAIN, "config": config.model_dump(mode="json")}
        if pipeline is None:
            return asked
        return {**asked, "do": RLHF, "pipeline": pipeline.model_dump(mode="json")}

    def goes_on(self, settled: SharedSettings) -> bool:
        """Whether what is in its folder was interrupted, and can go on."""
        config, pipeline = self._asked(settled)
        if pipeline is None:
            return is_interrupted(self.run.folder, config)
        return is_begun(self.run.folder, pipeline)

    def _asked(self, settled: SharedSettings) -> tuple[RunConfig, RlhfConfig | None]:
        config = freeze_shared_settings(self.config, settled)
        return config, whole(self.pipeline, config) if self.pipeline is not None else None


def plan_cells(
    comparison: Comparison,
    variants: list[Variant],
    seeds: Sequence[int],
    spending: dict[str, CellBudget],
    data: str,
    besides: Mapping[str, Sequence[object]],
) -> list[Cell]:
    """All cells, seed by seed, so that a comparison that is stopped has every strategy.

    `besides` says what the results of pipelines follow from besides their first stage, by name.
    """
    cells = []
    for seed in seeds:
        for variant in variants:
            training = spending[variant.name].applied(variant.config.training)
            run = comparison.cell(variant.slug, seed)
            config = variant.config.model_copy(
                update={
                    "training": training.model_copy(update={"seed": seed}),
                    "evaluation": variant.config.evaluation.model_copy(
                        update={"untrained": False}  # it is measured once, as a baseline
                    ),
                    "output_dir": str(run.folder),
                }
            )
            key = cell_key(config, data, *besides.get(variant.name, []))
            cells.append(Cell(variant.name, seed, config, key, run, variant.pipeline))
    return cells


def make_room(cell: Cell, comparison: Comparison, settled: SharedSettings) -> str | None:
    """Clear the cell's folder, but for a run that goes on.

    A finished run is kept aside; returns where it went.
    """
    if not cell.run.folder.exists():
        return None
    if not cell.is_stale:
        if not cell.goes_on(settled):
            shutil.rmtree(cell.run.folder)
        return None
    aside = comparison.folder / "replaced" / cell.run.folder.parent.name
    aside.mkdir(parents=True, exist_ok=True)
    target = next_free(aside, cell.run.folder.name)
    cell.run.folder.rename(target)
    return str(target.relative_to(comparison.folder))


def keep_record(cell: Cell, cost: Mapping[str, object]) -> None:
    """Say what a finished cell was made from and what it took.

    Its checkpoints go: the best weights are in its model already.
    """
    for heavy in (cell.run.checkpoints, cell.run.snapshots):
        shutil.rmtree(heavy, ignore_errors=True)
    cell.run.write(
        "cell.json", {"name": cell.name, "seed": cell.seed, "key": cell.key, "cost": cost}
    )


def cell_record(run: Run) -> dict[str, Any]:
    """cell.json of a cell's run; empty when it has none."""
    try:
        return run.read("cell.json")
    except (FileNotFoundError, InputError):
        return {}


def freeze_shared_settings(config: RunConfig, settled: SharedSettings) -> RunConfig:
    """The config with what was settled for all cells of its model: only the strategy may differ."""
    if not settled:
        return config
    own = settled.get("models", {}).get(config.model.title, settled)
    training = config.training.model_copy(update={"precision": own["precision"]})
    task = config.task.model_copy(update={"pooling": own["pooling"]})
    return config.model_copy(update={"training": training, "task": task})
