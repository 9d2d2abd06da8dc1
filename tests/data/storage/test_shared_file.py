"""What is stored comes back exactly, or is not stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from welltuned.data.records import Records
from welltuned.data.storage.shared_file import UnstorableError, load_stored, store


@dataclass(frozen=True)
class Point:
    name: str
    place: np.ndarray
    near: tuple[int, ...] = ()


class Pair(NamedTuple):
    winner: int
    margin: float


def again(value: Any, folder: Path) -> Any:
    store(value, folder / "value.npz")
    return load_stored(folder / "value.npz")


@pytest.mark.parametrize(
    "value",
    [
        None,
        [True, 1, 1.0, 0.1, "1", None],
        ("a", ["b", ("c",)]),
        {"a": 1, 2: ["b"], ("x", 1): {}},
        "\u4e2d\ud800",
        {"class": 1, "plain": 2},
        [Pair(1, 0.5), (1, 0.5)],
    ],
)
def test_plain_values_come_back_with_their_types(value: Any, tmp_path: Path) -> None:
    found = again(value, tmp_path)
    assert found == value and repr(found) == repr(value)


def test_numbers_that_are_none_come_back(tmp_path: Path) -> None:
    assert math.isnan(again([float("nan")], tmp_path)[0])


@pytest.mark.parametrize("dtype", [np.int32, np.int8, np.float32, np.float64, bool])
def test_arrays_come_back_with_type_and_shape(dtype: Any, tmp_path: Path) -> None:
    arrays = [np.arange(6).reshape(2, 3).astype(dtype), np.empty((0, 4), dtype), np.ones(1, dtype)]
    for before, after in zip(arrays, again(arrays, tmp_path), strict=True):
        assert before.dtype == after.dtype and np.array_equal(before, after)
        assert before.shape == after.shape


def test_dataclasses_come_back_in_lists_and_in_arrays_of_objects(tmp_path: Path) -> None:
    points = np.empty(2, dtype=object)
    points[:] = [Point("a", np.arange(2)), Point("b", np.arange(3), (1, 2))]
    found = again({"points": points, "rows": Records("f", {"x": ["1"]}, [7], ("x",))}, tmp_path)
    assert [point.name for point in found["points"]] == ["a", "b"]
    assert found["points"][1].near == (1, 2)
    assert np.array_equal(found["points"][1].place, np.arange(3))
    assert found["rows"] == Records("f", {"x": ["1"]}, [7], ("x",))


@pytest.mark.parametrize("value", [object(), {1, 2}, np.float32(1), Path("x"), b"bytes"])
def test_what_would_not_come_back_is_refused(value: Any, tmp_path: Path) -> None:
    with pytest.raises(UnstorableError):
        store([value], tmp_path / "value.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [lambda raw: raw[:-20], lambda raw: b"", lambda raw: b"PK" * 99])
def test_a_damaged_file_is_told_from_a_whole_one(damage: Any, tmp_path: Path) -> None:
    file = tmp_path / "value.npz"
    store({"a": np.arange(1000)}, file)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises((OSError, ValueError)):
        load_stored(file)


def test_reading_imports_nothing(tmp_path: Path) -> None:
    """A file may name any class; only dataclasses that are loaded already are made."""
    file = tmp_path / "value.npz"
    for named in (["antigravity", "fly"], ["os", "system"]):
        tree = f'{{"class": ["{named[0]}", "{named[1]}"], "fields": {{}}}}'.encode()
        np.savez(file, tree=np.frombuffer(tree, np.uint8))
        with pytest.raises(ValueError, match="not whole"):
            load_stored(file)
