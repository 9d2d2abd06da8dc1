"""Data cache: data are read, split and tokenised once, however many runs ask for them.

Runs of one process share it in memory: a pipeline's stages, a sweep's trials, and a file that is
read in two ways. Processes share a folder, as the cells of a comparison do:

    FOLDER/  splits-KEY.npz     three splits of records, and their facts
             examples-KEY.npz   a split as token ids
             journal.jsonl      a line each time that files were read or records were tokenised

A key tells everything that a part follows from. What is missing or damaged is made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from welltuned.data.config import DataConfig
from welltuned.data.load_splits import DataSplits, collect
from welltuned.data.readers.formats import read_path
from welltuned.data.records import Records
from welltuned.data.storage.shared_file import UnstorableError, load_stored, store
from welltuned.data.table import Table
from welltuned.data.tokens.special_tokens import stay_text
from welltuned.errors import Faults
from welltuned.tasks import Examples, Problem, Task
from welltuned.tasks.parts import Codec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")

JOURNAL = "journal.jsonl"
_UNREAD = {"pooling", "max_length", "long"}
"""Options of a task that change nothing about how files are read."""
_AFTER_READING = {
    *("train", "validation", "test", "replay", "unlabelled", "split", "max_train_examples"),
    *("sample_seed", "duplicates", "compare_as", "missing", "leave_out", "decimal"),
    *("prompt_in_answers", "corrections", "folds", "fold"),
}
"""Options of the data that matter only once a file is read."""


class DataCache:
    """Data that have been read and tokenised already.

    `version` names the code that reads and tokenises: what another one has left in the folder
    is not used.
    """

    def __init__(self, folder: Path | None = None, version: str = "") -> None:
        self.folder = folder
        """Where other processes find it, if anywhere."""
        self._version = version
        self._held: dict[str, Any] = {}
        self._tables: dict[str, Table] = {}

    def splits(
        self, config: DataConfig, reader: Task | Problem, faults: Faults
    ) -> DataSplits | None:
        """As `collect`. None when there were faults; they are recorded.

        Facts belong to whoever asks: notes that are added to them are seen by no one else.
        """
        converter = _converter(reader)
        roles = converter.roles
        name = self._name(
            "splits", config.model_dump(mode="json"), _contents(config), roles, _format(reader)
        )
        splits = self._once(
            name, lambda: collect(config, roles, faults, converter.convert, self.read_path)
        )
        return None if splits is None else replace(splits, facts=deepcopy(splits.facts))

    def read_path(self, path: Path, name: str, config: DataConfig, faults: Faults) -> Table | None:
        """As the function of that name; tables are held in memory alone."""
        options = config.model_dump(mode="json", exclude=_AFTER_READING)
        known = self._name("table", str(path), name, options, _contents_of([path]))
        if known in self._tables:
            return self._tables[known]
        before = len(faults)
        table = read_path(path, name, config, faults)
        if table is not None and len(faults) == before:
            self._tables[known] = table
        return table

    def examples(
        self,
        problem: Problem,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Examples:
        """As `problem.codec.encode`; the tokenizer is left as that leaves it, too."""
        problem.codec.fit_tokenizer(tokenizer)
        known = problem.to_dict(), _all_of(records), max_length, _tokenizer_state(tokenizer)
        name = self._name("examples", type(problem).__qualname__, *known)
        return self._once(
            name, lambda: problem.codec.encode(tokenizer, records, max_length, progress)
        )

    def share(self, folder: Path) -> None:
        """Put what is held into a folder, where other processes find it, and all that follows."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        for name, value in self._held.items():
            self._write(name, value)

    def drop_files(self) -> None:
        """Remove what was shared, once nobody is left who reads it; the journal stays."""
        for file in self.folder.glob("*.npz") if self.folder else ():
            file.unlink()

    def _name(self, kind: str, *follows_from: Any) -> str:
        text = json.dumps([self._version, *follows_from], sort_keys=True, default=str)
        return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"

    def _once(self, name: str, make: Callable[[], T]) -> T:
        if name in self._held:
            held: T = self._held[name]
            return held
        found: T = self._read(name)
        if found is None:
            found = make()
            if found is None:
                return found  # faults were recorded, and the next one shall hear of them too
            self._write(name, found)
        self._held[name] = found
        return found

    def _read(self, name: str) -> Any:
        if self.folder is None:
            return None
        try:
            return load_stored(self.folder / f"{name}.npz")
        except (OSError, ValueError):
            return None

    def _write(self, name: str, value: Any) -> None:
        if self.folder is None:
            return
        line = json.dumps({"made": name.partition("-")[0], "name": name})
        with suppress(UnstorableError, OSError):  # then each process makes its own
            with (self.folder / JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(line + "\n")
            store(value, self.folder / f"{name}.npz")


# --- What a part follows from ----------------------------------------------------------


def _contents(config: DataConfig) -> list[str]:
    """One hash for each file of the data; what is on no disk is known by its name alone."""
    names = filter(None, (config.train, config.validation, config.test, *config.corrections))
    files: list[Path] = []
    for path in (Path(name).expanduser() for name in names):
        files += sorted(path.rglob("*")) if path.is_dir() else [path]
    return _contents_of(files)


def _contents_of(files: Iterable[Path]) -> list[str]:
    return [f"{file} {_content(file)}" for file in files if file.is_file()]


def _content(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:32]
    except OSError:
        return "unreadable"  # its reader says so


def _converter(reader: Task | Problem) -> Task | Codec:
    """Who turns a file's own format into columns."""
    return reader if isinstance(reader, Task) else reader.codec


def _format(reader: Task | Problem) -> Any:
    """What turns a file's own format into columns; None where its columns are taken as they are."""
    if type(_converter(reader)).convert in (Task.convert, Codec.convert):
        return None
    options = (
        reader.model_dump(mode="json", exclude=_UNREAD)
        if isinstance(reader, Task)
        else reader.to_dict()
    )
    return [type(reader).__qualname__, options]


def _all_of(records: Records) -> str:
    where = json.dumps([records.source, records.lines, records.input_roles])
    return _digest((records.fingerprint() + where).encode())


def _tokenizer_state(tokenizer: PreTrainedTokenizerBase) -> Any:
    """What decides how texts become tokens, whatever the tokenizer was used for before."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return [type(tokenizer).__qualname__, sorted(tokenizer.get_vocab().items())]
    # Length and padding are set by every call anew.
    parts = {**json.loads(backend.to_str()), "truncation": None, "padding": None}
    sides = tokenizer.truncation_side, tokenizer.padding_side
    asks = tokenizer.special_tokens_map, tokenizer.chat_template, tokenizer.model_input_names
    inert = stay_text(tokenizer)
    return _digest(json.dumps([parts, sides, asks, inert], sort_keys=True, default=str).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
