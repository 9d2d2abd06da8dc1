"""What is published: a tuned model or an export of it, and the run that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from welltuned.artifact.manifest import find_artifact, is_adapter
from welltuned.errors import Fault, InputError, Place
from welltuned.models.checksums import check_sums
from welltuned.runs import Run
from welltuned.runs.export_schema import is_export, read_export
from welltuned.runs.folder import MANIFEST
from welltuned.runs.results_schema import RunResults
from welltuned.schema.local_path import is_local_path
from welltuned.schema.versions import ARTIFACT
from welltuned.schema.written_file import read_mapping
from welltuned.tasks import Problem, restore_problem


@dataclass(frozen=True)
class Subject:
    """A folder to publish, and what is known of it."""

    folder: Path
    """The model folder, or that of an export."""
    manifest: Mapping[str, Any]
    """What `welltuned.json` says."""
    run: Run | None
    """The run whose scores it has; None where the folder stands alone."""
    export: Mapping[str, Any] | None
    """What `export.json` says; None of a model that is not exported."""

    @classmethod
    def of(cls, given: str | Path) -> Subject:
        """Of a run, a model folder or an export; its files are as they were saved.

        Raises `InputError` where it is none of these, damaged, or of a newer version.
        """
        folder = Path(given).expanduser().resolve()  # its run lies around it, also around "."
        if is_export(folder):
            export = read_export(folder)
            subject = cls(folder, export["model"], _run_at(export["run"]), export)
        else:
            model = find_artifact(folder)
            run = _run_at(model.parent if model.samefile(folder) else folder)
            subject = cls(model, ARTIFACT.read(model / MANIFEST), run, None)
        check_sums(subject.folder)
        return subject

    @property
    def problem(self) -> Problem:
        try:
            return restore_problem(self.manifest["task"])
        except (ValueError, KeyError) as error:
            raise InputError(
                Fault(
                    "hub.task_unknown",
                    "the task of the model cannot be read: {reason}",
                    Place(str(self.folder)),
                    "install the plug-in it needs",
                    reason=str(error),
                )
            ) from error

    @property
    def strategy(self) -> str:
        """How it was tuned, by the strategy's name."""
        return str(self.manifest["strategy"]["type"])

    @property
    def is_adapter(self) -> bool:
        """Whether it needs the weights of its base model."""
        return self.export is None and is_adapter(self.folder)

    @property
    def base(self) -> str:
        """The base model as its run named it."""
        return str(self.manifest["base"]["name"])

    @property
    def base_on_hub(self) -> str | None:
        """The base model's name on the Hub; None where it came from elsewhere."""
        name = self.base
        elsewhere = name.startswith("package:") or is_local_path(name) or Path(name).exists()
        return None if elsewhere else name

    @property
    def results(self) -> RunResults | None:
        """What the run has measured; None where there is no finished run."""
        return (self.run.results or None) if self.run is not None else None

    @property
    def data(self) -> Mapping[str, Any] | None:
        """The facts of its data; None where nobody knows."""
        return self._read("data.json")

    @property
    def environment(self) -> Mapping[str, Any] | None:
        """Where it was trained; None where nobody knows."""
        return self._read("environment.json")

    def _read(self, name: str) -> Mapping[str, Any] | None:
        """A file of the run or, of one with stages or folds, of the run that holds the model."""
        there = [self.folder.parent, *([self.run.folder] if self.run is not None else [])]
        file = next((place / name for place in reversed(there) if (place / name).exists()), None)
        return None if file is None or self.run is None else read_mapping(file)


def _run_at(place: object) -> Run | None:
    folder = Path(str(place)) if place else None
    is_run = folder is not None and (folder / "status.json").is_file()
    return Run(folder) if folder is not None and is_run else None
