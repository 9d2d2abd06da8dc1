"""Memory and time of a language model's loss: all logits at once, and chunk by chunk.

A training step of a small Llama whose vocabulary is that of a large one: so what is
measured is the loss far more than the trunk. Once the embeddings, tied to the output
layer, train, and once they are frozen as with LoRA. `full` is `model(labels=...).loss` of
transformers, `ours` is `token_losses`. Every measurement has a process of its own,
because the peak that the system reports (ru_maxrss) never falls; the memory is what
the peak stands above that of a step on a few tokens. The time is that of one thread on
the CPU, which tells the same on a machine that has other work.

    python benchmarks/loss_memory.py --labelled 0.25
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from welltuned.models.language_head import token_losses

VOCABULARIES = {"32k": 32_000, "151k": 151_936}
HIDDEN, LAYERS = 256, 2
REPETITIONS = 3


def step_of(
    side: str, model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor
) -> Callable[[], None]:
    """Forward and backward pass by one of the two ways."""

    def full() -> None:
        model(input_ids=ids, labels=labels, use_cache=False).loss.backward()

    def ours() -> None:
        token_losses(model, ids, labels).losses_M.mean().backward()

    return {"full": full, "ours": ours}[side]


def peak_mib() -> float:
    """The most memory this process ever held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def measure(
    side: str, vocabulary: int, length: int, labelled: float, frozen: bool
) -> dict[str, float]:
    """MiB above a step on a few tokens, and CPU seconds of the fastest step."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        max_position_embeddings=length,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).train()
    model.model.embed_tokens.requires_grad_(not frozen)
    ids = torch.randint(0, vocabulary, (1, length))
    labels = ids.clone()
    labels[:, : round((1 - labelled) * length)] = -100
    step_of(side, model, ids[:, -8:], labels[:, -8:])()  # libraries load, gradients stay
    step = step_of(side, model, ids, labels)
    before = peak_mib()
    seconds = []
    for _ in range(REPETITIONS):
        start = time.process_time()
        step()
        seconds.append(time.process_time() - start)
    return {"mib": peak_mib() - before, "seconds": min(seconds)}


def in_a_process(*arguments: object) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def line(name: str, size: int, length: int, labelled: float, frozen: bool) -> str:
    """Both ways side by side, and their ratios."""
    full, ours = (in_a_process(side, size, length, labelled, frozen) for side in ("full", "ours"))
    return (
        f"vocabulary {name:>4}, output layer {'frozen' if frozen else 'trained':7}  "
        f"memory {full['mib']:5.0f} → {ours['mib']:4.0f} MiB "
        f"({full['mib'] / ours['mib']:4.1f} times less)  "
        f"time {full['seconds']:5.2f} → {ours['seconds']:5.2f} s "
        f"(ratio {ours['seconds'] / full['seconds']:.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--length", type=int, default=2048, help="tokens of the sequence")
    parser.add_argument("--labelled", type=float, default=1.0, help="share of tokens with a label")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*json.loads(options.measure))))
        return
    print(f"{options.length} tokens, {options.labelled:.0%} of them labelled")
    for name, size in VOCABULARIES.items():
        for frozen in (False, True):
            print(line(name, size, options.length, options.labelled, frozen), flush=True)


if __name__ == "__main__":
    main()
