"""The folder of a comparison: one data set, one question, resumable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from welltuned.config import RunConfig
from welltuned.data.facts import DataFacts
from welltuned.data.sources import name_of
from welltuned.data.table import SPLITS
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.comparison.variants import Variant
from welltuned.experiments.cross_validation.fold_runs import check_folds
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import SplitRecord
from welltuned.runs.folder import next_free
from welltuned.schema.secrets import masked
from welltuned.training.preparation.data_cache import DataCache


def check_data(variants: Sequence[Variant], cache: DataCache) -> DataFacts:
    """The data's facts. Raises `InputError` when variants would see different data."""
    found: list[tuple[Variant, DataFacts]] = []
    for variant in (one for one in variants if one.impossible is None):
        like = next((f for v, f in found if _reads_like(v.config, variant.config)), None)
        found.append((variant, like or _collect(variant.config, cache)))
    first, facts = found[0]
    for variant, other in found[1:]:
        if other.fingerprint != facts.fingerprint:
            raise InputError(
                Fault(
                    "compare.data_differ",
                    "'{name}' would use other data than '{first}': {difference}",
                    None,
                    "compare on the same splits: remove what changes them from the strategy",
                    name=variant.name,
                    first=first.name,
                    difference=_difference(splits_of(other), splits_of(facts)),
                )
            )
    return facts


def _reads_like(one: RunConfig, other: RunConfig) -> bool:
    return one.data == other.data and one.task.type == other.task.type


def _collect(config: RunConfig, cache: DataCache) -> DataFacts:
    """The facts of a run's data; of folds, all of which are read, those of the first."""
    faults = Faults()
    if config.data.is_cross_validated:
        check_folds(config, cache)
    data = cache.splits(config.data.of_one_run, config.task, faults)
    faults.raise_if_any()
    assert data is not None
    return data.facts


def splits_of(facts: DataFacts) -> dict[str, SplitRecord]:
    """How many examples each split has, and what they are."""
    return {
        split: {"rows": facts.splits[split].rows, "fingerprint": facts.splits[split].fingerprint}
        for split in SPLITS
    }


def _difference(these: dict[str, SplitRecord], those: dict[str, SplitRecord]) -> str:
    """`train has 900 examples and not 1,000; test differs`."""
    parts = []
    for split in SPLITS:
        this, that = these[split], those[split]
        if this["rows"] != that["rows"]:
            parts.append(f"{split} has {this['rows']:,} examples, not {that['rows']:,}")
        elif this["fingerprint"] != that["fingerprint"]:
            parts.append(f"{split} has other examples, as many as before")
    return "; ".join(parts)


def find_folder(
    config: CompareConfig, facts: DataFacts, tell: Callable[[str], object] = lambda text: None
) -> Comparison:
    """The comparison's folder, where it may go on. Raises `InputError` when it must not.

    `tell` hears why a comparison that was begun does not go on in a folder that is chosen for it.
    """
    if config.output_dir is None:
        return _own_folder(config, facts, tell)
    folder = Path(config.output_dir).expanduser()
    if folder.exists() and not folder.is_dir():
        raise InputError(_in_use(folder))
    comparison = Comparison(folder)
    held = [path for path in folder.glob("*") if not _is_left_over(path)]
    if held and not Comparison.is_at(folder):
        raise InputError(_in_use(folder))
    if (difference := _other_data(comparison, facts)) is not None:
        raise InputError(
            Fault(
                "compare.folder_of_other_data",
                "the comparison in this folder used other data: {difference}",
                Place(str(folder)),
                "choose another output_dir, or bring the data back",
                difference=difference,
            )
        )
    return comparison


def _other_data(comparison: Comparison, facts: DataFacts) -> str | None:
    """How the data differ from those that cells have finished with, if they do."""
    before = comparison.record.get("data")
    if not before or before["fingerprint"] == facts.fingerprint or not _has_finished(comparison):
        return None
    return _difference(splits_of(facts), before["splits"])


def _own_folder(
    config: CompareConfig, facts: DataFacts, tell: Callable[[str], object]
) -> Comparison:
    """Where the same comparison of the same data was begun, or a new folder."""
    name = name_of(config.data.train) or "data"
    asked, parent = asked_for(config), Path("comparisons")
    changed = None
    for folder in sorted(parent.glob(f"{name}*")):
        if Comparison(folder).record.get("asked") != asked:
            continue
        if (difference := _other_data(Comparison(folder), facts)) is None:
            return Comparison(folder)
        changed = f"the data have changed since {folder}: {difference}; it stays as it is"
    if changed is not None:
        tell(changed)
    return Comparison(next_free(parent, name))


def asked_for(config: CompareConfig) -> dict[str, object]:
    """The config as it is remembered: neither how its report reads nor who runs it matters."""
    return masked(config.model_dump(mode="json", exclude={"output_dir", "report", "executor"}))


def _is_left_over(path: Path) -> bool:
    """What a comparison that was stopped before its first record leaves: its lock, its data."""
    return path.name == ".lock" or (path / "journal.jsonl").exists()


def _in_use(folder: Path) -> Fault:
    return Fault(
        "compare.folder_in_use",
        "the output folder is already in use, and not by a comparison",
        Place(str(folder)),
        "choose another output_dir; nothing is ever overwritten",
    )


def _has_finished(comparison: Comparison) -> bool:
    return any((comparison.folder / "cells").glob("*/*/cell.json"))
