"""Converted models are kept: made once, checked when opened, and never half there."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from welltuned.models.config import ModelConfig
from welltuned.models.gguf import conversion, converted
from welltuned.models.gguf.converted import converted_folder, gguf_digest
from welltuned.models.loading import read_model_config, read_tokenizer


@pytest.fixture
def file(gguf_of: Any) -> Path:
    found: Path = gguf_of()[0]
    return found


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were converted, in order."""
    made: list[Path] = []
    own = conversion.convert_gguf

    def convert(file: Path, header: Any, folder: Path) -> Any:
        made.append(file)
        time.sleep(0.1)  # so that whoever else comes does come meanwhile
        return own(file, header, folder)

    monkeypatch.setattr(conversion, "convert_gguf", convert)
    return made


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forget what this process has opened."""
    return converted._OPENED.clear


def test_a_file_is_converted_once_whoever_asks(
    file: Path, times: list[Path], another_process: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with ThreadPoolExecutor(2) as both:
        folders = list(both.map(converted_folder, [file, file]))
    another_process()
    assert {*folders, converted_folder(file)} == {folders[0]} and times == [file]
    assert caplog.text.count("converting tiny.gguf once") == 1 and "converted tiny" in caplog.text
    assert {one.name for one in folders[0].parent.parent.iterdir()} == {
        folders[0].parent.name, f"{folders[0].parent.name}.lock",
    }  # fmt: skip


def test_a_copy_of_the_file_needs_no_conversion_and_another_file_does(
    file: Path, times: list[Path]
) -> None:
    first = converted_folder(file)
    copy = Path(shutil.copy(file, file.with_name("copy.gguf")))
    assert converted_folder(copy) == first and gguf_digest(copy) == gguf_digest(file)
    with copy.open("r+b") as stream:
        stream.seek(-8, os.SEEK_END)
        stream.write(b"\0\0\0?")
    assert converted_folder(copy) != first and times == [file, copy]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_flipped_byte_is_noticed_and_the_model_converted_anew(
    name: str,
    file: Path,
    times: list[Path],
    another_process: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damaged = converted_folder(file) / name
    content = bytearray(damaged.read_bytes())
    content[-20] ^= 1
    damaged.write_bytes(content)
    another_process()
    converted_folder(file)
    assert len(times) == 2 and damaged.read_bytes() != content
    assert f"{name} in the cache is not as it was written" in caplog.text


def test_a_model_that_somebody_removed_is_converted_anew(file: Path, times: list[Path]) -> None:
    folder = converted_folder(file)
    shutil.rmtree(folder.parent)
    assert converted_folder(file).is_dir() and len(times) == 2


def test_what_was_used_longest_ago_makes_room(
    file: Path, another_process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = converted_folder(file).parent
    old, new = (home.with_name(name) for name in ("old", "new"))
    for one in (old, new):
        shutil.copytree(home, one)
    os.utime(old, (1, 1))
    shutil.rmtree(home)
    monkeypatch.setattr(converted, "LIMIT", 1)
    assert converted_folder(file).is_dir()
    assert not old.exists() and new.exists(), "a model of today may be in use"


def test_without_room_nothing_is_left_and_the_place_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(file: Path, header: Any, folder: Path) -> Any:
        folder.mkdir(parents=True)
        (folder / "half").write_text("")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(conversion, "convert_gguf", fill)
    with refused("model.gguf_not_kept"):
        converted_folder(file)
    cache = Path(os.environ["WELLTUNED_CACHE"]) / "gguf"
    assert [one.suffix for one in cache.iterdir()] == [".lock"]


def test_a_damaged_file_is_refused_before_anything_is_converted(
    file: Path, times: list[Path]
) -> None:
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size - 4000)
    with refused("model.gguf_cut_short"):
        read_model_config(ModelConfig(name=str(file)))
    file.write_bytes(b"GGUF")
    with refused("model.gguf_damaged"):
        read_model_config(ModelConfig(name=str(file)))
    assert times == []


def test_a_model_is_named_by_its_file_or_by_the_folder_it_lies_in(
    file: Path, times: list[Path]
) -> None:
    shutil.copy(file, file.with_name("other.gguf"))
    by_path = ModelConfig(name=str(file))
    by_folder = ModelConfig(name=str(file.parent), gguf_file=file.name)
    assert by_path.location == by_folder.location and times == [file]
    assert by_path.gguf_sha256 == by_folder.gguf_sha256 == gguf_digest(file)
    for model in (by_path, by_folder):
        assert read_model_config(model).model_type == "llama"
        assert read_tokenizer(model).eos_token == "<|im_end|>"
    assert ModelConfig(name="org/model").gguf_sha256 is None
