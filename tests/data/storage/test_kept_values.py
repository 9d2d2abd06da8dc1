"""Values that are computed once, and shared by way of a folder."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from welltuned.data.storage.kept_values import KeptValues


class Making:
    """Makes a value, and counts how often."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.times = 0

    def __call__(self) -> Any:
        self.times += 1
        return self.value


def test_a_value_is_made_once_for_all_who_ask(tmp_path: Path) -> None:
    make = Making({"scores": np.arange(6.0).reshape(2, 3), "why": "measured"})
    for _ in range(2):  # as another process or a later run would
        found = KeptValues(tmp_path).once(["features", 1], make)
        assert found["why"] == "measured"
        np.testing.assert_array_equal(found["scores"], make.value["scores"])
    assert make.times == 1
    KeptValues(tmp_path).once(["features", 2], make)
    assert make.times == 2


def test_who_asks_while_it_is_made_waits(tmp_path: Path) -> None:
    begun, goes_on, found = threading.Event(), threading.Event(), []

    def slowly() -> int:
        begun.set()
        assert goes_on.wait(10)
        return 7

    def ask(make: Any) -> None:
        found.append(KeptValues(tmp_path).once("it", make))

    first = threading.Thread(target=ask, args=(slowly,))
    first.start()
    assert begun.wait(10)
    second = threading.Thread(target=ask, args=(lambda: pytest.fail("it is being made"),))
    second.start()
    goes_on.set()
    first.join(10)
    second.join(10)
    assert found == [7, 7]


@pytest.mark.parametrize("damage", [b"", b"not an archive", None])
def test_what_is_damaged_is_made_anew(damage: bytes | None, tmp_path: Path) -> None:
    make = Making(np.ones(1000))
    KeptValues(tmp_path).once("it", make)
    [file] = tmp_path.glob("*.npz")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content if damage is None else damage)
    np.testing.assert_array_equal(KeptValues(tmp_path).once("it", make), make.value)
    assert make.times == 2
    KeptValues(tmp_path).once("it", make)
    assert make.times == 2


def test_without_a_folder_it_is_made_each_time(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    make = Making(3)
    for _ in range(2):
        assert KeptValues(tmp_path / "taken").once("it", make) == 3
    assert make.times == 2


def test_what_cannot_be_stored_is_made_each_time(tmp_path: Path) -> None:
    make = Making(object())
    for _ in range(2):
        assert KeptValues(tmp_path).once("it", make) is make.value
    assert make.times == 2


def test_the_oldest_make_room(tmp_path: Path) -> None:
    make = Making(np.ones(1000))
    kept = KeptValues(tmp_path, limit=20_000)
    for number in range(2):
        kept.once(number, make)
        for age, file in enumerate(sorted(tmp_path.glob("*.npz"), key=os.path.getmtime)):
            os.utime(file, (age, age))
    kept.once(0, make)  # asked for again: now the other one is the oldest
    kept.once(2, make)
    assert make.times == 3
    kept.once(0, make)
    assert make.times == 3
    kept.once(1, make)
    assert make.times == 4


def test_a_value_may_follow_from_another(tmp_path: Path) -> None:
    """Whatever locks the two have."""
    found: list[int] = []

    def outer(kept: KeptValues, number: int) -> int:
        return kept.once(["inner", number], lambda: 1) + 1

    def ask() -> None:
        kept = KeptValues(tmp_path)
        for number in range(40):
            found.append(kept.once(number, partial(outer, kept, number)))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(20)
    assert found == [2] * 40
