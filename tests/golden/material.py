"""What golden runs are made from: tiny random models and tiny data, equal on every call.

Written with transformers alone, so that nothing in here follows a change of the package.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

GOOD = ["good", "great", "fine", "lovely", "superb", "warm"]
BAD = ["bad", "awful", "poor", "dull", "cold", "weak"]
OTHER = [
    "the", "a", "film", "book", "meal", "room", "was", "is", "felt", "looked",
    "very", "quite", "not", "never", "and", "but", "so", "it", "we", "they",
]  # fmt: skip
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[EOS]", "[USER]", "[BOT]"]
VOCABULARY = {word: i for i, word in enumerate([*SPECIAL, *GOOD, *BAD, *OTHER])}
CHAT = (
    "{% for m in messages %}{{ '[USER] ' if m.role == 'user' else '[BOT] ' }}{{ m.content }}"
    " [EOS] {% endfor %}{% if add_generation_prompt %}[BOT] {% endif %}"
)

Row = dict[str, Any]


def write_material(folder: Path) -> None:
    """Models and data files, under names that configs give relative to the folder."""
    save_encoder(folder / "encoder")
    save_decoder(folder / "decoder")
    save_decoder(folder / "chatter", CHAT)
    for name, make in DATA.items():
        lines = [json.dumps(row) + "\n" for row in make(random.Random(name))]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


# --- Models -------------------------------------------------------------------


def save_encoder(folder: Path) -> None:
    """A BERT of three blocks."""
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
    )
    _save(lambda: BertModel(config), folder)
    framed = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = ["input_ids", "token_type_ids", "attention_mask"]
    tokens = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    _tokenizer(framed, model_input_names=names, mask_token="[MASK]", **tokens).save_pretrained(
        folder
    )


def save_decoder(folder: Path, chat_template: str | None = None) -> None:
    """A Llama of three blocks with grouped keys, and without a padding token, as Llama comes."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        attention_dropout=0.1,
        bos_token_id=None,
        eos_token_id=VOCABULARY["[EOS]"],
    )
    _save(lambda: LlamaForCausalLM(config), folder)
    names = ["input_ids", "attention_mask"]
    tokenizer = _tokenizer(None, model_input_names=names, eos_token="[EOS]")
    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)


def _save(build: Callable[[], Any], folder: Path) -> None:
    """A model of fixed random weights, large enough that attention is far from uniform."""
    import torch

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = build()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    model.save_pretrained(folder)


def _tokenizer(post_processor: Any, **changes: Any) -> Any:
    """Whole words as tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    if post_processor is not None:
        backend.post_processor = post_processor
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=64,
        unk_token="[UNK]",
        additional_special_tokens=["[USER]", "[BOT]"],
        **changes,
    )


# --- Data ---------------------------------------------------------------------


def _phrase(rng: random.Random, opinion: list[str], longest: int = 9) -> str:
    """Neutral words with one or two of an opinion among them."""
    words = rng.choices(OTHER, k=rng.randint(2, longest))
    for word in rng.choices(opinion, k=rng.randint(1, 2)):
        words.insert(rng.randint(0, len(words)), word)
    return " ".join(words)


def _distinct(make: Callable[[int], Row], key: str, number: int = 56) -> list[Row]:
    """So many rows that differ in one column: the product refuses a text in two splits."""
    rows: dict[str, Row] = {}
    while len(rows) < number:
        row = make(len(rows))
        rows.setdefault(str(row[key]), row)
    return list(rows.values())


def _single(rng: random.Random) -> list[Row]:
    def make(i: int) -> Row:
        return {"text": _phrase(rng, (BAD, GOOD)[i % 2]), "label": ("bad", "good")[i % 2]}

    return _distinct(make, "text")


def _multi(rng: random.Random) -> list[Row]:
    """Labels that can be read off the words; every third text has both."""

    def make(i: int) -> Row:
        parts = [("good", GOOD)] * (i % 3 != 1) + [("bad", BAD)] * (i % 3 != 0)
        text = " ".join(_phrase(rng, words, 4) for _, words in parts)
        return {"text": text, "label": ";".join(name for name, _ in parts)}

    return _distinct(make, "text")


def _regression(rng: random.Random) -> list[Row]:
    def make(i: int) -> Row:
        text = _phrase(rng, GOOD + BAD)
        return {"text": text, "label": sum(word in GOOD for word in text.split()) + i % 5 / 10}

    return _distinct(make, "text")


def _pair(rng: random.Random) -> list[Row]:
    def make(i: int) -> Row:
        row = {"text": _phrase(rng, GOOD, 5), "text_pair": _phrase(rng, (BAD, GOOD)[i % 2], 5)}
        return {**row, "label": ("differ", "agree")[i % 2]}

    return _distinct(make, "text")


def _tagged(rng: random.Random) -> list[Row]:
    def make(_: int) -> Row:
        words = _phrase(rng, GOOD + BAD).split()
        tags = ["B-GOOD" if w in GOOD else "B-BAD" if w in BAD else "O" for w in words]
        return {"text": " ".join(words), "words": words, "tags": tags}

    rows = _distinct(make, "text")
    return [{key: row[key] for key in ("words", "tags")} for row in rows]


def _prompts(rng: random.Random) -> list[Row]:
    return _distinct(lambda _: {"prompt": _phrase(rng, GOOD + BAD, 6)}, "prompt")


def _completions(rng: random.Random) -> list[Row]:
    return [{**row, "completion": _phrase(rng, GOOD, 4)} for row in _prompts(rng)]


def _chat(rng: random.Random) -> list[Row]:
    def message(role: str, content: str) -> dict[str, str]:
        return {"role": role, "content": content}

    rows = []
    for i, row in enumerate(_prompts(rng)):
        turns = [message("user", row["prompt"]), message("assistant", _phrase(rng, GOOD, 3))]
        if i % 3 == 0:
            turns += [message("user", "was it so"), message("assistant", _phrase(rng, BAD, 3))]
        rows.append({"messages": turns})
    return rows


def _preferences(rng: random.Random) -> list[Row]:
    return [
        {**row, "chosen": _phrase(rng, GOOD, 4), "rejected": _phrase(rng, BAD, 4)}
        for row in _prompts(rng)
    ]


def _stories(rng: random.Random) -> list[Row]:
    return _distinct(lambda _: {"text": _phrase(rng, GOOD + BAD)}, "text")


DATA: dict[str, Callable[[random.Random], list[Row]]] = {
    "single": _single,
    "multi": _multi,
    "regression": _regression,
    "pair": _pair,
    "tagged": _tagged,
    "completions": _completions,
    "chat": _chat,
    "preferences": _preferences,
    "stories": _stories,
    "replay": _single,
}
"""Data by the name of their file. The name is the seed, too."""
