"""Answering a file into another one, which a stopped process leaves in whole rows.

    file = AnswerFile.of("answers.csv", run, data)     refused where it is there of something else
    with file.owned():
        left = file.rest(predictor, inputs, hear)       those without an answer
        file.write(predictor.rows(left.inputs), left, hear)

Nothing that is finished is ever written to again.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from welltuned.artifact.given import WINDOW
from welltuned.data.config import DataConfig
from welltuned.data.inputs import Inputs
from welltuned.deployment.answer_file.formats import AnswerFormat, format_for
from welltuned.deployment.answer_file.made_from import MadeFrom
from welltuned.deployment.answer_file.rest import Rest, rest_after
from welltuned.deployment.answer_file.rows import Fields, answered_row
from welltuned.errors import Fault, InputError, Place
from welltuned.runs.disk import make_folder, writing
from welltuned.runs.locks import Lock
from welltuned.schema.versions import ANSWERS

if TYPE_CHECKING:
    from welltuned.artifact.predictor import Predictor

    Hear = Callable[[Fields], object]

BATCH = 64
"""Texts of a batch."""
_FLUSH = 0.5
"""Seconds that a row may wait to be on its way to the disk."""


@dataclass(frozen=True)
class AnswerFile:
    """A file of answers: what it is made from, and whether it is whole."""

    format: AnswerFormat
    origin: MadeFrom
    is_finished: bool = False

    @classmethod
    def of(cls, target: str, model: str, data: DataConfig) -> AnswerFile:
        """What stands there, to be begun, gone on with or left alone.

        Raises `InputError` where it is of something else, or its name of no format.
        """
        file = Path(target).expanduser()
        format_ = format_for(file)
        format_.require_packages()
        origin = MadeFrom.of(model, data)
        found = cls(format_, origin)
        if not any(one.exists() for one in (file, format_.gathered)):
            return found
        if not found.beside.exists():
            raise InputError(
                Fault(
                    "predict.out_in_use",
                    "the file is there already, and nothing says what it was made from",
                    Place(str(file)),
                    "give another out=; nothing is ever overwritten",
                )
            )
        written = ANSWERS.read(found.beside)
        origin.require_same(written, file)
        return cls(format_, origin, bool(written.get("finished")) and file.exists())

    @property
    def target(self) -> Path:
        return self.format.target

    @property
    def beside(self) -> Path:
        """The file that says what the answers are made from."""
        return self.target.with_name(f"{self.target.name}.origin.json")

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Own it for a while. Raises `InputError` where another process does."""
        make_folder(self.target.parent)
        lock = Lock(place := self.target.with_name(f".{self.target.name}.lock"))
        if not lock.acquire(wait=False):
            raise InputError(
                Fault(
                    "predict.out_owned",
                    "another process is writing answers into this file",
                    Place(str(self.target)),
                    "wait for it, or give another out=",
                )
            )
        try:
            yield
        finally:
            with suppress(OSError):
                place.unlink()
            lock.release()

    def rest(self, predictor: Predictor, inputs: Inputs, hear: Hear) -> Rest:
        """What is left to be answered; `hear` is told the rows that are there.

        Raises `InputError` where these are not the first of the inputs.
        """
        batches = WINDOW if predictor.problem.responder is None else 1
        last: Fields | None = None
        try:
            done = self.format.recover() if self.format.gathered.exists() else 0
            rest = rest_after(inputs, done, BATCH * batches)
            for last in self.format.rows() if done else ():
                hear(last)
            same = done <= inputs.number and (last is None or last["id"] == rest.last_id)
        except (ValueError, KeyError, TypeError, csv.Error):  # its rows are no rows of ours
            same = False
        if not same:
            raise InputError(
                Fault(
                    "predict.out_changed",
                    "the rows of this file are not answers to the first of the input",
                    Place(str(self.format.gathered)),
                    "it was changed since it was written: move it away, and begin again",
                )
            )
        return rest

    def write(self, answers: Iterable[tuple[object, Fields]], rest: Rest, hear: Hear) -> None:
        """Append an answer for each of the rest, telling `hear`, and finish the file.

        Raises `RunFailed` where there is no room; what was written by then stays.
        """
        self.origin.write(self.beside, finished=False)
        with writing(self.format.gathered), self.format.gathered.open("ab") as stream:
            flushed = monotonic()
            for asked, row in islice(answers, rest.again, None):
                stream.write(_encoded(self.format.text(answered_row(asked, row))))
                hear(row)
                if monotonic() - flushed > _FLUSH:
                    stream.flush()
                    flushed = monotonic()
            stream.write(_encoded(self.format.rest()))
            stream.flush()
            os.fsync(stream.fileno())
        self.format.finish()
        self.origin.write(self.beside, finished=True)


def _encoded(text: str) -> bytes:
    """UTF-8; half characters, which it does not know, as their escapes."""
    return text.encode(errors="backslashreplace")
