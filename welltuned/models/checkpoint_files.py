"""The files of a checkpoint, looked at before a library reads them.

What is missing, damaged or cut short is named with its file, and an index must not lead out of its
folder: it is read from people's files, and what it names is loaded as weights.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from welltuned.errors import Fault, Faults, Place

_REMEDY = "copy the folder again from where it is whole, or train again"
_INDEX = "model.safetensors.index.json"
_WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
_PICKLED = ("pytorch_model*.bin", "adapter_model*.bin", "*.pt", "*.pth", "*.ckpt")
"""Weights in formats that run code when they are read."""
TO_SAFETENSORS = (
    "import glob, torch; from safetensors.torch import save_file; save_file({{name: weight.clone() "
    "for file in glob.glob('{pattern}') for name, weight in torch.load(file, map_location='cpu', "
    "weights_only=True).items()}}, '{target}', {{'format': 'pt'}})"
)
"""Python that writes pickled weights as safetensors, and takes nothing but tensors from them."""


def check_files(folder: Path) -> None:
    """Raise `InputError` with every file of a model folder that is damaged or leads astray."""
    faults = Faults()
    faults.extend(_damaged_json(folder))
    faults.extend(_pickled(folder))
    if (index := folder / _INDEX).is_file():
        faults.extend(_astray(folder, index))
    for name in _WEIGHTS:
        if (file := folder / name).exists():
            faults.extend(_cut_short(file))
    faults.raise_if_any()


def _damaged_json(folder: Path) -> Iterator[Fault]:
    for file in sorted(folder.glob("*.json")):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            yield _unreadable(file, str(error))


def _pickled(folder: Path) -> Iterator[Fault]:
    """Weights that are there in no other format than one that runs code when it is read."""
    if (chosen := _explicit_weights(folder)) is not None:
        pickled = [] if _is_file_name(chosen) and ".safetensors" in chosen else [folder / chosen]
    elif any(folder.glob("*.safetensors")):
        pickled = []
    else:
        pickled = sorted(file for pattern in _PICKLED for file in folder.glob(pattern))
    if pickled:
        first = pickled[0].name
        adapter = first.startswith("adapter_model")
        target = "adapter_model.safetensors" if adapter else "model.safetensors"
        pattern = first if len(pickled) == 1 else "pytorch_model*.bin"
        command = TO_SAFETENSORS.format(pattern=pattern, target=target)
        yield Fault(
            "model.weights_pickled",
            "the weights are pickled, and reading a pickle runs whatever code is in it",
            Place(str(pickled[0])),
            'convert them, in their folder: python -c "{command}"',
            command=command,
        )


def _explicit_weights(folder: Path) -> str | None:
    """The file of weights that a config names, where it names one."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return None if (name := found.get("transformers_weights")) is None else str(name)
    except (OSError, ValueError, RecursionError, AttributeError):
        return None  # told of as damaged, where it is there


def _astray(folder: Path, index: Path) -> Iterator[Fault]:
    """Shards that an index names and that are missing, damaged, or not in its folder."""
    for name in sorted(_shards(index)):
        shard = folder / name
        if not _is_file_name(name) or _leads_out(shard):
            yield Fault(
                "model.index_leads_out",
                "the index names '{name}', which is not in its own folder",
                Place(str(index)),
                "put the file into the folder and write its bare name; "
                "if you did not make the model, do not use it",
                name=name,
            )
        elif not shard.exists():
            yield Fault(
                "model.weights_file_missing",
                "the file is missing, though {index} names it",
                Place(str(shard)),
                _REMEDY,
                index=index.name,
            )
        elif shard.suffix == ".safetensors":
            yield from _cut_short(shard)


def _shards(index: Path) -> set[str]:
    try:
        values: Any = json.loads(index.read_text(encoding="utf-8"))
        return {str(name) for name in values["weight_map"].values()}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return set()  # told of as damaged, or by the library that reads it


def _is_file_name(name: str) -> bool:
    """Whether a path has one part, on any system."""
    return PurePosixPath(name).name == PureWindowsPath(name).name == name and name != ".."


def _leads_out(shard: Path) -> bool:
    """Whether a link leads out of the folder; those of the hub's cache lead to its own blobs."""
    target, home = shard.resolve(), shard.parent.resolve()
    blobs = home.parent.parent / "blobs"
    return target.parent not in (home, blobs if home.parent.name == "snapshots" else home)


def _cut_short(file: Path) -> Iterator[Fault]:
    """A safetensors file says at its beginning how long it is."""
    try:
        found, expected = file.stat().st_size, _length(file)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        yield _unreadable(file, str(error) or type(error).__name__)
        return
    if found != expected:
        yield Fault(
            "model.file_of_wrong_length",
            "the file has {found:,} bytes of {expected:,}",
            Place(str(file)),
            _REMEDY,
            found=found,
            expected=expected,
        )


def _length(file: Path) -> int:
    """How many bytes the header of a safetensors file promises."""
    with file.open("rb") as stream:
        (size,) = struct.unpack("<Q", stream.read(8))
        if size > file.stat().st_size:
            raise ValueError("the header does not end")
        header = json.loads(stream.read(size))
    ends = [part["data_offsets"][1] for name, part in header.items() if name != "__metadata__"]
    return int(8 + size + max(ends, default=0))


def _unreadable(file: Path, reason: str) -> Fault:
    return Fault(
        "model.file_damaged",
        "the file cannot be read: {reason}",
        Place(str(file)),
        _REMEDY,
        reason=reason.splitlines()[0] if reason else "",
    )
