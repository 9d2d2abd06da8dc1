"""The page of a learning curve."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from welltuned.experiments.search.forecast import extrapolate_curve
from welltuned.reports.learning_curve import write_curve_report

NASTY = "<script>alert('x')</script>"


def written(folder: Path) -> dict[str, Any]:
    """What a finished curve leaves in its folder."""
    sizes = np.array([100, 200, 400, 800])
    scores = np.array([[0.6, 0.62], [0.68, 0.7], [0.74, 0.76], [0.79, 0.8]])
    facts = {"model": "some/MiniLM", "data": NASTY, "strategy": "lora", "data_fingerprint": "abc"}
    found = {**facts, **extrapolate_curve("macro_f1", sizes, scores)}
    (folder / "learning_curve.json").write_text(json.dumps(found))
    (folder / "config.yaml").write_text(f"data: {NASTY}\n")
    return found


def test_the_page_has_the_advice_the_chart_and_the_numbers(tmp_path: Path) -> None:
    found = written(tmp_path)
    html = write_curve_report(tmp_path).read_text(encoding="utf-8")
    assert "<script" not in html and "&lt;script&gt;" in html
    assert not re.findall(r'(?:src|href)="(?!#)', html)
    assert re.findall(r'<svg[^>]*aria-label="([^"]*)"', html) == [
        "Validation macro-F1 over the number of training examples"
    ]
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert found["advice"] in text
    assert "100 0.610 " in text and "0.600 · 0.620" in text
    twice = found["predictions"][1]
    assert f"1,600 {twice['value']:.3f} {twice['low']:.3f} to {twice['high']:.3f} predicted" in text
    assert "the test split was not read" in text


def test_it_speaks_chinese(tmp_path: Path) -> None:
    written(tmp_path)
    html = write_curve_report(tmp_path, "zh").read_text(encoding="utf-8")
    text = " ".join(re.sub(r"<(style|svg).*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL).split())
    assert 'lang="zh"' in html and "值得标注更多数据。" in text
    for english in ("worth it", "predicted", "The law", "training examples"):
        assert english not in text, english
