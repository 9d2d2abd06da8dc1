"""PEFT's comparison of methods in small: word problems, one language model, our strategies.

Each strategy learns the same steps of GSM8K at its own defaults and answers the same held-out
problems. Told are the loss, the answers whose final number is right, what the model forgot of
general texts, memory and time. Each run is a process of its own; what the results hold of this
code and these sizes is not run again, so a stopped comparison goes on.

    python benchmarks/peft_comparison.py --model FOLDER --data ../shared/data --write

At the default sizes some two minutes a strategy on two quiet cores, and a quarter of an hour in
all. --steps, --batch, --tested and --questions make it larger, --strategies choose.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marked import ROOT, as_table, pages, write_parts
from speed.place import (
    SPLITS,
    Place,
    circumstances,
    read_lines,
    timed,
    versions_of,
    welltuned,
    write_lines,
)
from welltuned.rlhf.rewards.final_number import final_number

RESULTS = ROOT / "benchmarks/results/peft_comparison.json"
SET = "math_en_gsm8k"
STRATEGIES: dict[str, dict[str, Any]] = {
    "full": {"type": "full"},
    "partial(4)": {"type": "partial", "num_blocks": 4},
    "lora": {"type": "lora"},
    "dora": {"type": "lora", "use_dora": True},
    "adapter": {"type": "adapter"},
    "prefix": {"type": "prefix"},
    "prompt": {"type": "prompt"},
    "ia3": {"type": "peft", "method": "ia3"},
}
BEFORE = "lora"
"""The run that also tells of the model as it was, which its adapter leaves as it is."""
SIZES = ("steps", "batch", "tested", "questions", "max_new_tokens", "max_length")
Row = dict[str, Any]


# --- One run ----------------------------------------------------------------------


def config_of(name: str, options: argparse.Namespace, run: Path) -> Row:
    """A run of so many steps; nothing is chosen on the way, so nothing is validated."""
    return {
        "model": str(options.model),
        "data": {
            **{split: str(run.parent / f"{split}.jsonl") for split in SPLITS},
            "columns": {"instruction": "question", "output": "answer"},
            "max_train_examples": options.steps * options.batch,
        },
        "task": {
            "type": "generation",
            "max_length": options.max_length,
            "scored_examples": options.questions,
            "decoding": {"max_new_tokens": options.max_new_tokens},
        },
        "strategy": STRATEGIES[name],
        "training": {
            "max_steps": options.steps,
            "per_device_train_batch_size": options.batch,
            "precision": "fp32",
            "eval_strategy": "no",
            "load_best_model_at_end": False,
        },
        "evaluation": {"untrained": name == BEFORE},
        "output_dir": str(run),
    }


def measure(name: str, options: argparse.Namespace, folder: Path) -> Row:
    """One strategy, in a process of its own."""
    run, file = folder / "run", folder / "run.yaml"
    for split in SPLITS:
        most = None if split == "train" else options.tested
        lines = read_lines(options.data / SET / f"{split}.jsonl")[:most]
        write_lines(folder / f"{split}.jsonl", lines)
    file.write_text(json.dumps(config_of(name, options, run)), encoding="utf-8")
    taken = timed(welltuned("train", str(file)), Place(folder, options.data, 0))
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    answers = read_lines(run / "predictions.jsonl")
    rows = [row for row in map(json.loads, answers) if "response" in row]
    found = {
        "loss": results["test"]["loss"],
        "loss_ci95": results["test"]["loss_ci95"],
        "right": right(rows, "response"),
        "asked": len(rows),
        "kept": general_loss(results["retention"]),
        "trainable": results["parameters"]["trainable"],
        "train_seconds": results["cost"]["train_seconds"],
        "seconds": taken.seconds,
        "bytes": taken.bytes,
        "artifact_bytes": results["cost"]["artifact_bytes"],
    }
    if name == BEFORE:
        loss = results["baselines"]["untrained"]["loss"]
        found["before"] = {"loss": loss, "right": right(rows, "before")}
    return found


def right(rows: list[Row], said: str) -> int:
    """How many answers end in the number of their reference."""
    return sum(_is_right(row[said], row["reference"]) for row in rows if said in row)


def _is_right(said: str, reference: str) -> bool:
    given, wanted = final_number(said), final_number(reference)
    return given is not None and wanted is not None and given.value == wanted.value


def general_loss(retention: Mapping[str, Any]) -> dict[str, float]:
    """Nats a token of general English, before and after."""
    entry = retention["loss_general_en"]
    return {"before": entry["before"], "after": entry["after"]}


# --- The table --------------------------------------------------------------------

HEADS = {
    "en": ("strategy", "weights trained", "test loss [95%]", "right answers",
           "loss on general texts", "seconds of training", "peak memory", "artifact"),
    "zh": ("策略", "训练的权重", "测试损失 [95%]", "答对", "一般文本的损失", "训练秒数", "内存峰值",
           "产物"),
}  # fmt: skip
AS_IT_WAS = {"en": "the model as it was", "zh": "原模型"}


def table(results: Mapping[str, Any], language: str) -> str:
    """What was measured, as the page shows it."""
    rows = [_line(name, found) for name, found in results["strategies"].items()]
    if (found := results["strategies"].get(BEFORE)) is not None:
        before, general = found["before"], f"{found['kept']['before']:.3f}"
        answers = f"{before['right']} / {found['asked']}"
        loss = f"{before['loss']:.3f}"
        rows.insert(0, [AS_IT_WAS[language], "0", loss, answers, general, *["–"] * 3])
    versions = versions_of(results)
    sizes = ", ".join(f"{name} {results['sizes'][name]}" for name in SIZES)
    machine = f"{results['cpu']}, {results['cores']} × CPU; {versions}; {results['date']}"
    return as_table(HEADS[language], rows, left=1) + f"\n\n{sizes}. {machine}."


def _line(name: str, found: Row) -> list[str]:
    low, high = found["loss_ci95"]
    return [
        f"`{name}`",
        f"{found['trainable']:,}",
        f"{found['loss']:.3f} [{low:.3f}, {high:.3f}]",
        f"{found['right']} / {found['asked']}",
        f"{found['kept']['after']:.3f}",
        f"{found['train_seconds']:.0f}",
        f"{found['bytes'] / 1e9:.2f} GB",
        f"{found['artifact_bytes'] / 1e6:.1f} MB",
    ]


# --- All of them ------------------------------------------------------------------


def begun(options: argparse.Namespace) -> dict[str, Any]:
    """What is known of this code at these sizes."""
    sizes = {name: getattr(options, name) for name in SIZES}
    now: dict[str, Any] = {**circumstances(), "sizes": sizes, "strategies": {}}
    if options.out.exists():
        stored = json.loads(options.out.read_text(encoding="utf-8"))
        if (stored["code"], stored["sizes"]) == (now["code"], sizes):
            now["strategies"] = stored["strategies"]
    return now


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="the folder of a language model")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    names = list(STRATEGIES)
    parser.add_argument("--strategies", nargs="+", choices=names, default=names)
    for name, size in zip(SIZES, (12, 4, 96, 16, 160, 256), strict=True):
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=size)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--write", action="store_true", help="put the table into the pages")
    return parser.parse_args()


def main() -> None:
    options = read_options()
    results = begun(options)
    for name in options.strategies:
        if name in results["strategies"]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            results["strategies"][name] = measure(name, options, Path(folder))
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(" | ".join(_line(name, results["strategies"][name])), flush=True)
    if options.write:
        parts = {language: table(results, language) for language in HEADS}
        write_parts(pages("language-models"), "peft comparison", parts)


if __name__ == "__main__":
    main()
