"""Pages in Chinese hold no sentence in English, but for what users and settings say."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from welltuned.experiments.search.forecast import extrapolate_curve
from welltuned.reports.comparison import write_comparison_report
from welltuned.reports.learning_curve import write_curve_report
from welltuned.reports.lr_range import write_page
from welltuned.reports.probe import write_probe
from welltuned.reports.run import write_run_report
from welltuned.reports.sweep import write_sweep_report
from welltuned.reports.write import write_report
from welltuned.rlhf.safeguards import Safeguards
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison

SENTENCE = re.compile(r"(?:\b[A-Za-z][A-Za-z’'-]+[,;:]? ){2,}[A-Za-z][A-Za-z’'-]+")
"""Three words of English or more."""
TOLD = {"aria-label", "title", "alt"}
"""Attributes that are read to people."""
SPOKEN = {"report": {"language": "zh"}}


class Shown(HTMLParser):
    """What a page says in words of ours: not its commands and settings, nor texts of users."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.language: str | None = None
        self.said: list[str] = []
        self._open: list[bool] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "html":
            self.language = given.get("lang")
        self.said += [str(value) for name, value in attrs if name in TOLD]
        theirs = tag in ("style", "pre", "code") or "text" in str(given.get("class")).split()
        if tag not in ("meta", "br"):
            self._open.append(theirs)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if not any(self._open):
            self.said.append(" ".join(data.split()))


def english(html: str, quoted: Iterable[str] = ()) -> list[str]:
    """The sentences of a page in English; `quoted` is what it takes from results as it is."""
    page = Shown(html)
    assert page.language == "zh" and len(page.said) > 20
    text = "\n".join(page.said)
    for each in quoted:
        text = text.replace(" ".join(each.split()), "")
    return [found.group() for found in SENTENCE.finditer(text)]


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def test_a_sentence_in_english_is_noticed() -> None:
    filler = "<p>中文</p>" * 30
    for said in ("<p>No answer has changed</p>", '<p title="which of them it was">x</p>'):
        assert english(f'<html lang="zh">{filler}{said}</html>')
    said = "<pre>welltuned train config.yaml now please</pre><td class='text'>it was so good</td>"
    assert not english(f'<html lang="zh">{filler}{said}<p>a word</p></html>')


# --- Ordinary runs -------------------------------------------------------------


@pytest.mark.parametrize("name", ["finished", "rewarded", "directed"])
def test_of_a_run(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    finished: Run = request.getfixturevalue(name)
    run = Run(Path(shutil.copytree(finished.folder, tmp_path / "run")))
    columns = "prompt, chosen, rejected"  # as a note on the file names them
    assert english(read(write_run_report(run, "zh")), [columns]) == []


PROBE: dict[str, Any] = {
    "metric": "macro_f1",
    "regions": ["embeddings", "block 0", "block 1"],
    "before": [0.4, 0.6, 0.5],
    "after": [0.4, 0.7, 0.8],
    "behind": [3.0, 0.0, 1.5],
    "error": 0.03,
    "chance": 0.3,
    "texts": {"fitted": 96, "scored": 12},
    "hint": {"num_blocks": 1, "why": "as the results say it"},
}


def test_of_what_was_forgotten(finished: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(finished.folder, tmp_path / "run")))
    entry = {"before": 0.5, "after": 0.4, "kept": 0.8, "why": "", "source": "demo:topics_en",
             "examples": 240}  # fmt: skip
    kinds = ("probe", "cka", "loss", "kl")
    entries = {f"{kind}_set": {**entry, "kind": kind, "chance": 0.2} for kind in kinds}
    curve = [
        {"alpha": alpha, "validation": {"macro_f1": alpha}, "kept": 1 - alpha / 2}
        for alpha in (0.0, 0.5, 1.0)
    ]
    wise = {"alpha": 0.5, "metric": "macro_f1", "curve": curve, "why": "as the results say it"}
    kept = {"kept": 0.8, "kept_ci95": [0.7, 0.9], "decided_by": "probe_set"}
    measured = {"retention": {**kept, **entries}, "probe": PROBE, "wise_ft": wise}
    run.write("results.json", {**run.results, **measured})
    html = read(write_run_report(run, "zh"))
    assert "遗忘了什么" in html and "块 0 0.600" in html
    assert english(html, ["as the results say it"]) == []


# --- Searches and comparisons --------------------------------------------------


def test_of_a_comparison(compared: Comparison, tmp_path: Path) -> None:
    copied = Comparison(Path(shutil.copytree(compared.folder, tmp_path / compared.name)))
    assert english(read(write_comparison_report(copied, "zh"))) == []


def test_of_a_layer_probe(tmp_path: Path) -> None:
    found: Any = {**PROBE, "model": "some/all-MiniLM", "data": "train.csv"}
    html = read(write_probe(found, tmp_path / "probe.html", "zh"))
    assert english(html, ["as the results say it"]) == []


def test_of_a_learning_curve(tmp_path: Path) -> None:
    sizes = np.array([100, 200, 400, 800])
    scores = np.array([[0.6, 0.62], [0.68, 0.7], [0.74, 0.76], [0.79, 0.8]])
    facts = {"model": "some/MiniLM", "data": "a.csv", "strategy": "lora", "data_fingerprint": "a"}
    found = {**facts, **SPOKEN["report"], **extrapolate_curve("macro_f1", sizes, scores)}
    (tmp_path / "learning_curve.json").write_text(json.dumps(found))
    (tmp_path / "config.yaml").write_text("")
    assert english(read(write_curve_report(tmp_path))) == []


def test_of_a_sweep(tmp_path: Path) -> None:
    trial = {"state": "finished", "curve": [0.3], "reason": None, "seconds": 6.0, "run": "trials/0"}
    trials = [
        {**trial, "number": n, "usual": n == 0, "value": value, "values": {"strategy.r": 4 * n + 4}}
        for n, value in enumerate((0.6, 0.7, 0.5))
    ]
    found = {
        "model": "some/MiniLM", "data": "a.csv", "strategy": "lora", "metric": "macro_f1",
        "direction": "maximize", "best": 1, "importance": {"strategy.r": 1.0}, "command": "go",
        "asked": {"trials": 3, "sampler": "tpe", "pruner": "median", "seed": 0},
        "space": {"strategy.r": {"values": [4, 8, 12]}}, "usual": {"strategy.r": 4},
        "trials": trials, "data_fingerprint": "abc", "language": "zh",
    }  # fmt: skip
    (tmp_path / "sweep.json").write_text(json.dumps(found))
    (tmp_path / "config.yaml").write_text("")
    assert english(read(write_sweep_report(tmp_path))) == []


def test_of_a_range_test(tmp_path: Path) -> None:
    reason = {
        "code": "lr_range.minimum_inside", "say": "",
        "values": {"start": "2.0", "rate": "1e-3", "least": "0.5", "last": "3.0"},
    }  # fmt: skip
    test: Any = {
        "strategy": {"type": "lora"}, "model": "some/MiniLM", "data": "a.csv", "reason": reason,
        "rates": [1e-5, 1e-4, 1e-3, 1e-2], "losses": [2.0, 1.0, 0.5, 3.0],
        "smoothed": [2.0, 1.0, 0.5, 3.0], "suggestion": 1e-4,
    }  # fmt: skip
    write_page(tmp_path / "page.html", test, "zh")
    html = read(tmp_path / "page.html")
    page = Shown(html)
    assert page.language == "zh" and not SENTENCE.search("\n".join(page.said))


# --- Reinforcement learning ----------------------------------------------------


def scores(reward: float, **more: Any) -> dict[str, Any]:
    interval = [reward - 0.1, reward + 0.1]
    return {"reward": reward, "reward_ci95": interval, "kl": 0.2, "kl_ci95": [0.1, 0.3], **more}


def stage(folder: Path, generates: bool, exploded: object, config: dict[str, Any]) -> Run:
    """The folder of a finished RL stage, of a generator or of a classifier."""
    run = Run.create(folder)
    gain = {"reward_gain": 0.5, "reward_gain_ci95": [0.3, 0.7]}
    both: dict[str, Any] = {} if generates else {"confusion": [[3, 1], [0, 4]]}
    run.write("config.yaml", {
        "schema_version": 1, "stage": "rl", "title": "PPO", "model": {"name": "some/MiniLM"},
        "rl": {"type": "ppo", "temperature": 0.7}, "strategy": {"type": "lora"},
        "sft": "stages/sft", **config,
    })  # fmt: skip
    run.write("results.json", {
        "test": scores(1.0, **gain, **both), "baselines": {"sft": scores(0.5, **both)},
        "training": {"steps": 2, "episodes": 32, "optimizer_steps": 8, "exploded": exploded,
                     "went_back_to": 1 if exploded else None},
        "parameters": {"trainable": 10, "total": 100},
        "cost": {"train_seconds": 9.0, "examples_per_second": 3.0, "peak_memory_bytes": 1000,
                 "artifact_bytes": 100,
                 "seconds": {"rollout": 3.0, "reward": 2.0, "learning": 4.0}},
        "memory": {"roles": {"policy": 9, "gradients and optimizer": 9, "reference": 9, "value": 9,
                             "reward": 9}, "shared_with_judges": 3},
        "proof": {"reloaded_examples": 4, "reloaded_difference": 0.0, "frozen_moved": 0,
                  "frozen_weights": 5, "trainable_moved": 3, "trainable_weights": 3},
        "choices": ["rl.max_kl = 10 (usual for classification)"], "metric": "reward",
    })  # fmt: skip
    task = {"actions": "text" if generates else "label", "labels": [] if generates else ["a", "b"]}
    run.write("data.json", {"task": task})
    run.write("environment.json", {"command": None, "packages": {"welltuned": "1.0"}})
    facts = {"kl": 0.1, "second_reward": 0.1, "length": 4.0, "eos_rate": 1.0, "empty": 0.0,
             "distinct_1": 0.5, "distinct_2": 0.5, "repetition": 0.0, "entropy": 1.0,
             "approx_kl": 0.1, "clip_fraction": 0.1, "value_loss": 0.1,
             "explained_variance": 0.1}  # fmt: skip
    run.write_lines("metrics.jsonl", [
        {"step": step, "split": split, "reward": 1.0, **facts}
        for step in (1, 2) for split in ("train", "validation")
    ])  # fmt: skip
    answer = {"prompt": "how was it", "before": "so bad a film", "response": "it was so good",
              "reward": 1.0, "reward_before": 0.5}  # fmt: skip
    run.write_lines("predictions.jsonl", [answer if generates else {**answer, "label": "a"}])
    return run


def explosion() -> dict[str, object]:
    """What a safeguard says of a policy far away from its reference."""
    stats: Any = SimpleNamespace(reward=1.0, reward_deviation=0.5, kl=12.0)
    found = Safeguards(max_kl=10.0).trouble(stats)
    assert found is not None
    return found.as_message()


@pytest.mark.parametrize("generates", [True, False])
def test_of_a_stage_of_reinforcement_learning(generates: bool, tmp_path: Path) -> None:
    run = stage(tmp_path / "rl", generates, explosion(), SPOKEN)
    html = read(write_report(run))
    assert "超过 rl.max_kl = 10。保留第 1 批时的权重。" in html
    assert english(html) == []


@pytest.mark.parametrize("skipped", [True, False])
def test_of_a_pipeline(skipped: bool, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run")
    last = stage(run.folder / "stages/rl", skipped, explosion(), {})
    judges = [
        {"name": "mine.judge", "weight": weight, "run": None, "trained": False}
        for weight in (1.0, 0.5)
    ]
    stages = {"sft": None if skipped else "stages/sft", "reward": judges, "rl": "stages/rl"}
    run.write("results.json", {**last.results, "stages": stages})
    model = {"name": "some/MiniLM"}
    run.write("config.yaml", {"schema_version": 1, "pipeline": "rlhf", "model": model, **SPOKEN})
    assert english(read(write_report(run))) == []


def test_a_pipeline_of_an_earlier_release_is_english_and_its_trouble_is_told(
    tmp_path: Path,
) -> None:
    run = stage(tmp_path / "rl", True, "the loss is not finite", {})
    html = read(write_report(run))
    assert '<html lang="en">' in html
    assert "the loss is not finite. The weights of batch 1 are kept." in html


def test_a_pipeline_can_be_told_in_another_language_than_its_own(tmp_path: Path) -> None:
    run = stage(tmp_path / "rl", True, None, SPOKEN)
    assert '<html lang="en">' in read(write_report(run, "en"))
    assert '<html lang="zh">' in read(write_report(run))
