"""Texts and tokens on disk: the same as in memory."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import config_values, make_rows, make_tokenizer, write_rows
from welltuned.config import run_config_from
from welltuned.data.readers import streamed
from welltuned.data.storage import on_disk
from welltuned.data.storage.on_disk import (
    Growing,
    TextColumn,
    TextFile,
    cells_but_texts,
    pieces_of,
    take_cells,
)
from welltuned.data.tokens.encoding import encode_texts
from welltuned.training.preparation.prepare import prepare

TEXTS = ["one", "", "zwei 二", "a\nb\tc", "half \ud800", "😀" * 30, "one", "last"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def column(cells: list[Any]) -> TextColumn:
    file, others = TextFile(), {}
    for row, cell in enumerate(cells):
        file.add([cell if isinstance(cell, str) else ""])
        if not isinstance(cell, str):
            others[row] = cell
    file.done()
    return TextColumn(file, others)


def test_a_column_on_disk_is_read_like_a_list() -> None:
    on_disk_too = column(TEXTS)
    assert on_disk_too == TEXTS and list(on_disk_too) == TEXTS and len(on_disk_too) == 8
    assert [on_disk_too[i] for i in range(-8, 8)] == [TEXTS[i] for i in range(-8, 8)]
    for part in (slice(None), slice(2, 5), slice(5, 1, -2), slice(9, 12), slice(-3, None)):
        assert on_disk_too[part] == TEXTS[part]
    with pytest.raises(IndexError):
        on_disk_too[8]
    assert "last" in on_disk_too and on_disk_too.index("one") == 0


def test_some_cells_are_taken_in_any_order_and_again() -> None:
    random.seed(0)
    first = [random.randrange(8) for _ in range(30)]
    then = [random.randrange(30) for _ in range(50)]
    once = [TEXTS[i] for i in first]
    assert column(TEXTS).take(first) == once
    assert column(TEXTS).take(first).take(then) == [once[i] for i in then]
    assert take_cells(TEXTS, first) == take_cells(column(TEXTS), first)
    assert column(TEXTS).take([]) == []


def test_cells_that_are_no_texts_are_kept() -> None:
    cells = ["a", None, "b", 3.5, "", "c"]
    mixed = column(cells)
    assert mixed == cells and mixed[3] == 3.5 and mixed[1:4] == [None, "b", 3.5]
    assert mixed.take([3, 0, 1]) == [3.5, "a", None]
    assert mixed.with_others(str) == ["a", "None", "b", "3.5", "", "c"]
    assert mixed == cells


@pytest.mark.parametrize("in_memory", [True, False])
def test_cells_that_are_no_texts_are_told_with_their_places(in_memory: bool) -> None:
    cells = ["a", None, "b", 3.5, "", "c"]
    some: Any = cells if in_memory else column(cells)
    assert list(cells_but_texts(some)) == [(1, None), (3, 3.5)]
    assert list(cells_but_texts(take_cells(some, [3, 5, 1, 1]))) == [(0, 3.5), (2, None), (3, None)]
    assert list(cells_but_texts(take_cells(some, [0, 2]))) == []


def test_texts_that_were_added_together_are_those_that_were_added_alone() -> None:
    together = TextFile()
    for part in ([], TEXTS[:3], [], TEXTS[3:]):
        together.add(part)
    together.done()
    assert together.read(0, len(together)) == TEXTS
    assert together.read(0, 2) == TEXTS[:2], "of one byte a character"
    assert together.holds_half_characters


def test_a_long_column_is_read_in_parts() -> None:
    cells = [f"text {i}" for i in range(2501)]
    assert list(column(cells)) == cells
    assert [len(part) for part in pieces_of(column(cells))] == [1000, 1000, 501]
    assert list(column(cells).take(range(2500, -1, -1))) == cells[::-1]


def test_a_process_after_a_fork_reads_it_too() -> None:
    texts = column(TEXTS)
    child = os.fork()
    if not child:
        os._exit(0 if list(texts) == TEXTS else 1)
    assert list(texts) == TEXTS
    assert os.waitpid(child, 0)[1] == 0


def test_no_file_is_left_behind(own_cache: Path) -> None:
    assert list(column(TEXTS)) == TEXTS
    assert list(own_cache.rglob("*.*")) == []


@pytest.mark.parametrize("large", [0, 20, 2**28])
def test_numbers_come_back_as_they_were_added(monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    monkeypatch.setattr(on_disk, "LARGE", large)
    growing = Growing(np.int32)
    for start in range(0, 40, 10):
        growing.add([range(start, start + 4), [], np.arange(start + 4, start + 10)])
    growing.add([])
    numbers = growing.array()
    assert numbers.dtype == np.int32 and numbers.tolist() == list(range(40))
    assert Growing(np.int8).array().shape == (0,)


# --- Bit for bit as in memory ---------------------------------------------------------


def test_tokens_are_the_same_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [row["text"] for row in make_rows(2100)]
    tokenizer = make_tokenizer("encoder", "bert")
    in_memory = encode_texts(tokenizer, texts, texts[::-1], 16)
    monkeypatch.setattr(on_disk, "LARGE", 1)
    other = encode_texts(tokenizer, column(texts), column(texts[::-1]), 16)
    for name, track in vars(in_memory).items():
        found = getattr(other, name)
        assert (track is None and found is None) or np.array_equal(track, found), name
    assert not other.ids.flags.owndata and not other.ids.flags.writeable
    assert np.array_equal(in_memory.take([5, 1]).ids, other.take([5, 1]).ids)


def test_a_run_has_the_same_examples_in_the_same_order(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a run does follows from these: they are all that training reads of the data."""
    rows = [*make_rows(300), *make_rows(4), {"text": " ", "label": "good"}]
    file = write_rows(tmp_path / "a.jsonl", [{**row, "label": str(row["label"])} for row in rows])
    values = config_values(tiny("bert"), file, "lora", tmp_path / "run")
    config = run_config_from(values)
    in_memory = prepare(config)
    monkeypatch.setattr(on_disk, "LARGE", 0)
    other = prepare(config)
    assert isinstance(other.data.train["text"], TextColumn)
    for split in ("train", "validation", "test"):
        one, two = in_memory.examples[split], other.examples[split]
        assert np.array_equal(one.encoded.ids, two.encoded.ids)
        assert np.array_equal(one.encoded.offsets, two.encoded.offsets)
        assert one.targets is not None and two.targets is not None
        assert np.array_equal(one.targets, two.targets)
        assert one.records == two.records
    facts: dict[str, Any] = in_memory.data.facts.as_dict()
    others: dict[str, Any] = other.data.facts.as_dict()
    notes = [note for note in others.pop("notes") if note["code"] != "data.kept_on_disk"]
    assert notes == facts.pop("notes") and others == facts


def test_texts_are_on_disk_where_most_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_disk, "LARGE", 0)
    monkeypatch.setattr(streamed, "AT_ONCE", 1100)
    file = write_rows(tmp_path / "a.jsonl", make_rows(1200))
    from welltuned.data.config import DataConfig

    table = streamed.read_streamed(Path(file), file, DataConfig(train=file))
    assert table is not None
    assert {name: isinstance(cells, TextColumn) for name, cells in table.columns.items()} == {
        "text": True,
        "label": False,
    }
