"""Summary of a sweep: sweep.json, best.yaml, and the checkpoints worth keeping."""

from __future__ import annotations

import shlex
import shutil
import warnings
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from welltuned.experiments.search.journal import TrialRow
from welltuned.experiments.search.plan import SweepPlan
from welltuned.runs import Run
from welltuned.runs.folder import write_atomically, write_json, yaml_text
from welltuned.schema import versions

if TYPE_CHECKING:
    import optuna

_FEWEST = 8
"""With fewer finished trials, nothing is said of which dimension mattered."""


def best_of(rows: list[TrialRow], maximize: bool) -> TrialRow | None:
    """The finished trial with the best score, of equals the earliest; None without any."""
    finished = [row for row in rows if row.value is not None]
    return min(
        finished,
        key=lambda row: -float(row.value or 0) if maximize else float(row.value or 0),
        default=None,
    )


def write_summary(plan: SweepPlan, rows: list[TrialRow], shares: dict[str, float]) -> None:
    """Write `sweep.json` and `best.yaml`, each of them whole; `shares` is what mattered."""
    best = best_of(rows, plan.maximize)
    file = plan.folder / "best.yaml"
    summary = {
        "model": plan.config.model.name,
        "data": plan.config.data.train,
        "strategy": plan.config.strategy.type,
        "metric": plan.metric,
        "direction": "maximize" if plan.maximize else "minimize",
        "asked": plan.settings.model_dump(include={"trials", "sampler", "pruner", "seed"}),
        "space": {dimension.key: dimension.as_dict() for dimension in plan.space},
        "usual": plan.usual,
        "trials": [{**asdict(row), "run": _run_of(plan, row)} for row in rows],
        "best": best.number if best else None,
        "importance": shares,
        "command": f"welltuned train {shlex.quote(str(file))}" if best else None,
        "data_fingerprint": plan.data_fingerprint,
        "language": plan.config.report.language,
    }
    write_json(plan.folder / "sweep.json", versions.SWEEP.stamp(summary))
    if best:
        write_atomically(file, _best_config(plan, best))


def _run_of(plan: SweepPlan, row: TrialRow) -> str | None:
    folder = Path("trials") / str(row.number)
    return str(folder) if (plan.folder / folder / "status.json").exists() else None


def _best_config(plan: SweepPlan, best: TrialRow) -> str:
    """The best trial's config with every number it used, but judged as was asked at first."""
    used = Run(plan.folder / "trials" / str(best.number)).config
    asked = plan.config.model_dump(mode="json")
    values = {
        **{key: value for key, value in used.items() if key not in (versions.KEY, "output_dir")},
        "evaluation": asked["evaluation"],
    }
    header = (
        f"# The best of a sweep: validation {plan.metric} {best.value:.4f} (trial {best.number}).\n"
        "# The test split has not been read yet.\n"
    )
    return header + yaml_text(values)


def importance(rows: list[TrialRow], study: optuna.Study) -> dict[str, float]:
    """The share of each dimension in the spread of scores (fANOVA, Hutter et al. 2014).

    Empty while too little is known.
    """
    values = [row.value for row in rows if row.value is not None]
    if len(values) < _FEWEST or len(set(values)) == 1:
        return {}
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))


def drop_weights(plan: SweepPlan, rows: list[TrialRow]) -> None:
    """Remove the weights that nobody asked to keep; never those of a trial under way."""
    if plan.settings.keep == "all":
        return
    best = best_of(rows, plan.maximize) if plan.settings.keep == "best" else None
    for row in rows:
        if row.state in ("running", "waiting") or (best and row.number == best.number):
            continue
        run = Run(plan.folder / "trials" / str(row.number))
        for folder in (run.model, run.checkpoints):
            with suppress(FileNotFoundError):  # never there, or another process was faster
                shutil.rmtree(folder)
