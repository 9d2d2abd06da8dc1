"""LLaMA-Factory: a YAML or JSON file, and the data sets that `dataset_info.json` describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from welltuned.drafts.migration.findings import KeyFinding
from welltuned.drafts.migration.library import (
    ForeignConfig,
    Library,
    check_turns,
    mapped_column,
    only_first,
)
from welltuned.errors import Faults, Place
from welltuned.schema.document import Document, read_document

_INFO = "dataset_info.json"
_RANK = 8
"""Of LoRA, where no `lora_rank` is given; `lora_alpha` is then twice the rank."""
_SPLITS = {"dataset": "train", "eval_dataset": "validation"}
_NOTHING = {
    "ranking": "the task says it",
    "formatting": "recognised by its columns",
    "tags": "recognised by their names",
}
_CHOICES = {"split": "train", "folder": None}
_WHOLE = "a data set is read as a whole, and its splits are found by their names"
_SPEAKERS = {
    "user_tag": ("human", "user"),
    "assistant_tag": ("gpt", "assistant", "model"),
    "system_tag": ("system", "developer"),
}
"""What the turns of each speaker may be called."""


class LlamaFactory(Library):
    """Its keys are those of the `TrainingArguments` of transformers, and its own."""

    table_name: ClassVar[str] = "llama_factory"

    def defaults(self, foreign: ForeignConfig, task: str) -> Mapping[str, object]:
        rank = foreign.get("lora_rank") or _RANK
        twice = {"lora_alpha": 2 * rank} if isinstance(rank, int) else {}
        return {**super().defaults(foreign, task), **twice}

    def find_data(self, foreign: ForeignConfig, task: str, faults: Faults) -> Iterator[KeyFinding]:
        stage = str(foreign.get("stage") or self.table.defaults["stage"])
        roles = self.table.columns.get(stage, {})
        yield from _folder(foreign)
        for key, split in _SPLITS.items():
            names = _names(foreign.get(key))
            if not names:
                continue
            only_first(names, key, foreign.place(key), faults)
            yield from self._dataset(foreign, key, names[0], split, roles, task, faults)

    def _dataset(
        self, foreign: ForeignConfig, key: str, name: str, split: str,
        roles: Mapping[str, str], task: str, faults: Faults,
    ) -> Iterator[KeyFinding]:  # fmt: skip
        place, value = foreign.place(key), foreign.get(key)
        if foreign.get("dataset_dir") == "ONLINE":
            yield KeyFinding(key, value, place, "carried", f"data.{split}", f"hub:{name}")
            return
        info = _info_of(foreign, place, faults)
        entry = _entry_of(info, name, place, faults) if info is not None else None
        if info is None or entry is None:
            yield KeyFinding(key, value, place, "left", note="see below: it could not be found")
            return
        source = _source_of(info, name, entry, faults)
        if source is None:
            yield KeyFinding(key, value, place, "left", note="see below: it cannot be read here")
            return
        where = info.place((name,))
        yield KeyFinding(key, value, place, "carried", f"data.{split}", source, f"by {where}")
        if split == "train":
            yield from _described(info, name, entry, roles, task, faults)


def _folder(foreign: ForeignConfig) -> Iterator[KeyFinding]:
    for key in ("dataset_dir", "media_dir"):
        if (given := foreign.get(key)) is not None:
            note = "its data set is named by its path"
            yield KeyFinding(key, given, foreign.place(key), "nothing", note=note)


def _names(given: object) -> list[str]:
    if isinstance(given, str):
        return [name.strip() for name in given.split(",") if name.strip()]
    return [str(name) for name in given] if isinstance(given, list) else []


def _info_of(foreign: ForeignConfig, place: Place, faults: Faults) -> Document | None:
    """The description of its data sets: from the working folder, else up from the config's."""
    folder = Path(str(foreign.get("dataset_dir") or "data")).expanduser()
    above = foreign.file.resolve().parents
    for candidate in (folder, *(parent / folder for parent in above)):
        if (candidate / _INFO).is_file():
            before = len(faults)
            document = read_document(candidate / _INFO, faults)
            return None if len(faults) > before else document
    faults.add(
        "migrate.dataset_info_missing",
        "there is no {file} in '{folder}', which says where its data are",
        place,
        "call it where {folder} is, or name the file on the line: data.train=FILE",
        file=_INFO,
        folder=folder,
    )
    return None


def _entry_of(info: Document, name: str, place: Place, faults: Faults) -> Mapping[str, Any] | None:
    entry = info.values.get(name)
    if isinstance(entry, dict):
        return entry
    faults.add(
        "migrate.dataset_unknown",
        "{info} has no data set '{name}'",
        place,
        "name the file on the line: data.train=FILE",
        info=info.source,
        name=name,
    )
    return None


def _source_of(info: Document, name: str, entry: Mapping[str, Any], faults: Faults) -> str | None:
    """Where a data set is, as it is named here; the hub comes first, as it does there."""
    if entry.get("hf_hub_url"):
        return f"hub:{entry['hf_hub_url']}"
    if entry.get("file_name") and not any(
        entry.get(key) for key in ("ms_hub_url", "script_url", "cloud_file_name")
    ):
        return str(Path(info.source).parent / str(entry["file_name"]))
    faults.add(
        "migrate.dataset_unsupported",
        "the data set '{name}' is neither a file nor on the Hugging Face hub",
        info.place((name,)),
        "download it, and name the file on the line: data.train=FILE",
        name=name,
    )
    return None


def _described(
    info: Document, name: str, entry: Mapping[str, Any], roles: Mapping[str, str],
    task: str, faults: Faults,
) -> Iterator[KeyFinding]:  # fmt: skip
    """Everything else that is said of the training data."""
    for key, told in (("subset", "data.subset"), ("revision", "data.revision"),
                      ("num_samples", "data.max_train_examples")):  # fmt: skip
        if entry.get(key) is not None:
            place = info.place((name, key))
            yield KeyFinding(f"{name}.{key}", entry[key], place, "carried", told, entry[key])
    for key, usual in _CHOICES.items():
        if entry.get(key) not in (usual, None):
            place = info.place((name, key))
            yield KeyFinding(f"{name}.{key}", entry[key], place, "left", note=_WHOLE)
    for key in (key for key in _NOTHING if entry.get(key)):
        place = info.place((name, key))
        yield KeyFinding(f"{name}.{key}", entry[key], place, "nothing", note=_NOTHING[key])
    for column, called in (entry.get("columns") or {}).items():
        place = info.place((name, "columns", column))
        found = mapped_column(f"{name}.columns.{column}", called, place, roles.get(column), task)
        if found is not None:
            yield found
    _check_tags(info, name, entry.get("tags") or {}, faults)


def _check_tags(info: Document, name: str, tags: Mapping[str, Any], faults: Faults) -> None:
    place = info.place((name, "tags"))
    check_turns(tags.get("role_tag"), tags.get("content_tag"), place, faults)
    for tag, known in _SPEAKERS.items():
        if tag in tags and tags[tag] not in known:
            faults.add(
                "migrate.speaker_named_otherwise",
                "the turns of its conversations are said by '{given}'",
                place,
                "rename it in the data: {known}",
                given=tags[tag],
                known=" or ".join(known),
            )
