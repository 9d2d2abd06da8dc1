"""A generator small enough for a laptop, and a diary to teach it: for `rlhf_generation.yaml`.

Pretrained generators have to be downloaded. So that the example needs no network, this writes
an untrained Llama of a quarter of a million weights with a tokenizer of its own, and two
thousand entries of a diary made by a small grammar, half of them content and half not. What
the model knows of English it learns from these, in the supervised stage.

    python examples/make_tiny_generator.py tiny-generator
"""

from __future__ import annotations

import argparse
import json
import random
from itertools import product
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
PLACES = [
    "had lunch at the harbour", "saw a film in town", "stayed in a small hotel", "took the train",
    "went to the new cafe", "visited the museum", "walked to the market", "ate at the old inn",
]  # fmt: skip
THINGS = {
    "the soup": (["warm", "rich", "fresh", "delicious"], ["cold", "thin", "salty", "awful"]),
    "the waiter": (["kind", "quick", "friendly", "lovely"], ["rude", "slow", "bored", "useless"]),
    "the room": (["bright", "clean", "quiet", "cosy"], ["dark", "dirty", "loud", "cramped"]),
    "the bread": (["crisp", "warm", "fresh", "superb"], ["stale", "dry", "burnt", "tasteless"]),
    "the music": (["gentle", "lively", "perfect", "charming"], ["loud", "dull", "wrong", "dreary"]),
    "the seat": (["soft", "wide", "comfortable", "fine"], ["hard", "broken", "narrow", "sticky"]),
}
ENDS = (
    ["I would go again tomorrow.", "We laughed all the way home.", "It was worth every penny."],
    ["I want my money back.", "We left early and annoyed.", "It was a waste of an evening."],
)


def entries(number: int, seed: int) -> list[dict[str, str]]:
    """`prompt` and `completion`: where somebody was, and how it was there."""
    rng = random.Random(seed)
    openings = [f"On {day} we {place}." for day, place in product(DAYS, PLACES)]
    rows: list[dict[str, str]] = []
    seen: set[str] = set()
    while len(rows) < number:
        mood = rng.randrange(2)
        first, second = rng.sample(list(THINGS), 2)
        # Now and then an entry is not of one mind.
        other = mood if rng.random() < 0.8 else 1 - mood
        said = (
            f" {first.capitalize()} was {rng.choice(THINGS[first][mood])}"
            f" and {second} was {rng.choice(THINGS[second][other])}. {rng.choice(ENDS[mood])}"
        )
        row = {"prompt": rng.choice(openings), "completion": said}
        if (key := row["prompt"] + said) not in seen:
            seen.add(key)
            rows.append(row)
    return rows


def tokenizer_for(texts: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE, trained on the diary."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<end>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<end>", pad_token="<pad>", model_max_length=128
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("tiny-generator"))
    parser.add_argument("--entries", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = entries(options.entries, options.seed)
    tokenizer = tokenizer_for([row["prompt"] + row["completion"] for row in rows])
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(options.seed)
    model = LlamaForCausalLM(config)
    model.save_pretrained(options.folder)
    tokenizer.save_pretrained(options.folder)
    with (options.folder / "diary.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    print(f"{options.folder}: a model of {model.num_parameters():,} weights, and diary.jsonl")


if __name__ == "__main__":
    main()
