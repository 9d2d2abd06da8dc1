"""Run folder: plain files, each written atomically.

config.yaml         resolved, with schema_version
status.json         {"state": "running|finished|failed|stopped", "step", "error"}, and
                    "diagnosis", "skipped_steps" and "micro_batch_size" once there are some
environment.json    versions, device, commit, fingerprints, seed
data.json           what is known of the data
trained_on.npy      hashes of the training texts, by which evaluation knows them again
metrics.jsonl       one fsynced line per log step
results.json        scores, baselines, cost, proof
predictions.jsonl   the test split: id, label, prediction, probabilities
                    (of the validation split where the test split stays sealed)
checkpoints/        step-N/, the best weights
not_finite/         step-N.json, what a step was made of whose loss or gradient was no number
start.json          what was decided before the first step
resume/             step-N/, what an interrupted run goes on from
model/              the portable artifact
report.html         one file, no network
exports/FORMAT/     exported models, each with its proof (`export_schema.py`)
trackers.json       what each tracker of `training.report_to` calls the run, or why it failed
tensorboard/        event files, where that is one of them
folds/N/, final/    of a run with `data.folds` (`cross_validated.py`): ordinary runs
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from welltuned.errors import Fault, InputError, Place, RunFailed
from welltuned.runs.disk import make_folder, writing
from welltuned.runs.ownership import is_free, is_owned
from welltuned.runs.results_schema import RunResults
from welltuned.runs.status_schema import RunStatus
from welltuned.schema.secrets import MASK, masked, masked_keys
from welltuned.schema.versions import RUN_CONFIG, RUN_RESULTS
from welltuned.schema.written_file import read_mapping

START = "start.json"
"""The file that says what was decided before the first step, once that is to come."""
MANIFEST = "welltuned.json"
"""The file in the model folder that says what the artifact is."""


@dataclass(frozen=True)
class Run:
    """A run, by its folder."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Run:
        """Begin a run in a new or empty folder. Raises `InputError` when it holds anything."""
        make_folder(folder)
        if not is_free(folder):
            raise InputError(
                Fault(
                    "run.folder_in_use",
                    "the output folder is already in use",
                    Place(str(folder)),
                    "choose another output_dir; nothing is ever overwritten",
                )
            )
        return cls(folder)

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """An existing run. Raises `InputError` when the folder is none."""
        path = Path(folder).expanduser()
        if not (path / "status.json").exists():
            raise InputError(
                Fault(
                    "run.not_a_run",
                    "not a run folder: it has no status.json",
                    Place(str(path)),
                    "`welltuned runs` lists runs",
                )
            )
        return cls(path)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def model(self) -> Path:
        """The portable artifact."""
        return self.folder / "model"

    def proven_model(self) -> Path:
        """The artifact's folder: of a pipeline that of its last stage, of folds of the final run.

        Raises `InputError` when there is none that was proved.
        """
        stages, folds = self.results.get("stages"), self.results.get("cross_validation")
        if last := (stages and stages["rl"]) or (folds and folds["final"]):
            return Run(self.folder / last).proven_model()
        if not (self.model / MANIFEST).exists() or not self.results:
            raise InputError(
                Fault(
                    "run.without_model",
                    "the run has no tuned model (it is {state})",
                    Place(str(self.folder)),
                    "choose a finished run",
                    state=self.state,
                )
            )
        return self.model

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def snapshots(self) -> Path:
        """What it goes on from after an interruption."""
        return self.folder / "resume"

    @property
    def not_finite(self) -> Path:
        """What steps were made of that were not taken."""
        return self.folder / "not_finite"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def status(self) -> RunStatus:
        """`{"state", "step", "error"}`, and what else is known of how it stands.

        Raises `InputError` where the file is damaged.
        """
        file = self.folder / "status.json"
        values = read_mapping(file)
        if "state" not in values:
            raise InputError(
                Fault(
                    "run.status_without_state",
                    "the file does not say how the run stands: it has no 'state'",
                    Place(str(file)),
                    "restore it, or move its folder away",
                )
            )
        return cast(RunStatus, values)

    @property
    def state(self) -> str:
        """running, finished, failed or stopped."""
        return str(self.status["state"])

    @property
    def is_finished(self) -> bool:
        """Whether it has finished; one that is missing or whose status is damaged has not."""
        return self._stands_at("finished")

    @property
    def is_running(self) -> bool:
        """Whether it says that it is at work, as one that was killed does too."""
        return self._stands_at("running")

    @property
    def was_killed(self) -> bool:
        """Whether it says that it is at work while nobody is."""
        return self.is_running and not is_owned(self.folder)

    def _stands_at(self, state: str) -> bool:
        try:
            return self.state == state
        except (OSError, InputError):
            return False

    @property
    def step(self) -> int:
        """How far it says that it has come; 0 where it does not say."""
        try:
            return self.status.get("step", 0)
        except (OSError, InputError):
            return 0

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config; empty when the run ended before it was written.

        Raises `InputError` when a newer version has written it.
        """
        file = self.folder / "config.yaml"
        return RUN_CONFIG.read(file) if file.exists() else {}

    @property
    def is_pipeline(self) -> bool:
        """Whether it is a pipeline, whose stages are runs of their own."""
        return "pipeline" in self.config

    @property
    def results(self) -> RunResults:
        """results.json; empty when the run has none (yet).

        Raises `InputError` when a newer version has written it.
        """
        file = self.folder / "results.json"
        return cast(RunResults, RUN_RESULTS.read(file) if file.exists() else {})

    @property
    def judged(self) -> Literal["test", "validation"]:
        """The split that the run is judged by: test or, where that stays sealed, validation."""
        return "test" if "test" in self.results else "validation"

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder. Raises `InputError` where it is damaged."""
        return read_mapping(self.folder / name)

    def read_lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The rows of a JSON-lines file, none when it is missing.

        A last line cut short by a crash is passed over.
        """
        file = self.folder / name
        if not file.exists():
            return
        lines = file.read_text(encoding="utf-8").split("\n")
        yield from (json.loads(line) for line in lines[:-1])

    def write(self, name: str, values: Mapping[str, object]) -> None:
        """A whole file, as YAML or JSON by its suffix; secrets in it are masked."""
        if name.endswith(".yaml"):
            write_atomically(self.folder / name, yaml_text(values))
        else:
            write_json(self.folder / name, values)

    def write_lines(self, name: str, rows: Iterable[Mapping[str, object]]) -> None:
        """A whole JSON-lines file."""
        write_atomically(self.folder / name, "".join(_json(row) + "\n" for row in rows))

    def append(self, name: str, row: Mapping[str, object]) -> None:
        """One line at the end of a JSON-lines file, on disk when this returns."""
        line = _json(row) + "\n"
        with writing(self.folder / name, len(line)), (self.folder / name).open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def size_of(self, name: str) -> int:
        """Bytes of a file; 0 where there is none."""
        file = self.folder / name
        return file.stat().st_size if file.exists() else 0

    def cut(self, name: str, size: int) -> None:
        """Take back what was appended to a file since it had so many bytes."""
        if self.size_of(name) > size:
            os.truncate(self.folder / name, size)

    def set_status(self, state: str, step: int = 0, error: str | None = None) -> None:
        """Say how the run stands. What else is known of it stays."""
        try:
            made: Mapping[str, object] = self.status
        except (OSError, InputError):
            made = {}
        values = {**made, "state": state, "step": step, "error": error}
        try:
            self.write("status.json", values)
        except RunFailed:
            if not made:
                raise
            self._overwrite("status.json", values)

    def _overwrite(self, name: str, values: Mapping[str, object]) -> None:
        """A small file in the room that it has: a full disk must not keep a run from saying so."""
        with (self.folder / name).open("r+b") as file:
            file.write((_json(masked(values), indent=2) + "\n").encode())
            file.truncate()
            file.flush()
            os.fsync(file.fileno())

    def set_diagnosis(self, words: Mapping[str, str]) -> None:
        """Say what its curves tell: the verdict, what shows it, and what to try."""
        self.tell(diagnosis=words)

    def tell(self, **facts: object) -> None:
        """Say more of how it stands; the rest of its status stays."""
        self.write("status.json", {**self.status, **facts})


def list_runs(folder: Path) -> list[Run]:
    """All runs at or below a folder, those inside other runs included, oldest first."""
    found = sorted(folder.rglob("status.json"), key=lambda file: (file.stat().st_mtime, str(file)))
    return [Run(file.parent) for file in found]


def next_free(parent: Path, stem: str) -> Path:
    """`parent/stem`, or with the lowest number behind it that is not taken."""
    number, folder = 1, parent / stem
    while folder.exists():
        number += 1
        folder = parent / f"{stem}-{number}"
    return folder


def write_atomically(file: Path, text: str) -> None:
    """Write beside, fsync and rename.

    A reader sees the old file or the new one, never half of one. Raises `RunFailed` where there
    is no room or no permission.
    """
    beside = file.with_name(f".{file.name}.new")
    content = text.encode()
    with writing(file, len(content), half=beside):
        with beside.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(file)


def write_json(file: Path, values: Mapping[str, object]) -> None:
    """A whole JSON file; numbers that are not finite become null, and secrets are masked."""
    write_atomically(file, _json(masked(values), indent=2) + "\n")


def yaml_text(values: Mapping[str, object]) -> str:
    """A config as YAML; secrets are masked, and the first line says which."""
    hidden = masked(values)
    text = yaml.safe_dump(hidden, sort_keys=False, allow_unicode=True, width=100)
    keys = ", ".join(masked_keys(hidden))
    return (
        f"# {MASK} stands for secrets that are not written down: {keys}\n{text}" if keys else text
    )


def _json(values: Mapping[str, object], indent: int | None = None) -> str:
    """JSON that every reader takes: numbers that are not finite become null."""
    return json.dumps(_plain(values), ensure_ascii=False, indent=indent, allow_nan=False)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if abs(value) != float("inf") and value == value else None
    return value
