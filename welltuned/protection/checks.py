"""Checks of protections before any weight is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits, collect_file
from welltuned.data.readers.formats import ReadPath, read_path
from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.evaluation.retention_sets import RetentionSets, refuse_shared
from welltuned.protection.base import CheckContext, Protection
from welltuned.tasks import Problem, Task


def check_protections(
    protections: Sequence[Protection], setting: CheckContext, faults: Faults
) -> None:
    """Record why any of them, or their combination, cannot work."""
    for protection in protections:
        faults.extend(protection.check(setting))
    for name, number in Counter(one.type for one in protections).items():
        if number > 1:
            faults.add(
                "protection.repeated",
                "'protection' names {name} {number} times",
                None,
                "keep one of them",
                name=name,
                number=number,
            )
    if setting.has_replay and not any(one.uses_replay for one in protections):
        faults.add(
            "protection.replay_unused",
            "'data.replay' is named, but no protection uses it",
            None,
            "add protection: replay, or set `on: replay` in kl or ewc",
        )


def read_replay(
    config: DataConfig,
    task: Task,
    problem: Problem,
    data: DataSplits,
    sets: RetentionSets,
    faults: Faults,
    read: ReadPath = read_path,
) -> Records | None:
    """The replay examples, read as the task's own. None without any, or with faults.

    They must share no text with validation and test, nor with what forgetting is
    measured on.
    """
    named = config.replay
    if named is None:
        return None
    if not problem.supports_replay:
        faults.add(
            "protection.replay_unsupported",
            "task '{task}' does not support 'data.replay': its examples are prompts",
            None,
            "remove it, or use another protection such as l2sp or kl",
            task=problem.title,
        )
        return None
    before = len(faults)
    settings = DataConfig(
        train=named.data, columns=named.columns or config.columns, quoting=config.quoting
    )
    records = collect_file(named.data, settings, task.roles, faults, task.convert, read)
    if records is None or len(faults) > before:
        return None
    problem.codec.read_targets(records, faults)
    for split in ("validation", "test"):
        refuse_shared(records, data[split], f"the {split} split", config.compare_as, faults)
    sets.require_apart(records, config.compare_as, faults)
    return records if len(faults) == before else None
