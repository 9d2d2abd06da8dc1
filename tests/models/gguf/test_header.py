"""The header of a GGUF file: what is told of it, and what no file may say."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from faults import refused
from welltuned.models.gguf.header import read_gguf_header


def written(file: Path, **keys: Any) -> Path:
    """A file with keys of every kind and two tensors, as the library gguf writes it."""
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_uint32("llama.block_count", 2)
    writer.add_float32("llama.rope.freq_base", 500.0)
    writer.add_bool("tokenizer.ggml.add_bos_token", True)
    writer.add_uint64("a.long", 2**40)
    writer.add_array("tokenizer.ggml.tokens", ["a", "größe", "c"])
    writer.add_array("tokenizer.ggml.token_type", [1, 2, 3, 4])
    writer.add_array("nested", [[1, 2], [3]])
    for name, value in keys.items():
        writer.add_uint32(name.replace("_", "."), value)
    writer.add_tensor("one.weight", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("two.weight", np.ones(5, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_keys_and_tensors_are_those_that_were_written(tmp_path: Path) -> None:
    file = written(tmp_path / "x.gguf")
    header = read_gguf_header(file)
    assert header.architecture == "llama" and header.keys["a.long"] == 2**40
    assert header.of_network("block_count") == 2 and header.of_network("rope.freq_base") == 500.0
    assert header.of_network("no.such.key") is None
    assert header.keys["tokenizer.ggml.add_bos_token"] is True
    lists = ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "nested")
    assert [header.keys[name] for name in lists] == [3, 4, 2], "of lists the length"
    assert {name: one.shape for name, one in header.tensors.items()} == {
        "one.weight": (2, 3), "two.weight": (5,),
    }  # fmt: skip
    assert header.elements == 11 and header.tensors["two.weight"].kind == 1
    start = header.data_start + header.tensors["one.weight"].start
    assert np.fromfile(file, np.float32, 6, offset=start).tolist() == [0, 1, 2, 3, 4, 5]


def test_data_begin_where_the_file_says(tmp_path: Path) -> None:
    header = read_gguf_header(written(tmp_path / "x.gguf", general_alignment=256))
    assert header.data_start % 256 == 0


def test_a_file_that_ends_within_its_header_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    file = written(tmp_path / "x.gguf")
    whole = file.read_bytes()
    for length in range(0, read_gguf_header(file).data_start - 40, 7):
        file.write_bytes(whole[:length])
        with refused("model.gguf_damaged", place=str(file)):
            read_gguf_header(file)


@pytest.mark.parametrize(
    ("start", "content", "reason"),
    [
        (0, b"GGML", "no GGUF file"),
        (4, struct.pack("<I", 7), "version is 7"),
        (16, struct.pack("<Q", 2**60), "ends within"),
        (24, struct.pack("<Q", 2**63), "ends within"),
    ],
)
def test_what_no_file_says_is_refused_with_the_reason(
    start: int, content: bytes, reason: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "x.gguf")
    whole = bytearray(file.read_bytes())
    whole[start : start + len(content)] = content
    file.write_bytes(whole)
    with refused("model.gguf_damaged") as caught:
        read_gguf_header(file)
    assert reason in caught.value.faults[0].values["reason"]


def test_an_alignment_of_nothing_is_refused(tmp_path: Path) -> None:
    with refused("model.gguf_damaged", reason="its alignment is 0"):
        read_gguf_header(written(tmp_path / "x.gguf", general_alignment=0))
