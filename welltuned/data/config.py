"""`data:` — the data section of a config."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from welltuned.data.cells import join_names, split_names
from welltuned.schema.field_types import GoesWith
from welltuned.schema.part import Part, conflict


def _as_written(column: object) -> object:
    """A number that names a column, as YAML reads `text: 0`."""
    return str(column) if type(column) in (int, float) else column


ColumnName = Annotated[str, BeforeValidator(_as_written)]
"""The name of a column, also where it is a number."""


def _as_mapped(column: object) -> object:
    """Several columns as one text, and null as a name that no column has."""
    if isinstance(column, list):
        return join_names(column)
    return "" if column is None else _as_written(column)


NEAR_DUPLICATES = "near_duplicates"
"""What `groups` calls texts that are nearly the same."""

MappedColumn = Annotated[str, BeforeValidator(_as_mapped)]
"""The name of a column that has a role, those of several, or none."""


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
    columns: dict[str, MappedColumn] = Field(default_factory=dict, examples=[{"text": "sentence"}])
    """Column mapping: which column has which role; inferred from names when not given."""

    @model_validator(mode="before")
    @classmethod
    def _a_bare_path(cls, given: Any) -> Any:
        return {"data": given} if isinstance(given, str) else given


class DataConfig(Part):
    """Where the examples are, and how they are split and checked."""

    shorthand: ClassVar[str | None] = "train"

    train: str = Field(examples=["train.jsonl"])
    """A CSV, TSV, JSON, JSON-lines, Excel, Parquet or CoNLL file, a folder that holds
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
    unlabelled: ExtraDataset | None = Field(default=None, examples=["texts.jsonl"])
    """Texts without labels, which `pipeline: adapt` reads before the task is learned; any file that
    the readers read, with its column of texts."""
    corrections: list[str] = Field(default=[], examples=["suspects/reviews/suspects.csv"])
    """Tables of checked labels, by the ids of their records, which take the place of those in the
    data; a blank one leaves its record out. `welltuned data suspects` writes such a table."""
    columns: dict[str, MappedColumn] = Field(
        default_factory=dict, examples=[{"text": "sentence", "label": "polarity"}]
    )
    """Column mapping: which column has which role, such as {text: sentence, label: polarity};
    inferred from names when not given. Dots lead to keys within a column: {text: review.text}. An
    empty name says that no column has the role;
    `labels: [toxic, insult]` names columns that each say 0 or 1 for one label."""
    missing: list[str] | None = Field(default=None, examples=[["nan", "NA", "-1"]])
    """Words that stand for a missing label; rows with one are left out and counted. `[]` takes
    every word as a label. Without it, nan, None, NA, null and a doubtful -1 are asked about."""
    leave_out: list[Literal["validation", "test"]] = Field(default=[], examples=[["test"]])
    """Splits of a folder or data set not to use, such as a test split whose labels are hidden;
    others are held out from the training data in their place."""
    decimal: Literal["auto", "point", "comma"] = "auto"
    """The decimal mark of scores: comma reads 3,5 as a number, point takes a comma as what parts
    thousands. auto: by what the column's other numbers allow, else asked."""
    prompt_in_answers: Literal["auto", "remove", "keep"] = "auto"
    """What is done with a prompt that answers repeat at their beginning: it is taken off once, or
    left there. auto: by whether all answers do; transcripts are parted into prompt and answer."""
    split: SplitConfig = SplitConfig()
    """How missing splits are held out from the training data."""
    folds: int | None = Field(default=None, ge=2, examples=[5])
    """k-fold cross-validation, for small data: the training data are dealt out into so many folds,
    each fold is the test split of one run, and the answers of all runs are scored together. The
    folds follow from `split.seed`; `split.validation` is a share of what is not in the fold."""
    fold: Annotated[Annotated[int, Field(ge=0)] | Literal["all"] | None, GoesWith("folds", "5")] = (
        Field(default=None, examples=[0])
    )
    """One run of a cross-validation alone: the fold, counted from 0, that is its test split. all:
    every fold is learned from, and there is no test split. Without it: a run for each fold."""
    subset: str | None = Field(default=None, examples=["sst2"])
    """The configuration of a hub data set."""
    revision: str | None = Field(default=None, examples=["main"])
    """The branch, tag or commit of a hub data set."""
    streaming: bool = False
    """Read a hub data set as it is fetched, and keep no copy of it with the files of `datasets`."""
    max_train_examples: int | None = Field(default=None, ge=2)
    """Use only this many training examples: a stratified sample, drawn with `split.seed`."""
    sample_seed: int | None = None
    """The seed of that sample; default `split.seed`."""
    groups: list[str] = Field(default=[], examples=[["author"], ["near_duplicates"]])
    """What never stands on both sides: rows with the same cell in a column, such as the author or
    the document, or near_duplicates, texts that share four fifths of their pieces of four
    characters. Both may be named: then rows that have either in common stay together. Splits and
    folds are cut group by group, stratified as far as groups allow; groups that are in two given
    splits are leakage, as `duplicates` says."""
    duplicates: Literal["error", "drop", "keep"] = "error"
    """Leakage, a validation or test text that is also in train, or one of a group of `groups` that
    is: stop, drop it from train, or keep it and report it. So drop removes near-duplicates where
    they are the groups."""
    repeats: Literal["keep", "drop", "drop_near"] = "keep"
    """What is done with a training text that repeats an earlier one with the same target: keep it,
    drop it, or drop near-duplicates as well, by what `groups` takes for such. Repeats are counted
    in any case; validation and test keep theirs."""
    compare_as: Literal["text", "code"] = "text"
    """When texts count as duplicates. text: where they differ in nothing but case, white space,
    the width of East Asian signs, apostrophes, and stops and commas at the end of words; code:
    in nothing but white space."""
    quoting: Literal["auto", "standard", "none"] = "auto"
    """Whether quotation marks enclose fields. auto: yes in CSV, no in TSV."""
    header: bool | Literal["auto"] = "auto"
    """Whether the first row of a CSV, TSV or Excel file names the columns. Without names they are
    numbered from 0: `data.columns.text=0`."""
    encoding: str = Field(default="auto", examples=["cp1252", "gb18030"])
    """The encoding of text files, by Python's name for it. auto: UTF-8, or what is recognised."""
    line_ends: Literal["auto", "any", "lf"] = "auto"
    """What ends a line. any: LF, CRLF and CR; lf: LF and CRLF alone, and a bare CR is text. auto:
    any, but lf where only so the rows of a table have equal numbers of cells."""
    sheet: ColumnName | None = Field(default=None, examples=["Sheet1"])
    """The sheet of an Excel file; default the first that is not empty."""
    json_layout: Literal["auto", "records", "columns", "index"] = "auto"
    """How a JSON document of one object holds a table: `records`, as one row or a list of rows;
    `columns`, {column: {row: cell}}; `index`, {row: {column: cell}}."""
    json_path: str | None = Field(default=None, examples=["data"])
    """The key of the table within a JSON document, with dots between nested keys."""

    @property
    def is_cross_validated(self) -> bool:
        """Whether these are the data of several runs, one for each fold."""
        return self.folds is not None and self.fold is None

    @property
    def of_one_run(self) -> DataConfig:
        """The same, of several runs those of the first."""
        return self.of_fold(0) if self.is_cross_validated else self

    def of_fold(self, fold: int | Literal["all"]) -> DataConfig:
        """The data of one run of a cross-validation."""
        return self.model_copy(update={"fold": fold})

    @property
    def role_columns(self) -> dict[str, str]:
        """Which column has which role by the user's word: `columns`, and that of `groups`."""
        own = [name for name in self.groups if name != NEAR_DUPLICATES]
        return {**self.columns, "group": own[0]} if own else self.columns

    @property
    def named_columns(self) -> set[str]:
        """Every column that has a role by the user's word, alone or as one of several."""
        columns = self.role_columns.values()
        parts = (name for column in columns for name in split_names(column))
        return {*columns, *parts}

    @property
    def grouped_by(self) -> tuple[str, ...]:
        """What rows have in common that stay together: a column, near-duplicates, or both."""
        column = self.role_columns.get("group")
        near = ["near-duplicates"] if self.groups_near_duplicates else []
        return (*([column] if column else []), *near)

    @property
    def grouping(self) -> str:
        """The same, as people are told it."""
        return " and ".join(self.grouped_by)

    @property
    def groups_near_duplicates(self) -> bool:
        """Whether near-duplicates stay together."""
        return NEAR_DUPLICATES in self.groups

    @model_validator(mode="after")
    def _groups_have_one_column(self) -> DataConfig:
        columns = [name for name in self.groups if name != NEAR_DUPLICATES]
        columns += [self.columns["group"]] if columns and self.columns.get("group") else []
        if len(columns) > 1:
            raise conflict(
                "data.groups_of_several_columns",
                "groups are those of one column, and {columns} are named",
                "name one in data.groups; data.columns.group={joined} groups by all of them "
                "together",
                columns=" and ".join(columns),
                joined=join_names(columns),
            )
        return self

    @model_validator(mode="after")
    def _fold_is_one_of_the_folds(self) -> DataConfig:
        if self.fold is not None and self.folds is None:
            raise conflict(
                "data.fold_without_folds",
                "'data.fold' names one fold, but 'data.folds' does not say how many there are",
                "add data.folds=5, or remove data.fold",
            )
        if isinstance(self.fold, int) and self.folds is not None and self.fold >= self.folds:
            raise conflict(
                "data.fold_unknown",
                "'data.fold' is {fold}, but {folds} folds are counted from 0 to {last}",
                "choose one of them, or all",
                fold=self.fold,
                folds=self.folds,
                last=self.folds - 1,
            )
        return self

    @model_validator(mode="after")
    def _folds_are_the_test_splits(self) -> DataConfig:
        if self.folds is None:
            return self
        if self.test is not None:
            raise conflict(
                "data.folds_and_test",
                "'data.test' is a test split, and so is every fold of 'data.folds'",
                "remove one of the two",
            )
        if self.split.test != SplitConfig.model_fields["test"].default:
            raise conflict(
                "data.folds_and_share",
                "'data.split.test' and 'data.folds' both set the size of the test split",
                "remove data.split.test: each fold has an equal share of the data",
            )
        return self

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        if encoding != "auto" and not _names_an_encoding(encoding):
            raise conflict(
                "data.encoding_not_known",
                "'{encoding}' is no encoding that Python knows",
                "write for example utf-8, cp1252, gb18030, big5, shift_jis or utf-16",
                encoding=encoding,
            )
        return encoding

    @field_validator("groups", mode="before")
    @classmethod
    def _names_of_columns(cls, given: Any) -> Any:
        names = split_names(str(given)) if isinstance(given, (str, int)) else given
        return list(map(_as_written, names)) if isinstance(names, list) else names

    @field_validator("corrections", mode="before")
    @classmethod
    def _one_file(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @field_validator("missing", "leave_out", mode="before")
    @classmethod
    def _words_of_a_command_line(cls, given: Any) -> Any:
        """`-1`, `nan,NA` and `[null, -1]` as the words they are."""
        if isinstance(given, str):
            return [word.strip() for word in given.split(",") if word.strip()]
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            return [str(given)]
        if isinstance(given, list):
            return ["null" if word is None else str(word) for word in given]
        return given


def _names_an_encoding(name: str) -> bool:
    """Whether text can be read by it; other codecs, such as base64, turn bytes into bytes."""
    try:
        "".encode(name)
    except LookupError:
        return False
    return True
