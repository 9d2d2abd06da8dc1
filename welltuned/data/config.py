"""`data:` — the data section of a config."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.schema.part import Part, conflict


class SplitConfig(Part):
    """Sizes of the splits held out from the training data where no file is given."""

    validation: float = Field(default=0.1, gt=0, lt=1)
    """The share of the data held out for validation."""
    test: float = Field(default=0.1, gt=0, lt=1)
    """The share of the data held out for testing."""
    seed: int = 0
    """The split is a pure function of this seed and the data, independent of `training.seed`."""
    stratify: bool = True
    """Stratified split: keep the label proportions equal in all splits."""

    @model_validator(mode="after")
    def _leaves_something(self) -> SplitConfig:
        if self.validation + self.test >= 1:
            raise conflict(
                "data.split_leaves_nothing",
                "'data.split' leaves nothing to train on",
                "make validation + test less than 1",
            )
        return self


class ExtraDataset(Part):
    """A data set besides the three splits; a bare path suffices."""

    shorthand: ClassVar[str | None] = "data"

    data: str = Field(examples=["general.jsonl"])
    """A file as `data.train` takes it, or `demo:NAME`."""
    columns: dict[str, str] = Field(default_factory=dict, examples=[{"text": "sentence"}])
    """Column mapping: which column has which role; inferred from names when not given."""

    @model_validator(mode="before")
    @classmethod
    def _a_bare_path(cls, given: Any) -> Any:
        return {"data": given} if isinstance(given, str) else given


class DataConfig(Part):
    """Where the examples are, and how they are split and checked."""

    shorthand: ClassVar[str | None] = "train"

    train: str = Field(examples=["train.jsonl"])
    """A CSV, TSV, JSON, JSON-lines, Parquet or CoNLL file, a folder that holds
    train/validation/test files, a folder saved by `datasets`, a hub name, or `demo:NAME`."""
    validation: str | None = Field(default=None, examples=["validation.jsonl"])
    """The validation file, which selects the best checkpoint. Without one, a split is held out from
    the training data."""
    test: str | None = Field(default=None, examples=["test.jsonl"])
    """The test file, evaluated once, at the end. Without one, a split is held out from the
    training data."""
    replay: ExtraDataset | None = None
    """Replay examples from earlier training, for a protection that mixes them in or penalises
    drift on them."""
    columns: dict[str, str] = Field(
        default_factory=dict, examples=[{"text": "sentence", "label": "polarity"}]
    )
    """Column mapping: which column has which role, such as {text: sentence, label: polarity};
    inferred from names when not given."""
    split: SplitConfig = SplitConfig()
    """How missing splits are held out from the training data."""
    subset: str | None = Field(default=None, examples=["sst2"])
    """The configuration of a hub data set."""
    revision: str | None = Field(default=None, examples=["main"])
    """The branch, tag or commit of a hub data set."""
    max_train_examples: int | None = Field(default=None, ge=2)
    """Use only this many training examples: a stratified sample, drawn with `split.seed`."""
    sample_seed: int | None = None
    """The seed of that sample; default `split.seed`."""
    duplicates: Literal["error", "drop", "keep"] = "error"
    """Leakage, a validation or test text that is also in train: stop, drop it from train, or keep
    it and report it."""
    compare_as: Literal["text", "code"] = "text"
    """When texts count as duplicates. text: where they differ in nothing but case, white space,
    the width of East Asian signs, apostrophes, and a mark at their end; code: in nothing but
    white space."""
    quoting: Literal["auto", "standard", "none"] = "auto"
    """Whether quotation marks enclose fields. auto: yes in CSV, no in TSV."""
