"""Tensors are all there, and of types that can be unpacked; else nothing is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from faults import refused
from welltuned.models.gguf.header import GgufHeader, StoredTensor, read_gguf_header
from welltuned.models.gguf.tensors import check_tensors


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with a packed tensor before a plain one."""
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "llama")
    kind = gguf.GGMLQuantizationType.Q4_1
    packed = gguf.quantize(np.ones((4, 64), dtype=np.float32), kind)
    writer.add_tensor("packed", packed, raw_dtype=kind)
    writer.add_tensor("plain", np.ones(16, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "x.gguf"


def packed_as(kind: int, header: GgufHeader) -> GgufHeader:
    return replace(header, tensors={"packed": StoredTensor("packed", (4, 64), kind, 0)})


def test_a_whole_file_passes_and_one_that_lacks_a_byte_is_told(file: Path) -> None:
    header = read_gguf_header(file)
    check_tensors(file, header)
    whole = header.data_start + header.tensors["plain"].start + 64
    with file.open("r+b") as stream:
        stream.truncate(whole)
    check_tensors(file, header)  # padding at the end may be missing
    with file.open("r+b") as stream:
        stream.truncate(whole - 1)
    with refused("model.gguf_cut_short", place=str(file), found=whole - 1, expected=whole):
        check_tensors(file, header)


@pytest.mark.parametrize("kind", [999, int(gguf.GGMLQuantizationType.I32)])
def test_a_type_that_is_unknown_or_holds_no_weights_is_refused(kind: int, file: Path) -> None:
    with refused("model.gguf_type_unknown", tensor="packed", kind=kind):
        check_tensors(file, packed_as(kind, read_gguf_header(file)))


def test_one_of_several_files_is_no_model(file: Path) -> None:
    header = read_gguf_header(file)
    parts = replace(header, keys={**header.keys, "split.count": 3})
    with refused("model.gguf_in_parts", parts=3):
        check_tensors(file, parts)
    check_tensors(file, replace(header, keys={**header.keys, "split.count": 1}))


def test_without_the_library_its_extra_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("welltuned.models.gguf.tensors.find_spec", lambda name: None)
    with refused("model.gguf_library_missing") as caught:
        check_tensors(file, read_gguf_header(file))
    assert "welltuned[gguf]" in str(caught.value.faults[0].remedy)
