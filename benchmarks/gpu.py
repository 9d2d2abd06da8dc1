"""What a GPU gains by each measure that is taken for it, in one script of under eight minutes.

Runs are whole runs of welltuned on made-up models and texts, so nothing is fetched; kernels are
timed by themselves. A part whose device or kernel is not there says so, and parts that would begin
after the time is up are left out by name. `--tiny` makes everything so small that the same code
runs on a CPU in seconds, which a test does.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --tiny --parts precision packing
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

import welltuned as wt

WORDS = 4000


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    hidden: int
    blocks: int
    batch: int
    length: int
    """Words of the longest text; the shortest has one in eight."""
    examples: int
    vocabulary: int
    """Of the loss that is measured by itself."""
    repeats: int


LARGE = Sizes(768, 12, 32, 256, 1600, 128_000, 20)
TINY = Sizes(32, 2, 4, 16, 24, 500, 2)


@dataclass(frozen=True)
class Bench:
    """Where the parts take place."""

    folder: Path
    device: torch.device
    sizes: Sizes

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"


# --- Made-up models and texts -----------------------------------------------------


def make_model(bench: Bench, kind: str) -> Path:
    """A folder with an untrained encoder or decoder, and a tokenizer of whole words."""
    from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

    folder = bench.folder / kind
    if folder.exists():
        return folder
    torch.manual_seed(0)
    sizes = bench.sizes
    shape: dict[str, Any] = {
        "vocab_size": WORDS, "hidden_size": sizes.hidden, "intermediate_size": 4 * sizes.hidden,
        "num_hidden_layers": sizes.blocks, "num_attention_heads": max(2, sizes.hidden // 64),
        "max_position_embeddings": 4 * sizes.length, "pad_token_id": 0,
    }  # fmt: skip
    model: Any = (
        BertModel(BertConfig(**shape))
        if kind == "encoder"
        else LlamaForCausalLM(LlamaConfig(**shape, bos_token_id=None, eos_token_id=2))
    )
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[EOS]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"w{number}" for number in range(len(words), WORDS)]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", eos_token="[EOS]",
        cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
    )  # fmt: skip


def make_texts(bench: Bench, kind: str) -> dict[str, str]:
    """The files of a run: labelled texts, or prompts with completions, of mixed lengths."""
    choose, files = random.Random(0), {}
    for split, number in (("train", bench.sizes.examples), ("validation", 8), ("test", 8)):
        rows = []
        for index in range(number):
            count = choose.randint(bench.sizes.length // 8, bench.sizes.length)
            words = [f"w{choose.randrange(10, WORDS)}" for _ in range(count)]
            text, half = " ".join(words), len(words) // 2
            rows.append(
                {"text": text, "label": index % 2}
                if kind == "encoder"
                else {"prompt": " ".join(words[:half]), "completion": " ".join(words[half:])}
            )
        file = bench.folder / f"{kind}.{split}.jsonl"
        file.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
        files[split] = str(file)
    return files


def cost_of_run(bench: Bench, kind: str, strategy: Any, **training: Any) -> dict[str, Any]:
    """What a whole run of one epoch tells of its cost. `task` may be among the settings."""
    output = bench.folder / "run"
    shutil.rmtree(output, ignore_errors=True)
    task = training.pop("task", None)
    run = wt.train(
        model=str(make_model(bench, kind)),
        data=make_texts(bench, kind),
        strategy=strategy,
        training={
            "num_train_epochs": 1,
            "per_device_train_batch_size": bench.sizes.batch,
            "eval_strategy": "no",
            "learning_rate": 1e-5,
            "device": bench.device.type,
            **training,
        },
        evaluation={"untrained": False},
        output_dir=str(output),
        observer=wt.Observer(),
        **({} if task is None else {"task": task}),
    )
    return dict(run.results["cost"])


def told(name: str, cost: dict[str, Any]) -> str:
    """A run's cost on a line."""
    share = cost.get("hardware_efficiency")
    limit = "" if share is None else f", {share:.2f} of the limit"
    return (
        f"  {name:34} {cost['tokens_per_second']:10,.0f} tokens/s, "
        f"{cost['peak_memory_bytes'] / 2**20:8,.0f} MiB{limit}"
    )


# --- The parts --------------------------------------------------------------------


def precision(bench: Bench) -> Iterator[str]:
    """bf16 beside fp32, full fine-tuning of an encoder; what trains stays fp32."""
    for chosen in ("fp32", "bf16"):
        yield told(chosen, cost_of_run(bench, "encoder", "full", precision=chosen))
    (weights,) = (bench.folder / "run/model").glob("*.safetensors")
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as stored:
        kinds = {stored.get_tensor(name).dtype for name in stored.keys()}  # noqa: SIM118
    yield f"  weights of the bf16 run: {', '.join(sorted(map(str, kinds)))}"


def checkpointing(bench: Bench) -> Iterator[str]:
    """Activation checkpointing: less memory, more time."""
    for chosen in (False, True):
        name = "recomputed" if chosen else "kept"
        cost = cost_of_run(bench, "encoder", "full", gradient_checkpointing=chosen)
        yield told(f"activations {name}", cost)


def packing(bench: Bench) -> Iterator[str]:
    """Several examples in a row of a decoder, beside rows that are padded."""
    for chosen in (False, True):
        task = {
            "type": "generation", "scored_examples": 0,
            "packing": chosen, "max_length": 2 * bench.sizes.length,
        }  # fmt: skip
        cost = cost_of_run(bench, "decoder", {"type": "lora", "r": 8}, task=task)
        yield told("packed" if chosen else "padded", cost)


def chunked_loss(bench: Bench) -> Iterator[str]:
    """The loss of a large vocabulary: a chunk of logits at a time, beside all of them."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from welltuned.models.language_head import token_losses

    sizes = bench.sizes
    config = LlamaConfig(
        vocab_size=sizes.vocabulary, hidden_size=sizes.hidden, num_hidden_layers=2,
        intermediate_size=sizes.hidden, num_attention_heads=max(2, sizes.hidden // 64),
        max_position_embeddings=8 * sizes.length,
    )  # fmt: skip
    model: Any = LlamaForCausalLM(config)
    model.to(bench.device)
    ids = torch.randint(10, sizes.vocabulary, (2, 8 * sizes.length), device=bench.device)
    ways: dict[str, Callable[[], torch.Tensor]] = {
        "all logits": lambda: model(input_ids=ids, labels=ids, use_cache=False).loss,
        "chunked": lambda: token_losses(model, ids, ids).losses_M.mean(),
    }
    for name, loss in ways.items():

        def step(loss: Callable[[], torch.Tensor] = loss) -> None:
            model.zero_grad(set_to_none=True)
            with torch.autocast(bench.device.type, dtype=torch.bfloat16):
                found = loss()
            found.backward()

        seconds, peak = timed(bench, step)
        yield f"  {name:34} {1000 * seconds:10.1f} ms, {_mebibytes(peak)}"


def unpadded_attention(bench: Bench) -> Iterator[str]:
    """Attention over texts of mixed lengths: padded with a mask, and end to end (varlen)."""
    sizes, heads = bench.sizes, max(2, bench.sizes.hidden // 64)
    choose = random.Random(0)
    lengths = [choose.randint(sizes.length // 8, sizes.length) for _ in range(sizes.batch)]
    shape = (sizes.batch, heads, sizes.length, 64)
    query, key, value = torch.randn(3, *shape, device=bench.device).to(torch.bfloat16).unbind()
    steps = torch.arange(sizes.length, device=bench.device)
    mask = (steps < torch.tensor(lengths, device=bench.device)[:, None])[:, None, None]
    waste = 1 - sum(lengths) / (sizes.batch * sizes.length)

    def padded() -> None:
        functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    yield f"  {'padded':34} {1e6 * timed(bench, padded)[0]:10.0f} µs, {waste:.0%} of it padding"
    if not bench.on_gpu:
        yield "  varlen: the kernel needs a GPU"
        return
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        yield f"  varlen: torch {torch.__version__} has no such kernel"
        return
    flat = torch.randn(3, sum(lengths), heads, 64, device=bench.device).to(torch.bfloat16)
    starts = functional.pad(torch.tensor(lengths, device=bench.device).cumsum(0), (1, 0))
    offsets = starts.to(torch.int32)

    def unpadded() -> None:
        varlen_attn(flat[0], flat[1], flat[2], offsets, offsets, max(lengths), max(lengths))

    yield f"  {'varlen':34} {1e6 * timed(bench, unpadded)[0]:10.0f} µs"


def batches(bench: Bench) -> Iterator[str]:
    """Batches from pinned memory, collated ahead, beside batches made when they are needed."""
    from unittest.mock import patch

    from welltuned.engines import feed

    yield told("as a run feeds them", cost_of_run(bench, "encoder", "full"))
    with patch.object(feed, "runs_ahead", return_value=False):
        yield told("made when needed, not pinned", cost_of_run(bench, "encoder", "full"))


def syncs(bench: Bench) -> Iterator[str]:
    """How often a step waits for the GPU, and where."""
    if not bench.on_gpu:
        cost_of_run(bench, "encoder", "full")
        yield "  not counted: nothing waits for a CPU"
        return
    steps = bench.sizes.examples // bench.sizes.batch
    with counted_syncs() as places:
        cost_of_run(bench, "encoder", "full")
    for place, number in places.most_common(12):
        yield f"  {number:6} times, {number / steps:5.2f} a step: {place}"


@contextmanager
def counted_syncs() -> Iterator[Counter[str]]:
    """Where the host waits for the GPU, by file and line, as torch's own debug mode tells."""
    places: Counter[str] = Counter()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield places
        finally:
            torch.cuda.set_sync_debug_mode("default")
    for one in found:
        if "synchronizing" in str(one.message):
            places[f"{'/'.join(Path(one.filename).parts[-3:])}:{one.lineno}"] += 1


def timed(bench: Bench, step: Callable[[], None]) -> tuple[float, int | None]:
    """Seconds of the fastest of several tries, and the highest memory; None where it is unknown."""
    step()
    best = float("inf")
    if bench.on_gpu:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(bench.sizes.repeats):
        _wait(bench)
        start = time.perf_counter()
        step()
        _wait(bench)
        best = min(best, time.perf_counter() - start)
    return best, torch.cuda.max_memory_allocated() if bench.on_gpu else None


def _wait(bench: Bench) -> None:
    if bench.on_gpu:
        torch.cuda.synchronize()


def _mebibytes(number: int | None) -> str:
    return "memory unknown" if number is None else f"{number / 2**20:8,.0f} MiB"


PARTS: dict[str, Callable[[Bench], Iterator[str]]] = {
    "precision": precision,
    "checkpointing": checkpointing,
    "packing": packing,
    "loss": chunked_loss,
    "attention": unpadded_attention,
    "batches": batches,
    "syncs": syncs,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--tiny", action="store_true", help="everything small, on a CPU")
    parser.add_argument("--seconds", type=float, default=400, help="no part begins after so many")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() and not options.tiny else "cpu")
    if device.type == "cpu" and not options.tiny:
        parser.error("there is no GPU here; --tiny runs the same code on the CPU")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), device, TINY if options.tiny else LARGE)
        for part in options.parts:
            if time.monotonic() - start > options.seconds:
                print(f"{part}: left out, the time is up")
                continue
            print(f"{part}: {(PARTS[part].__doc__ or '').partition(chr(10))[0]}", flush=True)
            for line in PARTS[part](bench):
                print(line, flush=True)
    print(f"{time.monotonic() - start:.0f} seconds")


if __name__ == "__main__":
    main()
