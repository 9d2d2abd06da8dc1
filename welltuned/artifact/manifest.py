"""The manifest of an artifact, `welltuned.json`: what is needed to use, export or tune it further.

Version 2 holds the strategy with all of its options. Version 1 held its type alone; the options
are then read from the config of the run that the model folder still lies in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import TypeAdapter, ValidationError

from welltuned.errors import Fault, InputError, Place
from welltuned.models.config import ModelConfig
from welltuned.runs import Run
from welltuned.runs.folder import MANIFEST, write_json
from welltuned.schema.versions import ARTIFACT
from welltuned.strategies import AnyStrategy
from welltuned.tasks import Problem, restore_problem

CARD = "README.md"
Precision = Literal["fp32", "bf16"]
"""The inference precision of a tuned model."""


def precision_of(base: ModelConfig) -> Precision:
    """The inference precision of a model tuned from this base."""
    return "bf16" if base.dtype == "bfloat16" else "fp32"


@dataclass(frozen=True)
class Origin:
    """Which weights a model started from."""

    fingerprint: str
    """A hash of all weights but the new ones."""
    new: tuple[str, ...]
    """Names of the weights that the checkpoint did not have."""
    gguf_sha256: str | None = None
    """The hash of the GGUF file that they were read from, by which it is found again."""


@dataclass(frozen=True)
class ArtifactManifest:
    """Everything an artifact knows besides its weights, config and tokenizer."""

    problem: Problem
    """The task, bound to its labels."""
    strategy: AnyStrategy
    """How it was tuned, with all options."""
    base: ModelConfig
    """The pretrained model it was tuned from."""
    origin: Origin
    """The weights it started from."""
    max_length: int
    """Tokens per example, special tokens included."""
    precision: Precision
    """The inference precision."""
    inputs: tuple[str, ...] | None = None
    """The inputs it was trained on, such as one text or two; None where nobody knows."""
    columns: dict[str, str] = field(default_factory=dict)
    """Which column of the training file had which role, where their names differ."""
    files: tuple[str, ...] = ()
    """The names of the files it was saved as, but for the manifest and the card."""
    base_beside: str | None = None
    """The base model's folder as seen from the artifact's, so that both can be moved."""

    @classmethod
    def read(cls, folder: Path) -> ArtifactManifest:
        """Of a model folder; no weight is loaded.

        Raises `InputError` where there is none, or none that can be understood.
        """
        file = folder / MANIFEST
        if not file.exists():
            raise InputError(
                Fault(
                    "artifact.manifest_missing",
                    "the folder holds no tuned model (it has no {file})",
                    Place(str(folder)),
                    "give a run or its model folder",
                    file=MANIFEST,
                )
            )
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _not_understood(file, error) from error
        return _understood(values, file)

    def write(self, folder: Path) -> None:
        """As `welltuned.json` of a model folder."""
        values = self.to_dict()
        base = {**values["base"], "beside": _beside(self.base, folder)}
        write_json(folder / MANIFEST, {**values, "files": _files_of(folder), "base": base})

    def to_dict(self) -> dict[str, Any]:
        """All that does not depend on where it lies, with the version of its format."""
        return ARTIFACT.stamp(
            {
                "task": self.problem.to_dict(),
                "strategy": self.strategy.model_dump(mode="json"),
                "max_length": self.max_length,
                "precision": self.precision,
                "columns": {role: name for role, name in self.columns.items() if role != name},
                "inputs": None if self.inputs is None else list(self.inputs),
                "base": {**self.base.model_dump(), **asdict(self.origin)},
            }
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], file: Path) -> ArtifactManifest:
        """What `to_dict` gave, read from a file. Raises `InputError` where it cannot be."""
        return _understood(dict(values), file)

    def base_location(self, folder: Path) -> str:
        """The base model's folder or hub name; the folder beside where it has left its place."""
        there = Path(self.base.name).expanduser().exists()
        if self.base_beside and not there and (folder / self.base_beside).exists():
            beside = {"name": str(folder / self.base_beside)}
            return self.base.model_copy(update=beside).location
        return str(Path(self.base.location).expanduser())


def find_artifact(run: Run | str | os.PathLike[str]) -> Path:
    """The model folder of a run, or the folder itself where it is one. Raises `InputError`."""
    folder = run.folder if isinstance(run, Run) else Path(run).expanduser()
    if is_artifact(folder):
        return folder
    if (folder / "status.json").exists():
        return Run(folder).proven_model()
    place, remedy = Place(str(folder)), "`welltuned runs` lists runs"
    if not folder.is_dir():
        raise InputError(
            Fault("run.folder_missing", "there is no such run or model folder", place, remedy)
        )
    raise InputError(
        Fault(
            "artifact.neither_run_nor_model",
            "the folder is neither a run nor a tuned model (it has no {file})",
            place,
            remedy,
            file=MANIFEST,
        )
    )


def is_artifact(folder: Path) -> bool:
    """Whether a folder holds a model that was tuned here."""
    return (folder / MANIFEST).is_file()


def is_adapter(folder: Path) -> bool:
    """Whether an artifact holds an adapter, and not all weights."""
    return (folder / "adapter_config.json").is_file()


def _understood(values: Any, file: Path) -> ArtifactManifest:
    """A manifest from what its file says. Raises `InputError`."""
    try:
        if ARTIFACT.check(values, file) == 1:
            values["strategy"] = _options_of_version_1(file.parent, values["strategy"])
        return _from_dict({"inputs": None, "columns": {}, "files": [], **values})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _not_understood(file, error) from error


def _not_understood(file: Path, error: Exception) -> InputError:
    return InputError(
        Fault(
            "artifact.manifest_unreadable",
            "the file cannot be understood: {reason}",
            Place(str(file)),
            "restore it, install the plug-in it needs, or train again",
            reason=_reason(error),
        )
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"{where} = {first['input']!r}: {first['msg']}".removeprefix(" = ")[:300]
    return f"the key {error} is missing" if isinstance(error, KeyError) else str(error)


def _from_dict(values: dict[str, Any]) -> ArtifactManifest:
    task, base = values["task"], values["base"]
    return ArtifactManifest(
        problem=restore_problem(task),
        strategy=TypeAdapter[Any](AnyStrategy).validate_python(values["strategy"]),
        base=ModelConfig.model_validate(
            {key: base[key] for key in ModelConfig.model_fields if key in base}
        ),
        origin=Origin(base["fingerprint"], tuple(base["new"]), base.get("gguf_sha256")),
        max_length=int(values["max_length"]),
        precision=TypeAdapter[Precision](Precision).validate_python(values["precision"]),
        inputs=None if values["inputs"] is None else tuple(values["inputs"]),
        columns=values["columns"],
        files=tuple(values["files"]),
        base_beside=base.get("beside"),
    )


def _files_of(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.name not in (MANIFEST, CARD))


def _options_of_version_1(folder: Path, kind: str) -> dict[str, Any]:
    """A strategy as the run around the folder was asked for it, where there still is one."""
    config = folder.parent / "config.yaml"
    values = yaml.safe_load(config.read_text(encoding="utf-8")) if config.exists() else None
    options = values.get("strategy") if isinstance(values, dict) else None
    if isinstance(options, dict) and options.get("type") == kind:
        return options
    return {"type": kind}


def _beside(base: ModelConfig, folder: Path) -> str | None:
    path = Path(base.name).expanduser()
    return os.path.relpath(path, folder) if path.exists() else None
