"""The script beside an export: it reads, and answers, as we do, without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from exporting import summing_graph, written
from support import SPECIAL, WORDS, make_rows, make_tokenizer
from welltuned.deployment.export.loader import Text, TextModel
from welltuned.deployment.graphs import ONNX
from welltuned.deployment.open import open_predictor
from welltuned.tasks.classification.decision_rule import ClassRule, LabelSetRule

TEXTS = [row["text"] for row in make_rows(9, seed=5)]
WITHOUT = "import runpy, sys; sys.modules.update(torch=None, transformers=None); "
LABELS = ("bad", "fair", "good")
RNG = np.random.default_rng(0)
LOGITS_NK = np.concatenate([3 * RNG.standard_normal((60, 3)), [[0, 0, 0], [800, -800, 0]]])
COSTS = {
    "bad": {"bad": 0, "fair": 1, "good": 9},
    "fair": {"bad": 2, "fair": 0, "good": 1},
    "good": {"bad": 3, "fair": 4, "good": 0},
}


# --- As a whole -----------------------------------------------------------------


def test_the_loader_needs_neither_torch_nor_transformers(quantised: Path) -> None:
    code = f"{WITHOUT}sys.argv = ['predict.py', *sys.argv[1:]]; " + (
        f"runpy.run_path({str(quantised / 'predict.py')!r}, run_name='__main__')"
    )
    asked = [sys.executable, "-c", code, *TEXTS]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for one, other in zip(rows, open_predictor(quantised).predict(TEXTS), strict=True):
        assert one["prediction"] == other["prediction"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-2)


@pytest.mark.slow
def test_the_loader_runs_where_nothing_else_is_installed(quantised: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "clean", with_pip=True)
    python = str(tmp_path / "clean" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "onnxruntime", "tokenizers", "numpy"]
    subprocess.run(install, check=True, timeout=600)
    shutil.copytree(quantised, tmp_path / "away")
    asked = [python, str(tmp_path / "away" / "predict.py"), *TEXTS]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=True)
    rows = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    assert rows == [row["prediction"] for row in open_predictor(quantised).predict(TEXTS)]


# --- What is read ---------------------------------------------------------------


def summing(folder: Path, inputs: tuple[str, ...] = ("input_ids",), **told: Any) -> TextModel:
    """A model whose answer is the sum of what it reads."""
    written(folder, predictions="number", inputs=list(inputs), **told)
    summing_graph(folder / ONNX, *inputs)
    make_tokenizer("encoder", "bert").backend_tokenizer.save(str(folder / "tokenizer.json"))
    return TextModel(folder)


def ids(*words: str) -> int:
    return sum([*SPECIAL, *WORDS].index(word) for word in words)


def said(model: TextModel, *texts: Text) -> list[object]:
    return [row["prediction"] for row in model.predict(list(texts))]


def test_texts_of_unlike_length_are_padded_and_masked(tmp_path: Path) -> None:
    model = summing(tmp_path / "a", ("input_ids", "attention_mask"), pad_id=4)
    long, short = ids("[CLS]", "good", "film", "[SEP]"), ids("[CLS]", "bad", "[SEP]", "[MASK]")
    assert said(model, "good film", "bad") == [4000 + long, 3000 + short]


@pytest.mark.parametrize(("side", "kept"), [("right", "good"), ("left", "film")])
def test_long_texts_are_cut_where_the_run_cut_them(side: str, kept: str, tmp_path: Path) -> None:
    model = summing(tmp_path / "a", max_length=3, truncation_side=side)
    assert said(model, "good bad film") == [ids("[CLS]", kept, "[SEP]")]


def test_the_second_of_a_pair_is_told_apart(tmp_path: Path) -> None:
    model = summing(tmp_path / "a", ("input_ids", "token_type_ids"))
    both = ids("[CLS]", "good", "[SEP]", "bad", "[SEP]")
    assert said(model, ("good", "bad")) == [2000 + both]


def test_special_tokens_in_texts_are_read_as_the_run_read_them(tmp_path: Path) -> None:
    as_token = summing(tmp_path / "a", special_tokens="tokens")
    as_text = summing(tmp_path / "b", special_tokens="text")
    assert said(as_token, "[MASK]") == [ids("[CLS]", "[MASK]", "[SEP]")]
    assert said(as_text, "[MASK]") == [ids("[CLS]", *["[UNK]"] * 3, "[SEP]")]


def test_no_text_has_no_answer(tmp_path: Path) -> None:
    assert summing(tmp_path / "a").predict([]) == []


def test_openvino_computes_as_precisely_as_it_was_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    compiled = SimpleNamespace(compile_model=lambda *given: asked.append(given))
    fake: Any = SimpleNamespace(Core=lambda: compiled)
    monkeypatch.setitem(sys.modules, "openvino", fake)
    summing(tmp_path / "a", format="openvino")
    file, device, hints = asked[0]
    assert (file, device) == (str(tmp_path / "a" / "model.xml"), "CPU")
    assert hints["INFERENCE_PRECISION_HINT"] == "f32"


# --- What is answered -----------------------------------------------------------


class Answering(TextModel):
    """Of given logits."""

    def __init__(self, logits_NK: np.ndarray, predictions: str, rule: dict[str, Any]) -> None:
        self.logits_NK = logits_NK.astype(np.float32)
        self.told = {"predictions": predictions, "labels": list(LABELS), "decision_rule": rule}

    def logits(self, texts: Sequence[Text]) -> np.ndarray:
        return self.logits_NK


def answers(predictions: str, rule: dict[str, Any]) -> list[Any]:
    return Answering(LOGITS_NK, predictions, rule).predict([""] * len(LOGITS_NK))


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"temperature": 2.5},
        {"costs": COSTS},
        {"abstain_below": 0.8},
        {"temperature": 0.5, "costs": COSTS, "abstain_below": 0.6},
    ],
)
def test_one_label_is_decided_as_our_rule_does(rule: dict[str, Any]) -> None:
    ours = ClassRule.from_dict(rule, LABELS)
    chances_NK = ours.probabilities(LOGITS_NK.astype(np.float32))
    abstains_N = ours.abstains(chances_NK)
    wanted = [
        None if unsure else LABELS[i]
        for i, unsure in zip(ours.said(chances_NK), abstains_N, strict=True)
    ]
    rows = answers("single_label", rule)
    assert [row["prediction"] for row in rows] == wanted
    assert (None in wanted) == ("abstain_below" in rule), "or the rule changes nothing here"
    for row, chances_K in zip(rows, chances_NK, strict=True):
        assert list(row["probabilities"]) == list(LABELS)
        assert list(row["probabilities"].values()) == pytest.approx(chances_K, abs=1e-6)


def test_costs_change_answers_here() -> None:
    assert answers("single_label", {"costs": COSTS}) != answers("single_label", {})


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"temperature": 2.5},
        {"thresholds": {"bad": 0.2, "fair": 0.9, "good": 0.5}, "thresholds_for": "f1"},
    ],
)
def test_several_labels_are_decided_as_our_rule_does(rule: dict[str, Any]) -> None:
    ours = LabelSetRule.from_dict(rule, LABELS)
    chances_NK = ours.probabilities(LOGITS_NK.astype(np.float32))
    rows = answers("multi_label", rule)
    assert [row["prediction"] for row in rows] == [
        [label for label, yes in zip(LABELS, flags_K, strict=True) if yes]
        for flags_K in ours.said(chances_NK)
    ]
    assert rows[-2]["prediction"] == (["bad"] if rule.get("thresholds") else [])
    for row, chances_K in zip(rows, chances_NK, strict=True):
        assert list(row["probabilities"].values()) == pytest.approx(chances_K, abs=1e-6)
