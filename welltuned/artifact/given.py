"""What is given to `predict` in Python, as inputs: texts, rows by column names, and tables.

Inputs of one shape that stand together are read together, so that none is read otherwise for the
company it keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby, islice
from typing import Any

from welltuned.data.config import DataConfig
from welltuned.data.inputs import Inputs, inputs_of, without_broken_texts
from welltuned.data.records import Records, question_roles
from welltuned.data.table import Table
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.tasks.parts import Codec

WINDOW = 16
"""Batches whose texts are answered together, those of like length in one: enough to pad little,
and few enough to answer a file of any size within the same memory."""
_TEXTS, _ROWS = "texts", "rows"
"""What ids are made of where inputs have none: `texts:3`."""


@dataclass(frozen=True)
class Reader:
    """Reads inputs for a model."""

    codec: Codec
    reads: tuple[str, ...] | None
    """The inputs that the model was trained on, such as two texts; None where nobody knows."""
    columns: Mapping[str, str]
    """What columns of the training file were called, where not by their role."""

    def read(self, given: Iterable[object], source: str = _TEXTS, start: int = 1) -> list[Inputs]:
        """Inputs in order, numbered from `start`, in parts of one shape each.

        A `Fault` stands for an input that could not even be taken apart.
        """
        asked = (_Asked(n, one, self._shape(one)) for n, one in zip(count(start), given))
        parts = groupby(asked, key=lambda one: one.shape)
        return [self._part(list(group), source) for _, group in parts]

    def check(self, inputs: Inputs) -> Inputs:
        """Rows of a shape that the model does not read are refused."""
        records = inputs.records
        if records is None or (fault := self.misfit(records)) is None:
            return inputs
        refused = (fault.at(records.place(i)) for i in range(len(records)))
        return Inputs(None, (*inputs.refused, *refused))

    def misfit(self, records: Records) -> Fault | None:
        """Why the model does not read records with these columns; None where it does."""
        if self.reads is None or set(records.input_roles) == set(self.reads):
            return None
        missing = [role for role in self.reads if role not in records.input_roles]
        wanted = " and ".join(self.reads)
        if missing:
            return Fault(
                "predict.input_missing",
                "the model reads {wanted} together, and {missing} is not given",
                None,
                "give a tuple in Python, columns of these names in a file, --jsonl with these "
                "keys, or --pair with a tab between the two",
                wanted=wanted,
                missing=" and ".join(missing),
            )
        return Fault(
            "predict.input_unexpected",
            "the model reads {wanted} alone, and {more} is given too",
            None,
            "give {wanted} alone",
            wanted=wanted,
            more=" and ".join(role for role in records.input_roles if role not in self.reads),
        )

    def _shape(self, given: object) -> tuple[str, ...]:
        """What has to be equal of inputs that are read together; no two broken ones are."""
        if isinstance(given, Mapping):
            return (_ROWS, *map(str, given))
        if isinstance(given, Fault) or not self.codec.accepts(given):
            return ("refused",)
        try:
            return (_TEXTS, *self.codec.records_of([given]).input_roles)
        except InputError:
            return ("refused",)

    def _part(self, asked: list[_Asked], source: str) -> Inputs:
        lines = [one.number for one in asked]
        if asked[0].shape[0] == _ROWS:
            rows: list[Any] = [one.given for one in asked]
            return self._rows(table_of_rows(rows, _ROWS if source == _TEXTS else source, lines))
        if asked[0].shape[0] != _TEXTS:
            return Inputs(None, tuple(self._fault(one, source) for one in asked))
        records = self.codec.records_of([one.given for one in asked])
        return self.check(
            without_broken_texts(Inputs(replace(records, source=source, lines=lines)))
        )

    def _rows(self, table: Table) -> Inputs:
        """Rows of the same keys; where these are not as they should be, each row is refused."""
        roles = question_roles(self.codec.roles)
        try:
            config = DataConfig(train=table.source)
            inputs = inputs_of(table, config, roles, self.codec.convert, self.columns)
        except InputError as error:
            fault = _of_keys(error.faults[0], table)
            return Inputs(None, tuple(fault.at(table.place(i)) for i in range(len(table))))
        return self.check(inputs)

    def _fault(self, asked: _Asked, source: str) -> Fault:
        """Why an input cannot be read."""
        place = Place(source, asked.number)
        if isinstance(asked.given, Fault):
            return asked.given.at(place)
        if self.codec.accepts(asked.given):
            try:
                self.codec.records_of([asked.given])
            except InputError as error:
                return error.faults[0].at(place)
        return Fault(
            "predict.input_of_wrong_type",
            "{given} is no input",
            place,
            "give {expects}; or a dict of columns",
            given=described(asked.given),
            expects=self.codec.expects,
        )

    # --- All that predict takes -----------------------------------------------

    def unpack(self, given: object) -> Iterable[object]:
        """The inputs in whatever `predict` was given. Raises `InputError` for what holds none."""
        if isinstance(given, str) or self._is_one(given):
            return [given]
        if isinstance(given, Mapping):
            return self._of_mapping(given)
        if _is_pandas(given):
            return _of_pandas(given, self._text_role)
        unordered = isinstance(given, (set, frozenset, bytes, bytearray, memoryview))
        if unordered or not isinstance(given, Iterable):
            raise InputError(
                Fault(
                    "predict.given_wrong_type",
                    "predict cannot read {given}",
                    None,
                    "give {expects}; a list, tuple or iterator of these; dicts by column names; "
                    "or a DataFrame",
                    given=described(given),
                    expects=self.codec.expects,
                )
            )
        return given

    @property
    def _text_role(self) -> str:
        return next(role.name for role in question_roles(self.codec.roles) if role.is_input)

    def _is_one(self, given: object) -> bool:
        """Whether a sequence is one input: a pair for models of pairs, or one conversation."""
        if isinstance(given, tuple) and self.reads is not None and len(self.reads) == 2:
            return self.codec.accepts(given)
        turns = isinstance(given, list) and given and isinstance(given[0], Mapping)
        return bool(turns) and self.codec.accepts(given)

    def _of_mapping(self, given: Mapping[Any, Any]) -> list[Mapping[str, Any]]:
        """One row, or columns of equal length."""
        if not given or not all(self._is_column(cells) for cells in given.values()):
            return [given]
        lengths = {name: len(cells) for name, cells in given.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(
                Fault(
                    "predict.columns_differ_in_length",
                    "the columns differ in length: {lengths}",
                    None,
                    "give one cell for each row in every column",
                    lengths=", ".join(f"{name} {length}" for name, length in lengths.items()),
                )
            )
        cells = zip(*(list(column) for column in given.values()), strict=True)
        return [dict(zip(given, row, strict=True)) for row in cells]

    def _is_column(self, cells: object) -> bool:
        """Whether it holds a cell for each row, and is not a cell itself, as a list of words is."""
        if isinstance(cells, (str, bytes, Mapping)) or not hasattr(cells, "__len__"):
            return False
        first = next(iter(cells), None) if isinstance(cells, Iterable) else None
        words = any(role.is_list and role.is_input for role in question_roles(self.codec.roles))
        return not isinstance(first, Mapping) and not (words and isinstance(first, str))


@dataclass(frozen=True)
class _Asked:
    """One input: its number, what was given, and its shape."""

    number: int
    given: object
    shape: tuple[str, ...]


def _of_keys(fault: Fault, table: Table) -> Fault:
    """What is missing in rows, whose keys cannot be mapped as a file's columns can."""
    if "role" not in fault.values:
        return fault
    return Fault(
        "predict.column_missing",
        "the row has no {role}",
        None,
        "give it under the key '{role}'; the row has: {columns}",
        role=fault.values["role"],
        columns=", ".join(table.columns),
    )


def require_all_read(read: Iterable[Inputs]) -> None:
    """Raise `InputError` with all that cannot be read."""
    faults = Faults()
    for fault in (fault for part in read for fault in part.refused):
        faults.count(fault)
    faults.raise_if_any()


def table_of_rows(rows: Sequence[Mapping[Any, Any]], source: str, lines: list[int]) -> Table:
    """Rows of the same keys as a table."""
    columns = {str(key): [row[key] for row in rows] for key in rows[0]}
    return Table(source, columns, lines)


def described(given: object) -> str:
    """What was given, for people: its type, and how it begins."""
    if given is None:
        return "None"
    text = repr(given)
    return f"{type(given).__name__} {text[:40]}{'…' if len(text) > 40 else ''}"


def in_parts(given: Iterable[object], batch_size: int) -> Iterator[list[object]]:
    """Some at a time, as they come: a batch, another, and then four times as many up to a window.

    The first answers come soon, and later ones fast: texts of a window are batched by length.
    Nothing is read ahead of a batch of one, for whoever asks on may wait for the answer.
    """
    source, size = iter(given), batch_size
    for number in count():
        part = list(islice(source, size))
        if not part:
            return
        yield part
        if number and batch_size > 1:
            size = min(4 * size, WINDOW * batch_size)


def _is_pandas(given: object) -> bool:
    return type(given).__module__.partition(".")[0] == "pandas" and hasattr(given, "index")


def _of_pandas(given: Any, text_role: str) -> list[dict[str, Any]]:
    """The rows of a DataFrame or Series; where it has no ids, its index serves."""
    frame = given.to_frame(text_role) if not hasattr(given, "columns") else given
    columns = {str(name): frame.iloc[:, i].tolist() for i, name in enumerate(frame.columns)}
    columns.setdefault("id", [str(label) for label in frame.index.tolist()])
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
