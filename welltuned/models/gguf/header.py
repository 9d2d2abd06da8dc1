"""The header of a GGUF file: what the file says of itself, and where its tensors lie.

    magic, version, number of tensors, number of keys
    each key with its type and value
    each tensor with its name, sizes, type and place
    the data, from the next multiple of `general.alignment` on

As https://github.com/ggml-org/ggml/blob/master/docs/gguf.md has it, little-endian. It is read
without any library, so what is wrong with a file is told before one is imported.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from welltuned.errors import Fault, InputError, Place

GGUF = ".gguf"
"""The suffix of such files."""
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_FORMATS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
"""How a number is packed, by the number of its type."""
_TEXT, _LIST = 8, 9
_ALIGNMENT = 32
"""Where a file does not say."""

Told = str | int | float | bool
"""The value of a key."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as a file lists it."""

    name: str
    shape: tuple[int, ...]
    """In the order of torch."""
    kind: int
    """How its numbers are packed (`gguf.GGMLQuantizationType`)."""
    start: int
    """Bytes from the beginning of the data."""

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class GgufHeader:
    """What a file says of itself."""

    keys: Mapping[str, Told]
    """Of lists, such as that of all tokens, the length."""
    tensors: Mapping[str, StoredTensor]
    data_start: int
    """Bytes from the beginning of the file."""

    @property
    def architecture(self) -> str:
        return str(self.keys["general.architecture"])

    def of_network(self, name: str) -> Told | None:
        """What is said of the network, such as `attention.head_count_kv`; None where nothing is."""
        return self.keys.get(f"{self.architecture}.{name}")

    @property
    def elements(self) -> int:
        """Numbers in all tensors together."""
        return sum(tensor.elements for tensor in self.tensors.values())


def read_gguf_header(file: Path) -> GgufHeader:
    """Raises `InputError` for a file that is none of the format, or ends within its header."""
    try:
        with file.open("rb") as stream:
            return _read(_Reader(stream, file.stat().st_size))
    except (OSError, ValueError, KeyError, struct.error, RecursionError) as error:
        raise InputError(_damaged(file, str(error) or type(error).__name__)) from error


def _damaged(file: Path, reason: str) -> Fault:
    return Fault(
        "model.gguf_damaged",
        "the GGUF file cannot be read: {reason}",
        Place(str(file)),
        "fetch the file again from where it is whole",
        reason=reason,
    )


class _Reader:
    """Takes what comes next of a stream of so many bytes."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size
        self.taken = 0

    def take(self, size: int) -> bytes:
        self._count(size)
        return self._stream.read(size)

    def skip(self, size: int) -> None:
        self._count(size)
        self._stream.seek(size, 1)

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def text(self) -> str:
        return self.take(self.number("<Q")).decode("utf-8")

    def _count(self, size: int) -> None:
        """A length that is damaged may be anything, and nobody has so much memory."""
        if size > self._left:
            raise ValueError("it ends within its header")
        self._left -= size
        self.taken += size


def _read(reader: _Reader) -> GgufHeader:
    if reader.take(4) != _MAGIC:
        raise ValueError("it is no GGUF file")
    version = reader.number("<I")
    if version not in _VERSIONS:
        raise ValueError(f"its version is {version}, and those that are read are {_VERSIONS}")
    number_of_tensors, number_of_keys = reader.number("<Q"), reader.number("<Q")
    keys = {reader.text(): _value(reader, reader.number("<I")) for _ in range(number_of_keys)}
    if not isinstance(keys.get("general.architecture"), str):
        raise ValueError("it does not say its architecture")
    listed = [_tensor(reader) for _ in range(number_of_tensors)]
    alignment = keys.get("general.alignment", _ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"its alignment is {alignment}")
    data_start = math.ceil(reader.taken / alignment) * alignment
    return GgufHeader(keys, {tensor.name: tensor for tensor in listed}, data_start)


def _value(reader: _Reader, kind: int) -> Told:
    if kind == _TEXT:
        return reader.text()
    if kind != _LIST:
        value: Told = struct.unpack(_format(kind), reader.take(_width(kind)))[0]
        return value
    inner, length = reader.number("<I"), reader.number("<Q")
    if inner in _FORMATS:
        reader.skip(length * _width(inner))
    else:
        for _ in range(length):
            _pass(reader, inner)
    return length


def _pass(reader: _Reader, kind: int) -> None:
    """Go past a value; tokens are many, and nobody asks for their texts here."""
    if kind == _TEXT:
        reader.skip(reader.number("<Q"))
    else:
        _value(reader, kind)


def _format(kind: int) -> str:
    if kind not in _FORMATS:
        raise ValueError(f"a key has the unknown type {kind}")
    return _FORMATS[kind]


def _width(kind: int) -> int:
    return struct.calcsize(_format(kind))


def _tensor(reader: _Reader) -> StoredTensor:
    name = reader.text()
    sizes = [reader.number("<Q") for _ in range(reader.number("<I"))]
    return StoredTensor(name, tuple(reversed(sizes)), reader.number("<I"), reader.number("<Q"))
