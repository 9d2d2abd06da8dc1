"""A run's config as a person wrote it, with every fault of it and of its data at once."""

from __future__ import annotations

from collections.abc import Iterable

from welltuned.config import RunConfig, read_run_config
from welltuned.data.config import DataConfig
from welltuned.data.load_splits import collect
from welltuned.errors import Faults, InputError
from welltuned.schema.document import Document
from welltuned.schema.part import Part
from welltuned.schema.validation import expand_shorthand, validate
from welltuned.tasks import DEFAULT_TASK, AnyTask


def load_config(file: str | None, overrides: Iterable[str]) -> RunConfig:
    """The config as a person wrote it.

    Raises `InputError` with all faults: those of the data too, if those can be read.
    """
    faults = Faults()
    config, document = read_run_config(file, overrides, faults)
    if config is None:
        _inspect_data_anyway(document, faults)
        raise InputError(faults)
    return config


def _inspect_data_anyway(document: Document, faults: Faults) -> None:
    """With a faulty config, look at the data all the same when its own part is right.

    So all faults show at once.
    """
    part = _data_and_task(document)
    if part is None:
        return
    data = collect(part.data.of_one_run, part.task.roles, faults, part.task.convert)
    if data is not None:
        part.task.bind(data, 0.0, faults)


class _DataAndTask(Part):
    data: DataConfig
    task: AnyTask = DEFAULT_TASK


def _data_and_task(document: Document) -> _DataAndTask | None:
    """The data, and the task that reads them: as written or, if that is faulty, its type alone."""
    task = document.values.get("task") or DEFAULT_TASK.type
    kind = task.get("type", DEFAULT_TASK.type) if isinstance(task, dict) else task
    for tried in (task, {"type": kind}):
        values = expand_shorthand(
            _DataAndTask, {"data": document.values.get("data"), "task": tried}
        )
        part = validate(_DataAndTask, Document(values, source=document.source), Faults())
        if part is not None:
            return part
    return None
