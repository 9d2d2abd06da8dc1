"""Hyper-parameter search before the cells: the same number of trials for every strategy.

tuning/NAME.json  the request, the result, and its cost
tuning/NAME/      the sweep: every trial a run, none of which reads the test split

The trials of all strategies go side by side. A sweep goes on where it was stopped, and what is
finished is not tried again. One of other settings or data is put aside.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from welltuned.config import RunConfig, run_config_from
from welltuned.errors import Fault, RunFailed
from welltuned.experiments.comparison.budget import CellBudget
from welltuned.experiments.comparison.cache_key import cell_key
from welltuned.experiments.comparison.cells import freeze_shared_settings
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.comparison.observer import ComparisonObserver
from welltuned.experiments.comparison.parallel import room_of_cells, workers_for
from welltuned.experiments.comparison.variants import Variant
from welltuned.experiments.comparison.worker.requests import Requester
from welltuned.experiments.executors.side_by_side import threads_for
from welltuned.experiments.search.best_of import best_in, search_for
from welltuned.experiments.search.journal import Trial
from welltuned.experiments.search.plan import SweepPlan, plan_sweep
from welltuned.experiments.search.run_trials import TrialRunner
from welltuned.experiments.search.space_reading import with_found
from welltuned.experiments.search.sweep import Sweep, SweepObserver
from welltuned.runs.code_version import code_version
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import SharedSettings, TunedRecord
from welltuned.runs.folder import next_free, write_json
from welltuned.training.preparation.data_cache import DataCache


@dataclass(frozen=True)
class TunedVariants:
    """The variants, each at its best."""

    variants: list[Variant]
    found: dict[str, TunedRecord]
    """What was found for each, by name."""
    failed: dict[str, str]
    """Why nothing was found for some, by name."""


def tune(
    comparison: Comparison,
    config: CompareConfig,
    variants: Sequence[Variant],
    spending: dict[str, CellBudget],
    settled: SharedSettings,
    data: str,
    cache: DataCache,
    requester: Requester,
) -> TunedVariants:
    """Every variant with the best values of `config.tune` trials; without that, as they are."""
    if config.tune is None:
        return TunedVariants(list(variants), {}, {})
    searches = []
    for variant in variants:
        training = spending[variant.name].applied(variant.config.training)
        training = training.model_copy(update={"seed": config.seed_list[0]})
        tried = freeze_shared_settings(
            variant.config.model_copy(update={"training": training}), settled
        )
        searches.append(Search.of(comparison, variant, tried, config.tune, data))
    _carry_out([search for search in searches if search.found is None],
               config, settled, comparison.data, cache, requester)  # fmt: skip
    return _settled(searches, config.tune)


@dataclass
class Search:
    """The trials of one variant."""

    variant: Variant
    tried: RunConfig
    trials: int
    folder: Path
    key: str
    """A hash of what is tried."""
    found: TunedRecord | None = None
    """What they found, once they have."""
    failure: str | None = None
    """Why they found nothing."""

    @classmethod
    def of(
        cls, comparison: Comparison, variant: Variant, tried: RunConfig, trials: int, data: str
    ) -> Search:
        """With what its file says, where that is of the same; what is of another is put aside."""
        folder = comparison.folder / "tuning" / variant.slug
        key = cell_key(tried, data, code_version("experiments/search"))
        search = cls(variant, tried, trials, folder, key)
        before = json.loads(search.file.read_text("utf-8")) if search.file.exists() else {}
        if before.get("key") == key and before.get("trials") == trials:
            search.found = cast(TunedRecord, before)
        elif before.get("key", key) != key and folder.exists():
            aside = comparison.folder / "replaced" / "tuning"
            aside.mkdir(parents=True, exist_ok=True)
            folder.rename(next_free(aside, variant.slug))
        return search

    @property
    def file(self) -> Path:
        return self.folder.with_name(f"{self.variant.slug}.json")

    def plan(self, cache: DataCache, observer: ComparisonObserver) -> SweepPlan:
        """Everything checked. Raises `InputError`."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.file, {"key": self.key})
        config = run_config_from(_left_open(self.tried))
        asked = search_for(config, self.trials, self.folder)
        return plan_sweep(asked, progress=observer.working, cache=cache)

    def finish(self, sweep: Sweep) -> None:
        """Keep what was found."""
        try:
            best = best_in(sweep.finish())
        except RunFailed as error:
            self.failure = f"its {self.trials} trials found nothing: {error}"
            return
        values = {"key": self.key, "trials": self.trials, **best.as_dict()}
        self.found = cast(TunedRecord, values)
        write_json(self.file, self.found)


class _Telling(SweepObserver):
    """Tells a comparison's observer how far a variant's trials are."""

    def __init__(self, observer: ComparisonObserver, search: Search) -> None:
        self._observer, self._search = observer, search

    def trial_advanced(self, trial: Trial, doing: str, done: int, total: int) -> None:
        which = f"trial {trial.number + 1} of {self._search.trials}"
        self._observer.working(f"tuning {self._search.variant.name}, {which}", done, total)

    def trial_lost(self, trial: Trial, reason: str) -> None:
        name = self._search.variant.name
        self._observer.noted(f"{name}, trial {trial.number}: {reason}; it is tried again")


def _carry_out(
    searches: Sequence[Search],
    config: CompareConfig,
    settled: SharedSettings,
    data: Path,
    cache: DataCache,
    requester: Requester,
) -> None:
    """Carry out the trials of all searches, and keep what each has found."""
    if not searches:
        return
    pool, observer = requester.pool, requester.observer
    trials = sum(search.trials for search in searches)
    workers = workers_for(config, trials, settled.get("device", "cpu"), pool.cores)
    each = math.ceil(workers / len(searches))
    sweeps = [
        Sweep(search.plan(cache, observer), _Telling(observer, search), data, workers, each)
        for search in searches
    ]
    threads = threads_for(config.threads, workers, pool.cores)
    TrialRunner(sweeps, pool, workers, threads, room_of_cells(config, settled, pool)).run()
    for search, sweep in zip(searches, sweeps, strict=True):
        search.finish(sweep)


def _settled(searches: Sequence[Search], trials: int) -> TunedVariants:
    """The variants as they were found best. Raises `RunFailed` where none was."""
    failed = {search.variant.name: search.failure for search in searches if search.failure}
    found = {search.variant.name: search.found for search in searches if search.found is not None}
    if not found:
        raise RunFailed(
            Fault(
                "compare.no_trial_succeeded",
                "no strategy's trials succeeded: {reasons}",
                reasons="; ".join(f"{name}: {why}" for name, why in failed.items()),
            )
        )
    variants = [
        replace(search.variant, config=with_found(search.variant.config, search.found["values"]))
        for search in searches
        if search.found is not None
    ]
    return TunedVariants(variants, found, failed)


def _left_open(config: RunConfig) -> dict[str, Any]:
    """The config, of its strategy only what was written: the rest is there to be tried."""
    written = config.strategy.model_dump(mode="json", exclude_unset=True)
    values = config.model_dump(mode="json", exclude={"output_dir"})
    return {**values, "strategy": {"type": config.strategy.type, **written}}
