"""What an export format is: what it can hold, what it needs, and how it is written and opened."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from welltuned.errors import Fault, InputError, Place
from welltuned.runs.export_schema import ExportFile, ExportProof

if TYPE_CHECKING:
    from torch import nn

    from welltuned.artifact.manifest import ArtifactManifest
    from welltuned.artifact.save_load import Artifact
    from welltuned.runs import Run

LOADER = "predict.py"
"""What answers without torch, beside an exported model."""


@dataclass(frozen=True)
class ExportJob:
    """One export: of what, where to, and what it may cost."""

    folder: Path
    """The artifact's."""
    run: Run | None
    """The run that it lies in, whose data prove the export; None where it stands alone."""
    target: Path
    precision: str
    drop: float
    """The most points of the score that may be lost."""
    tell: Callable[[str], object]
    """Hears what is being done."""


@dataclass(frozen=True)
class WrittenExport:
    """What a format has written, and what proves it."""

    files: tuple[str, ...]
    """Of the weights, in the target folder."""
    recipe: str
    """How the precision was reached."""
    inputs: tuple[str, ...] = ()
    """Names of the graph's inputs, where there is a graph."""
    kept: tuple[str, ...] = ()
    """Blocks that stayed in higher precision."""
    proof: ExportProof | None = None
    loader: Path | None = None
    """A script that answers without torch."""
    told: dict[str, object] = field(default_factory=dict)
    """What the format has to say besides, for `export.json`."""


class ExportFormat(ABC):
    """A format that a tuned model can be written in."""

    name: ClassVar[str]
    """What `to=` calls it."""
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    """Those it has, the default first."""
    extra: ClassVar[str | None] = None
    """The extra of welltuned that installs what it needs."""
    packages: ClassVar[tuple[str, ...]] = ()
    """What it imports of it."""
    runtime: ClassVar[tuple[str, ...]] = ()
    """Those of them that run what was written."""

    def refusal(self, manifest: ArtifactManifest) -> Fault | None:
        """Why the format holds no model of this kind, as is known before its weights are loaded;
        None where it may. Raises `InputError` where the strategy says why."""
        return None

    def holds(self, artifact: Artifact) -> Fault | None:
        """Why the format cannot hold a tuned model; None where it can."""
        return None

    @abstractmethod
    def write(self, artifact: Artifact, job: ExportJob) -> WrittenExport:
        """Write the model into the empty folder `job.target`, and prove it.

        The artifact is the job's, freshly loaded, and may be changed. Raises `RunFailed` where what
        was written does not answer as the original does.
        """

    def open(self, folder: Path, told: ExportFile) -> nn.Module:
        """What was written, as a model that takes batches and gives logits."""
        raise InputError(
            Fault(
                "export.not_opened_here",
                "a model in the format {format} is not for welltuned to run",
                Place(str(folder)),
                "run it with the library it was written for",
                format=self.name,
            )
        )

    def require_packages(self, names: Sequence[str] | None = None) -> None:
        """Raise `InputError` where a package is not installed: of these, or of all it needs."""
        needed = self.packages if names is None else names
        missing = [name for name in needed if importlib.util.find_spec(name) is None]
        if missing:
            raise InputError(
                Fault(
                    "export.package_missing",
                    "the format {format} needs {packages}",
                    None,
                    "pip install 'welltuned[{extra}]'",
                    format=self.name,
                    packages=", ".join(missing),
                    extra=self.extra,
                )
            )

    def chosen_precision(self, asked: str | None) -> str:
        """The precision asked for, or the format's own. Raises `InputError`."""
        if asked is None:
            return self.precisions[0]
        if asked not in self.precisions:
            raise InputError(
                Fault(
                    "export.precision_unknown",
                    "the format {format} has no precision '{precision}'",
                    None,
                    "choose {known}",
                    format=self.name,
                    precision=asked,
                    known=" or ".join(self.precisions),
                )
            )
        return asked


def merged_how(artifact: Artifact) -> str:
    """How an adapter was merged, in words."""
    kind = artifact.manifest.base.quantization
    return "merged, as it was trained" if kind is None else f"merged, its base not in {kind}"


def cannot_hold(format: str, reason: str, remedy: str) -> Fault:
    """Why a format is no home for a model."""
    return Fault(
        "export.cannot_hold",
        "the format {format} cannot hold this model: {reason}",
        None,
        "{remedy}",
        format=format,
        reason=reason,
        remedy=remedy,
    )
