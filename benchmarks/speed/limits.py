"""What has no other side: a step's share of the limit, and costs by number of examples."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speed.place import REVIEWS, ROOT, Place, set_of, splits_of, timed, welltuned, write_lines

BATCHES = (16, 160)
"""Examples a step: our default, and as many as have some 4,000 tokens."""
AIMED_AT = 0.7
STRATEGIES = {
    "full": ("full", 1),
    "partial1": ("{type: partial, num_blocks: 1}", 3),
}
"""What is scaled, with its epochs: without frozen blocks, and with a cache of their states."""


def share_of_limit(place: Place) -> dict[str, Any]:
    """Of steps of some sizes: what their matrix products would take, over what they take."""
    found, chosen = {}, set_of(place.data)
    data = str(place.data / chosen) if chosen == REVIEWS else chosen
    for batch in BATCHES:
        command = [
            *(sys.executable, str(ROOT / "benchmarks/step.py"), "--json"),
            *("--data", data, "--batch", str(batch)),
        ]
        found[str(batch)] = json.loads(timed(command, place).printed.splitlines()[-1])
    return found


def scaled(place: Place, sizes: list[int]) -> Iterator[dict[str, Any]]:
    """What whole runs take on so many made-up sentences, with a tiny model, smallest first."""
    model = make_model(place.folder / "tiny")
    words = sorted({word for line in _sentences(place) for word in line.split()})
    for name, number in (("validation", 500), ("test", 500)):
        write_lines(place.folder / f"made.{name}.jsonl", made_up(words, number, name))
    for size in sorted(sizes):
        write_lines(place.folder / "made.train.jsonl", made_up(words, size, "train"))
        for strategy, (kind, epochs) in STRATEGIES.items():
            shutil.rmtree(place.run, ignore_errors=True)
            shutil.rmtree(place.cache, ignore_errors=True)
            files = [
                f"data.{name}={place.folder / 'made'}.{name}.jsonl"
                for name in ("train", "validation", "test")
            ]
            command = welltuned(
                *("train", f"model={model}", *files, f"strategy={kind}"),
                *(f"training.num_train_epochs={epochs}", f"output_dir={place.run}"),
            )
            taken = timed(command, place)
            yield {
                "examples": size,
                "strategy": strategy,
                "seconds": taken.seconds,
                "cpu_seconds": taken.cpu_seconds,
                "bytes": taken.bytes,
            }


def _sentences(place: Place) -> list[str]:
    return [json.loads(row)["text"] for row in splits_of(place.data)["train"][:2000]]


def made_up(words: list[str], number: int, seed: str) -> Iterator[str]:
    """Rows of random words; the first word tells the label."""
    choose = random.Random(seed)
    for _ in range(number):
        text = choose.choices(words, k=choose.randint(5, 25))
        yield json.dumps({"text": " ".join(text), "label": int(text[0] > words[len(words) // 2])})


def make_model(folder: Path) -> Path:
    """A folder with a BERT of four blocks, 64 wide, untrained, and the real one's tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    from speed.place import model_folder

    if not folder.exists():
        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(model_folder())
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=64, intermediate_size=256,
            num_hidden_layers=4, num_attention_heads=4, max_position_embeddings=128,
        )  # fmt: skip
        BertModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder
