"""The report of a sweep: one file, made from `sweep.json` and the config beside it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from welltuned.reports.sweep import write_sweep_report

NASTY = "<script>alert('x')</script> & \"<b>\""


def trial(number: int, state: str, rate: float, value: float | None, **more: Any) -> dict[str, Any]:
    curve = [] if state in ("waiting", "running") else [0.3, value or 0.4]
    return {
        "number": number,
        "state": state,
        "values": {"training.learning_rate": rate, "strategy.r": (4, 8)[number % 2]},
        "value": value,
        "curve": curve,
        "reason": None,
        "usual": number == 0,
        "seconds": None if state == "running" else 61.0,
        "run": f"trials/{number}",
        **more,
    }


SUMMARY: dict[str, Any] = {
    "model": "some/all-MiniLM",
    "data": NASTY,
    "strategy": "lora",
    "metric": "macro_f1",
    "direction": "maximize",
    "asked": {"trials": 8, "sampler": "tpe", "pruner": "median", "seed": 0},
    "space": {
        "training.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
        "strategy.r": {"values": [4, 8]},
    },
    "usual": {"training.learning_rate": 1e-3, "strategy.r": 4},
    "trials": [
        trial(0, "finished", 1e-3, 0.71),
        trial(1, "finished", 3e-4, 0.745),
        trial(2, "pruned", 1e-5, None, reason="pruned at step 3"),
        trial(3, "failed", 9e-3, None, reason=NASTY, curve=[None]),
        trial(4, "repeated", 2e-3, None, curve=[]),
        trial(5, "running", 2e-3, None),
        trial(6, "finished", 2e-3, 0.5),
    ],
    "best": 1,
    "importance": {"training.learning_rate": 0.9, "strategy.r": 0.1},
    "command": "welltuned train sweeps/x/best.yaml",
    "data_fingerprint": "abc",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(f"model: {NASTY}\n")
    return tmp_path


def page(folder: Path, **changes: Any) -> str:
    (folder / "sweep.json").write_text(json.dumps({**SUMMARY, **changes}))
    return write_sweep_report(folder).read_text(encoding="utf-8")


def text_of(html: str) -> str:
    without = re.sub(r"<(style|svg).*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", without).split())


def test_the_best_trial_stands_beside_the_defaults_with_what_to_do_next(folder: Path) -> None:
    text = text_of(page(folder))
    assert "validation macro-F1 0.745 trial 1 · +0.035 against the defaults (0.710)" in text
    assert "training.learning_rate 0.0003 0.001 1e-05 to 0.01, log scale" in text
    assert "strategy.r 8 4 4, 8" in text
    assert "welltuned train sweeps/x/best.yaml" in text
    assert "the test split was not read" in text


def test_every_trial_is_in_the_table_best_first(folder: Path) -> None:
    html = page(folder)
    rows = re.findall(r"<tr[^>]*><td class=\"number\">(?:<a [^>]*>)?(\d)", html)
    assert rows == ["1", "0", "6", "2", "3", "4", "5"]
    assert 'href="trials/1/report.html"' in html
    assert 'href="trials/3/report.html"' not in html, "a failed run has no report"
    assert "(0.400)" in text_of(html), "where a pruned trial was"


def test_what_mattered_is_a_share_of_the_whole(folder: Path) -> None:
    html = page(folder)
    assert re.search(r"learning_rate</code></td><td class=\"number\">90%", html)
    assert "width: 90.0%" in html
    assert "With so few trials this is a rough estimate" in html


def test_charts_have_words_for_those_who_hear_them(folder: Path) -> None:
    names = re.findall(r'<svg[^>]*aria-label="([^"]*)"', page(folder))
    assert names == [
        "Validation macro-F1 of each trial",
        "Validation macro-F1 over training.learning_rate",
        "Validation macro-F1 over strategy.r",
        "Values and validation macro-F1 of each finished trial",
    ]


def test_what_users_wrote_is_text_and_nothing_is_fetched(folder: Path) -> None:
    html = page(folder)
    assert "<script" not in html and "&lt;script&gt;" in html
    assert not re.findall(r'(?:src|href)="(?!#|trials/)', html)
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))


def test_a_sweep_without_a_finished_trial_has_a_page_too(folder: Path) -> None:
    trials = [trial(0, "failed", 1e-3, None, reason="no luck")]
    text = text_of(page(folder, trials=trials, best=None, importance={}, command=None))
    assert "No trial has finished." in text and "no luck" in text


def test_one_trial_and_equal_scores_can_be_drawn(folder: Path) -> None:
    for scores in ([0.5], [0.5, 0.5]):
        trials = [trial(i, "finished", 1e-3, score) for i, score in enumerate(scores)]
        assert "<svg" in page(folder, trials=trials, best=0, importance={})


def test_less_is_better_where_it_is(folder: Path) -> None:
    html = page(folder, direction="minimize", best=6)
    rows = re.findall(r"<tr[^>]*><td class=\"number\">(?:<a [^>]*>)?(\d)", html)
    assert rows[:3] == ["6", "0", "1"]


def test_places_on_a_scale_of_factors_are_factors() -> None:
    from welltuned.reports.sweep_charts import TriedDimension, _share

    scale: TriedDimension = {"low": 1e-4, "high": 1e-2, "log": True}
    assert _share(1e-3, scale) == pytest.approx(0.5)
    assert _share(1e-3, {**scale, "log": False}) == pytest.approx(0.0009 / 0.0099)
    assert _share(8, {"values": [4, 8, 16]}) == 0.5 and _share(4, {"values": [4]}) == 0.5
    assert not math.isnan(_share(1e-4, scale))


def test_it_speaks_chinese(folder: Path) -> None:
    text = text_of(page(folder, language="zh"))
    assert "最佳试验" in text and "与默认设置（0.710）相比 +0.035" in text
    for english in (
        "The best trial",
        "Hyper-parameter importance",
        "defaults",
        "finished",
        "macro-F1",
    ):
        assert english not in text, english
    again = write_sweep_report(folder, "en").read_text(encoding="utf-8")
    assert 'lang="en"' in again and "The best trial" in again
