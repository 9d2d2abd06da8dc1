"""Hyper-parameter search before the cells: the same number of trials for every strategy.

tuning/NAME.json  the request, the result, and its cost
tuning/NAME/      the sweep: every trial a run, none of which reads the test split

A sweep goes on where it was stopped, and what is finished is not tried again. One of other
settings or data is put aside.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from welltuned.config import RunConfig
from welltuned.errors import Fault, RunFailed
from welltuned.experiments.comparison.budget import CellBudget
from welltuned.experiments.comparison.cache_key import cell_key, code_version
from welltuned.experiments.comparison.cells import freeze_shared_settings
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.comparison.variants import Variant
from welltuned.experiments.comparison.worker.protocol import TUNE
from welltuned.experiments.comparison.worker.requests import Requester
from welltuned.experiments.search.space_reading import with_found
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import SharedSettings, TunedRecord
from welltuned.runs.folder import next_free, write_json


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
    requester: Requester,
) -> TunedVariants:
    """Every variant with the best values of `config.tune` trials; without that, as they are."""
    if config.tune is None:
        return TunedVariants(list(variants), {}, {})
    tuned = TunedVariants([], {}, {})
    for variant in variants:
        training = spending[variant.name].applied(variant.config.training)
        training = training.model_copy(update={"seed": config.seed_list[0]})
        tried = freeze_shared_settings(
            variant.config.model_copy(update={"training": training}), settled
        )
        try:
            found = _find(comparison, variant, tried, config.tune, data, requester)
        except RunFailed as error:
            tuned.failed[variant.name] = f"its {config.tune} trials found nothing: {error}"
            continue
        tuned.found[variant.name] = found
        tuned.variants.append(replace(variant, config=with_found(variant.config, found["values"])))
    if not tuned.variants:
        raise RunFailed(
            Fault(
                "compare.no_trial_succeeded",
                "no strategy's trials succeeded: {reasons}",
                reasons="; ".join(f"{name}: {why}" for name, why in tuned.failed.items()),
            )
        )
    return tuned


def _find(
    comparison: Comparison,
    variant: Variant,
    tried: RunConfig,
    trials: int,
    data: str,
    requester: Requester,
) -> TunedRecord:
    """What the trials of one variant found: from its file where it is there, else by trying."""
    folder = comparison.folder / "tuning" / variant.slug
    file = folder.with_name(f"{variant.slug}.json")
    key = cell_key(tried, data, code_version("search"))
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if before.get("key") == key and before.get("trials") == trials:
        return cast(TunedRecord, before)
    if before.get("key", key) != key and folder.exists():
        aside = comparison.folder / "replaced" / "tuning"
        aside.mkdir(parents=True, exist_ok=True)
        folder.rename(next_free(aside, variant.slug))
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"key": key})
    request = {
        "do": TUNE,
        "data": str(comparison.data),
        "name": variant.name,
        "config": _left_open(tried),
        "trials": trials,
        "folder": str(folder),
    }
    found = cast(TunedRecord, {})
    for event in requester.events_of(request):
        if event.name == "tuned":
            found = cast(TunedRecord, {"key": key, "trials": trials, **event.values})
    write_json(file, found)
    return found


def _left_open(config: RunConfig) -> dict[str, Any]:
    """The config, of its strategy only what was written: the rest is there to be tried."""
    written = config.strategy.model_dump(mode="json", exclude_unset=True)
    values = config.model_dump(mode="json", exclude={"output_dir"})
    return {**values, "strategy": {"type": config.strategy.type, **written}}
