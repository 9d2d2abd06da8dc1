"""Labels to check and texts to label on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from welltuned.cli.console.suspects import next_lines, suspects_lines
from welltuned.runs.suspects_schema import SuspectsFile

SUSPECT = {"id": "r1", "label": "bad", "suggested": ["good", "long"], "probability": 0.034}
TWIN = {"id": "r2", "label": [], "inputs": {"text": "one\n" + "word " * 40, "text_pair": "two"}}


def found(**parts: Any) -> SuspectsFile:
    suspects = [{**SUSPECT, "inputs": {"text": f"text {i}"}} for i in range(15)]
    pairs = [{"one": TWIN, "other": {**TWIN, "label": "bad"}, "similarity": 0.9}]
    values = {
        "examples": 2000, "metric": "macro_f1", "score": 0.8, "expected": 96.4,
        "suspects": suspects, "near_duplicates": pairs, "command": "welltuned train x", **parts,
    }  # fmt: skip
    return cast(SuspectsFile, values)


def test_the_first_are_shown_with_where_all_are_and_what_comes_next() -> None:
    lines = suspects_lines(found(), Path("suspects/reviews"))
    assert "15 of 2,000" in lines[0] and "about 96" in lines[0]
    shown = [line for line in lines if "  text " in line]
    assert len(shown) == 10 and shown[0].split()[:4] == ["3.4%", "bad", "→", "good,"]
    assert "table       suspects/reviews/suspects.csv" in lines
    assert lines[-1] == "  welltuned train x"


def test_near_duplicates_are_told_on_one_line_each() -> None:
    lines = suspects_lines(found(suspects=[], command=None), Path("s"))
    (line,) = [line for line in lines if "90%" in line]
    assert "– / bad" in line and line.endswith("…") and "\n" not in line
    assert not any("welltuned train" in line for line in lines)
    assert not any("90%" in line for line in suspects_lines(found(near_duplicates=[]), Path("s")))


def test_texts_to_label_are_shown_with_what_the_model_says() -> None:
    row = {"id": "r1", "text": "a text", "label": "", "prediction": "good", "probability": 0.51}
    lines = next_lines([row] * 12, 300, "to_label.csv")
    assert "12 of 300" in lines[0]
    assert [line.split() for line in lines[2:12]] == [["51.0%", "good", "a", "text"]] * 10
    assert "table       to_label.csv" in lines
