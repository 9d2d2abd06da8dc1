"""Texts that a model was trained on are known again."""

from __future__ import annotations

from pathlib import Path

from welltuned.data.overlap.trained_on import (
    TRAINED_ON,
    count_trained_on,
    text_hashes,
    write_trained_on,
)
from welltuned.data.records import Records


def records(*texts: str, second: str | None = None) -> Records:
    columns = {"text": list(texts)}
    if second is not None:
        columns["text_pair"] = [second] * len(texts)
    return Records("texts", columns, list(range(1, len(texts) + 1)), tuple(columns))


def test_texts_are_known_again_and_others_are_not(tmp_path: Path) -> None:
    write_trained_on(records("good film", "bad film", "bad film", "caf\u00e9"), tmp_path)
    asked = records("bad film", "Bad film", " good\n film ", "cafe\u0301", "film good", "cafe")
    assert count_trained_on(asked, tmp_path) == 3
    assert [file.name for file in tmp_path.iterdir()] == [TRAINED_ON]


def test_pairs_are_known_by_both_texts(tmp_path: Path) -> None:
    write_trained_on(records("good", second="film"), tmp_path)
    assert count_trained_on(records("good", second="film"), tmp_path) == 1
    assert count_trained_on(records("good", second="room"), tmp_path) == 0
    assert count_trained_on(records("good film"), tmp_path) == 0


def test_lists_of_words_are_known_as_the_text_they_make() -> None:
    words = Records("texts", {"words": [["good", "film"]]}, [1], ("words",))
    assert text_hashes(words) == text_hashes(
        Records("texts", {"words": ["good film"]}, [1], ("words",))
    )


def test_without_the_file_or_with_a_damaged_one_nobody_knows(tmp_path: Path) -> None:
    assert count_trained_on(records("good"), tmp_path) is None
    for spoilt in (b"", b"\x93NUMPY", b"not an array"):
        (tmp_path / TRAINED_ON).write_bytes(spoilt)
        assert count_trained_on(records("good"), tmp_path) is None
