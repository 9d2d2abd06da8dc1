"""A base in int8 and in nf4 beside the base as it is: loss, memory, time, and what a merge changes.

Each in a process of its own: the same LoRA from the same start learns the same examples in the same
order. Memory is what the process holds at most beyond what it held with all libraries loaded, while
it trains. The last two columns are of the trained adapter merged onto the base as it is, beside the
base that it was trained on: how far logits are apart, and how many likeliest tokens are the same.

    python benchmarks/quantised.py --model ../models/SmolLM2-135M-Instruct --write
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from marked import ROOT, as_table, pages, write_parts

KINDS = (None, "int8", "nf4")
RESULTS = ROOT / "benchmarks" / "results" / "quantised.json"
LAST = 5
"""Steps whose mean loss is told."""
HEADS = {
    "en": ("base", "bytes of the base", "loss, first step", f"loss, last {LAST}", "largest apart",
           "seconds a step", "peak memory", "logits apart", "same tokens"),
    "zh": ("基础模型", "基础模型字节数", "首步损失", f"最后 {LAST} 步损失", "单步最大差距",
           "每步秒数", "内存峰值", "logits 差距", "相同词元"),
}  # fmt: skip


def measure(kind: str | None, options: argparse.Namespace) -> dict[str, Any]:
    """What training beside a base of one kind was like."""
    from welltuned.config import run_config_from
    from welltuned.engines.events import Listener, Step
    from welltuned.engines.torch_loop import fit_with_loop
    from welltuned.models.quantization import held_tensors
    from welltuned.runs import process_memory
    from welltuned.training.observer import Observer
    from welltuned.training.preparation.prepare import prepare
    from welltuned.training.session.session import load_session

    config = run_config_from(asked(kind, options))
    prepared = prepare(config)
    before = process_memory.held()
    loaded = load_session(prepared, Observer())
    steps: list[Step] = []

    class Noting(Listener):
        def stepped(self, step: Step) -> None:
            steps.append(step)

    process_memory.forget_peak()
    outcome = fit_with_loop(loaded.job(listener=Noting()))
    peak = process_memory.peak() - before
    weights = [t for t in held_tensors(loaded.model) if not t.requires_grad]
    return {
        "bytes": sum({id(tensor): tensor.nbytes for tensor in weights}.values()),
        "losses": [step.loss for step in steps],
        "seconds": outcome.seconds / outcome.steps,
        "peak": peak,
        **({} if kind is None else drift(loaded)),
    }


def asked(kind: str | None, options: argparse.Namespace) -> dict[str, Any]:
    data = options.shared / "data" / "math_en_gsm8k"
    return {
        "model": {"name": str(options.model), "quantization": kind},
        "data": {
            "train": str(data / "train.jsonl"),
            "validation": str(data / "validation.jsonl"),
            "test": str(data / "test.jsonl"),
            "max_train_examples": options.steps * options.batch,
        },
        "task": {"type": "generation", "max_length": options.length},
        "strategy": {"type": "lora", "r": 8},
        "output_dir": "never-written",
        "training": {
            "max_steps": options.steps, "per_device_train_batch_size": options.batch,
            "learning_rate": 2e-4, "precision": "fp32", "device": "cpu", "eval_strategy": "no",
            "load_best_model_at_end": False, "cache_frozen_blocks": False,
        },
        "evaluation": {"retention": "none", "untrained": False, "test": False},
    }  # fmt: skip


def drift(loaded: Any) -> dict[str, float]:
    """Logits of validation examples, beside the quantised base and merged onto the one as it is."""
    import torch

    from welltuned.config import RunConfig
    from welltuned.training.session.session import build_model

    prepared = loaded.prepared
    config: RunConfig = prepared.config
    model = config.model.model_copy(update={"quantization": None})
    whole = replace(prepared, config=config.model_copy(update={"model": model}))
    other: Any = build_model(whole, loaded.device)[0]
    named = dict(other.named_parameters())
    with torch.no_grad():
        for name, weight in loaded.model.named_parameters():
            if weight.requires_grad:
                named[name].copy_(weight)
    merged = config.strategy.merge(other)
    examples = prepared.examples["validation"]
    apart, same = [], []
    for row in range(4):
        ids = torch.tensor([examples.encoded[row].tolist()])
        with torch.no_grad():
            one, two = (model.eval()(input_ids=ids).logits[0] for model in (loaded.model, merged))
        apart.append(float((one - two).abs().mean()))
        same.append(float((one.argmax(-1) == two.argmax(-1)).float().mean()))
    return {"drift": statistics.mean(apart), "same": statistics.mean(same)}


def table(found: dict[str, Any], language: str) -> str:
    plain = found["float32"]["losses"]
    rows = []
    for name, one in found.items():
        losses = one["losses"]
        largest = max(abs(a - b) for a, b in zip(losses, plain, strict=True))
        rows.append([
            name, f"{one['bytes'] / 1e6:,.0f} MB", f"{losses[0]:.4f}",
            f"{statistics.mean(losses[-LAST:]):.4f}", f"{largest:.4f}", f"{one['seconds']:.1f}",
            f"{one['peak'] / 1e6:,.0f} MB",
            f"{one['drift']:.3f}" if "drift" in one else "–",
            f"{one['same']:.1%}" if "same" in one else "–",
        ])  # fmt: skip
    return as_table(HEADS[language], rows, left=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="a folder with a language model")
    parser.add_argument(
        "--shared", type=Path, default=ROOT.parent / "shared", help="where data/ is"
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--length", type=int, default=96)
    parser.add_argument("--write", action="store_true", help="into docs/language-models.md")
    parser.add_argument("--only", choices=["float32", "int8", "nf4"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        kind = None if options.only == "float32" else options.only
        print(json.dumps(measure(kind, options)))
        return
    found: dict[str, Any] = {}
    for kind in KINDS:
        name = kind or "float32"
        command = [sys.executable, *sys.argv, "--only", name]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found[name] = json.loads(told.splitlines()[-1])
        print(table(found, "en"), flush=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.write:
        where = pages("language-models")
        write_parts(
            where, "quantised bases", {language: table(found, language) for language in where}
        )


if __name__ == "__main__":
    main()
