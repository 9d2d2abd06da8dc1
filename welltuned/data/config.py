"""`data:` — the data section of a config."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.schema.document import Part, conflict


class SplitConfig(Part):
    """How large the parts are that are cut off when no file is given for them."""

    validation: float = Field(default=0.1, gt=0, lt=1)
    """The share of the data that becomes the validation split."""
    test: float = Field(default=0.1, gt=0, lt=1)
    """The share of the data that becomes the test split."""
    seed: int = 0
    """The cut is a pure function of this and the data; it does not follow `training.seed`."""
    stratify: bool = True
    """Keep the shares of the labels equal in all parts."""

    @model_validator(mode="after")
    def _leaves_something(self) -> SplitConfig:
        if self.validation + self.test >= 1:
            raise conflict(
                "data.split_leaves_nothing",
                "'data.split' leaves nothing to train on",
                "let validation + test be below 1",
            )
        return self


class ExtraDataset(Part):
    """A data set besides the three splits; a bare path will do."""

    shorthand: ClassVar[str | None] = "data"

    data: str = Field(examples=["general.jsonl"])
    """A file as `data.train` takes it, or `demo:NAME`."""
    columns: dict[str, str] = Field(default_factory=dict, examples=[{"text": "sentence"}])
    """Which column has which role; found by name when not given."""

    @model_validator(mode="before")
    @classmethod
    def _a_bare_path(cls, given: Any) -> Any:
        return {"data": given} if isinstance(given, str) else given


class DataConfig(Part):
    """Where the examples are, and what may be done with them."""

    shorthand: ClassVar[str | None] = "train"

    train: str = Field(examples=["train.jsonl"])
    """A CSV, TSV, JSON, JSON-lines, Parquet or CoNLL file, a folder that holds
    train/validation/test files, a folder saved by `datasets`, a hub name, or `demo:NAME`."""
    validation: str | None = Field(default=None, examples=["validation.jsonl"])
    """The file that chooses the best checkpoint.
    Without one, a part of the training data is cut off."""
    test: str | None = Field(default=None, examples=["test.jsonl"])
    """The file that is read once, at the end.
    Without one, a part of the training data is cut off."""
    replay: ExtraDataset | None = None
    """Examples of before, for a protection that mixes them in or holds on to them."""
    columns: dict[str, str] = Field(
        default_factory=dict, examples=[{"text": "sentence", "label": "polarity"}]
    )
    """Which column has which role, such as {text: sentence, label: polarity};
    found by name when not given."""
    split: SplitConfig = SplitConfig()
    """How missing splits are cut off the training data."""
    subset: str | None = Field(default=None, examples=["sst2"])
    """The configuration of a hub data set."""
    revision: str | None = Field(default=None, examples=["main"])
    """The branch, tag or commit of a hub data set."""
    max_train_examples: int | None = Field(default=None, ge=2)
    """Use only this many training examples, drawn by `split.seed`
    with the shares of the labels kept."""
    sample_seed: int | None = None
    """The seed of that draw, where it shall not be `split.seed`."""
    duplicates: Literal["error", "drop", "keep"] = "error"
    """A text of validation or test that is also in train:
    stop, drop it from train, or keep it and say so."""
    compare_as: Literal["text", "code"] = "text"
    """When texts count as equal: by letters and digits alone,
    or (code) by everything but white space."""
    quoting: Literal["auto", "standard", "none"] = "auto"
    """Whether quotation marks enclose fields. auto: yes in CSV, no in TSV."""
