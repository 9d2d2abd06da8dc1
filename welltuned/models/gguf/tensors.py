"""Tensors of a GGUF file: whether all of them are there, and of types that can be unpacked."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from welltuned.errors import Fault, InputError, Place
from welltuned.models.gguf.header import GgufHeader, StoredTensor


def check_tensors(file: Path, header: GgufHeader) -> None:
    """Raise `InputError` for tensors that nobody can unpack, and a file that ends before them.

    Also for one of several files, and where the package is missing that unpacks them.
    """
    if find_spec("gguf") is None:
        raise InputError(_without_library(file))
    if (parts := int(header.keys.get("split.count", 1))) > 1:
        raise InputError(_one_of_several(file, parts))
    widths = {kind: _packing(kind) for kind in {one.kind for one in header.tensors.values()}}
    expected = header.data_start
    for tensor in header.tensors.values():
        packing = widths[tensor.kind]
        if packing is None:
            raise InputError(_of_unknown_type(file, tensor))
        block, width = packing
        end = tensor.start + tensor.elements // block * width
        expected = max(expected, header.data_start + end)
    if (found := file.stat().st_size) < expected:
        raise InputError(_cut_short(file, found, expected))


def _packing(kind: int) -> tuple[int, int] | None:
    """(numbers in a block, its bytes) of a type; None where the library cannot unpack it.

    It is asked to unpack a block, for it has no list of those that it can.
    """
    import gguf
    import numpy as np

    try:
        known = gguf.GGMLQuantizationType(kind)
        block, width = gguf.GGML_QUANT_SIZES[known]
        gguf.dequantize(np.zeros((1, width), dtype=np.uint8), known)
    except (ValueError, KeyError, NotImplementedError):
        return None
    return block, width


def _without_library(file: Path) -> Fault:
    return Fault(
        "model.gguf_library_missing",
        "a GGUF file is read with the package gguf, which is not installed",
        Place(str(file)),
        "pip install 'welltuned[gguf]'",
    )


def _one_of_several(file: Path, parts: int) -> Fault:
    return Fault(
        "model.gguf_in_parts",
        "the GGUF file is one of {parts} that make a model",
        Place(str(file)),
        "join them: llama-gguf-split --merge FIRST_FILE JOINED_FILE",
        parts=parts,
    )


def _of_unknown_type(file: Path, tensor: StoredTensor) -> Fault:
    return Fault(
        "model.gguf_type_unknown",
        "'{tensor}' is packed as type {kind}, which the package gguf does not unpack",
        Place(str(file)),
        "pip install -U gguf, or take a file of another type, such as Q8_0 or Q4_K_M",
        tensor=tensor.name,
        kind=tensor.kind,
    )


def _cut_short(file: Path, found: int, expected: int) -> Fault:
    return Fault(
        "model.gguf_cut_short",
        "the GGUF file has {found:,} bytes of {expected:,}",
        Place(str(file)),
        "fetch the file again from where it is whole",
        found=found,
        expected=expected,
    )
