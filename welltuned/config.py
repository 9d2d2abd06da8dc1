"""RunConfig: the whole configuration of a run, as one frozen, validated object."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.data.config import DataConfig
from welltuned.engines.config import TrainingConfig
from welltuned.errors import Faults
from welltuned.evaluation.config import EvaluationConfig
from welltuned.models.config import ModelConfig
from welltuned.protection import Protections
from welltuned.schema.document import Document, apply_overrides, read_document
from welltuned.schema.field_types import ImportPath
from welltuned.schema.part import Part, conflict
from welltuned.schema.validation import validate
from welltuned.schema.versions import drop_version
from welltuned.strategies import AnyStrategy, default_strategy
from welltuned.tasks import DEFAULT_TASK, AnyTask


class ReportConfig(Part):
    """How the report is written."""

    language: Literal["en", "zh"] = "en"
    """English, or 中文."""


class RunConfig(Part):
    """A whole run: model, task, data, strategy, training, engine."""

    reads_unlabelled: ClassVar[bool] = False
    """Whether `data.unlabelled` is read."""

    model: ModelConfig
    """The pretrained model to start from."""
    data: DataConfig
    """The data set to train on."""
    task: AnyTask = DEFAULT_TASK
    """The task to train for."""
    strategy: AnyStrategy = Field(default_factory=default_strategy)
    """Which weights train, and when."""
    training: TrainingConfig = TrainingConfig()
    """Hyper-parameters."""
    protection: Protections = ()
    """Regularisation or replay against catastrophic forgetting."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """What is evaluated besides the validation score."""
    engine: Literal["torch", "hf"] | ImportPath = "torch"
    """The training loop that runs the steps: the plain PyTorch loop, or Hugging Face's `Trainer`;
    results are equal. Or a function of your own, `Job -> Outcome`, by import path:
    `mine.loop.train`."""
    report: ReportConfig = ReportConfig()
    """How the report is written."""
    output_dir: str | None = Field(default=None, examples=["runs/mine"])
    """The run's output folder. Default: runs/DATA-STRATEGY-N."""

    @property
    def of_one_run(self) -> RunConfig:
        """The same; of a cross-validation, its first run."""
        return self.model_copy(update={"data": self.data.of_one_run})

    def of_fold(self, fold: int | Literal["all"]) -> RunConfig:
        """One run of a cross-validation."""
        return self.model_copy(update={"data": self.data.of_fold(fold)})

    @model_validator(mode="after")
    def _unlabelled_is_read(self) -> RunConfig:
        if self.data.unlabelled is not None and not self.reads_unlabelled:
            raise conflict(
                "run.unlabelled_unread",
                "'data.unlabelled' is for 'pipeline: adapt', and no other run reads it",
                "add pipeline: adapt, or remove it",
            )
        return self

    @model_validator(mode="after")
    def _test_splits_are_read(self) -> RunConfig:
        if self.data.fold == "all" and self.evaluation.test:
            raise conflict(
                "run.no_test_split",
                "'data.fold: all' leaves no test split to evaluate on",
                "add evaluation.test=false, or name a fold",
            )
        if self.data.is_cross_validated and not self.evaluation.test:
            raise conflict(
                "run.folds_sealed",
                "'evaluation.test: false' seals the test split, but every fold of 'data.folds' is "
                "read as one",
                "remove one of the two",
            )
        return self


def read_run_config(
    file: str | Path | None, overrides: Iterable[str], faults: Faults
) -> tuple[RunConfig | None, Document]:
    """Read a YAML file and `key=value` overrides.

    The config is None when there were faults; they are recorded.
    """
    document = read_document(Path(file), faults) if file is not None else Document()
    apply_overrides(document, overrides, RunConfig, faults)
    if len(faults) and not document.values:
        return None, document
    if not drop_version(document, faults):
        return None, document
    config = validate(RunConfig, document, faults)
    return (None if len(faults) else config), document


def run_config_from(values: dict[str, object]) -> RunConfig:
    """A config from keyword arguments, as `wt.train(model=…, data=…)` takes them.

    Raises `InputError`.
    """
    faults = Faults()
    config = validate(RunConfig, Document(values=values, source="arguments"), faults)
    faults.raise_if_any()
    assert config is not None
    return config
