"""What tests share: tiny models of every family, data to tune them on, and short runs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from welltuned.artifact.manifest import CARD
from welltuned.models.checksums import write_sums
from welltuned.training.preparation.defaults import defaults_for

ENCODERS = ("bert", "roberta", "distilbert", "electra", "deberta-v2", "modernbert")
DECODERS = ("gpt2", "llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2")
FAMILIES = ENCODERS + DECODERS
ENCODER_DECODERS = ("t5", "bart")

STRATEGIES: dict[str, dict[str, Any]] = {
    "full": {"type": "full", "layer_decay": 0.9},
    "partial": {"type": "partial", "num_blocks": 2},
    "head": {"type": "partial", "num_blocks": 0},
    "gradual": {"type": "gradual", "until": 0.8, "num_blocks": 2},
    "lora": {"type": "lora", "r": 4},
    "prompt": {"type": "prompt", "num_virtual_tokens": 5},
    "prefix": {"type": "prefix", "num_virtual_tokens": 5},
    "projected": {
        "type": "prefix",
        "num_virtual_tokens": 5,
        "prefix_projection": True,
        "encoder_hidden_size": 16,
    },
    "houlsby": {"type": "adapter", "reduction_factor": 8},
    "pfeiffer": {"type": "adapter", "reduction_factor": 8, "placement": "pfeiffer"},
    "parallel": {"type": "adapter", "reduction_factor": 8, "placement": "parallel", "scale": 4},
}
"""Every strategy, in the variants that the contract tests try."""


def is_quick(strategy: str, family: str) -> bool:
    """Whether a pair is among the quarter, evenly spread, that `make test` tries.

    Every strategy and every family is in it several times; `make test-slow` tries the others.
    """
    return (list(STRATEGIES).index(strategy) + FAMILIES.index(family)) % 4 == 0


def each_pair(pairs: Iterable[tuple[str, str]]) -> pytest.MarkDecorator:
    """Once for every pair of a strategy and a family; three quarters of them are slow tests."""
    every = [
        pytest.param(*pair, id="-".join(pair), marks=[] if is_quick(*pair) else pytest.mark.slow)
        for pair in pairs
    ]
    return pytest.mark.parametrize(("strategy", "family"), every)


def default_rate(strategy: str) -> float:
    """The learning rate that `auto` means for a small encoder."""
    small: Any = SimpleNamespace(kind="encoder", parameters=1)
    return defaults_for(strategy_of({"type": strategy}), small, 300)["learning_rate"].value


WORDS = [
    "good", "great", "fine", "lovely", "superb", "warm", "clever", "bright",
    "bad", "awful", "poor", "dull", "cold", "weak", "slow", "broken",
    "the", "a", "film", "book", "meal", "room", "phone", "was", "is", "felt", "looked",
    "very", "quite", "not", "never", "and", "but", "so", "too", "it", "we", "they",
]  # fmt: skip
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[EOS]"]


def make_qwen2_tokenizer() -> Any:
    """Letters as tokens, for transformers insists on its own class for this family."""
    from transformers import Qwen2Tokenizer

    letters = ["\u0120", *"abcdefghijklmnopqrstuvwxyz"]  # the first stands for a space
    vocabulary = {token: i for i, token in enumerate([*SPECIAL[:5], "<|endoftext|>", *letters])}
    return Qwen2Tokenizer(vocab=vocabulary, merges=[], unk_token="[UNK]", model_max_length=128)


def make_two_sided_tokenizer(family: str) -> Any:
    """Texts end with an end token, whether they are read or written; BART's begin with one too."""
    from tokenizers import processors

    tokenizer = make_tokenizer("encoder", "roberta")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [SEP]" if family == "t5" else "[CLS] $A [SEP]",
        pair="$A [SEP] $B [SEP]" if family == "t5" else "[CLS] $A [SEP] [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.eos_token = "[SEP]"
    return tokenizer


def make_tokenizer(kind: str, family: str) -> Any:
    if family == "qwen2":
        return make_qwen2_tokenizer()
    if family in ENCODER_DECODERS:
        return make_two_sided_tokenizer(family)
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    if kind == "encoder":
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
        tokens = {
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        }
    else:
        tokens = {
            "unk_token": "[UNK]",
            "eos_token": "[EOS]",
        }  # no padding token, as GPT-2 and Llama come
    names = (
        ["input_ids", "token_type_ids", "attention_mask"]
        if family in ("bert", "electra", "deberta-v2")
        else ["input_ids", "attention_mask"]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=64, model_input_names=names, **tokens
    )


def make_config(family: str, **changes: Any) -> Any:
    from transformers import AutoConfig

    sizes: dict[str, Any] = {
        "vocab_size": len(SPECIAL) + len(WORDS),
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
    }
    special: dict[str, Any] = {
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "cls_token_id": 2,
        "sep_token_id": 3,
    }
    if family in DECODERS:
        special = {"pad_token_id": None, "bos_token_id": None, "eos_token_id": 5}
    extra: dict[str, dict[str, Any]] = {
        "roberta": {"pad_token_id": 1, "max_position_embeddings": 66},
        "electra": {"embedding_size": 16},
        "albert": {"embedding_size": 16, "num_hidden_groups": 1},
        "deberta-v2": {
            "relative_attention": True, "position_buckets": 16, "norm_rel_ebd": "layer_norm",
            "pos_att_type": ["p2c", "c2p"], "share_att_key": True, "position_biased_input": False,
        },
        "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 16},
        "qwen2": {"num_key_value_heads": 2, "max_position_embeddings": 128},
        "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
        "llama": {"num_key_value_heads": 2},
        "mistral": {"num_key_value_heads": 2, "sliding_window": 16},
        "gemma": {"num_key_value_heads": 2, "head_dim": 16},
        "gemma2": {
            "num_key_value_heads": 2, "head_dim": 16,
            "sliding_window": 16, "query_pre_attn_scalar": 16,
        },
    }  # fmt: skip
    values = {**sizes, **special, **extra.get(family, {})}
    if family == "distilbert":
        values = {
            "vocab_size": sizes["vocab_size"],
            "dim": 32,
            "n_layers": 4,
            "n_heads": 4,
            "hidden_dim": 48,
            "max_position_embeddings": 64,
            "pad_token_id": 0,
        }
    if family == "gpt2":
        values = {
            "vocab_size": sizes["vocab_size"],
            "n_embd": 32,
            "n_layer": 4,
            "n_head": 4,
            "n_positions": 64,
            "eos_token_id": 5,
            "bos_token_id": 5,
        }
    if family in ENCODER_DECODERS:
        values = _TWO_STACKS[family] | {"vocab_size": sizes["vocab_size"], "pad_token_id": 0}
    return AutoConfig.for_model(family, **{**values, **changes})


_TWO_STACKS: dict[str, dict[str, Any]] = {
    "t5": {
        "d_model": 32, "d_kv": 8, "d_ff": 48, "num_heads": 4, "num_layers": 2,
        "num_decoder_layers": 3, "feed_forward_proj": "gated-gelu", "eos_token_id": 3,
        "decoder_start_token_id": 0, "dropout_rate": 0.0,
    },
    "bart": {
        "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "max_position_embeddings": 64, "bos_token_id": 2, "eos_token_id": 3,
        "decoder_start_token_id": 3, "forced_eos_token_id": 3, "dropout": 0.0,
    },
}  # fmt: skip
"""Two blocks that read and three that write."""


def make_rows(number: int, seed: int = 0, pair: bool = False) -> list[dict[str, Any]]:
    """Texts of unequal lengths whose label can be read off their words."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    while len(rows) < number:
        label = len(rows) % 2
        opinion = WORDS[:8] if label else WORDS[8:16]
        words = [rng.choice(WORDS[16:]) for _ in range(rng.randint(2, 14))]
        for _ in range(rng.randint(1, 3)):
            words.insert(rng.randint(0, len(words)), rng.choice(opinion))
        text = " ".join(words)
        if text not in seen:
            seen.add(text)
            row = {"text": text, "label": ("negative", "positive")[label]}
            if pair:
                row["text_pair"] = " ".join(
                    rng.choice(WORDS[16:]) for _ in range(rng.randint(1, 6))
                )
            rows.append(row)
    return rows


def make_preferences(number: int, seed: int = 0) -> list[dict[str, Any]]:
    """Pairs of an approving and a disapproving answer; every fourth prompt has two of them."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for i, asked in enumerate(make_rows(number, seed)):
        prompt = f"was it so {asked['text']}"
        for _ in range(1 + (i % 4 == 0)):
            sides = [
                " ".join(["it was", *(rng.choice(words) for _ in range(rng.randint(1, 6)))])
                for words in (WORDS[:8], WORDS[8:16])
            ]
            rows.append({"prompt": prompt, "chosen": sides[0], "rejected": sides[1]})
    return rows


def make_ratings(number: int, seed: int = 0) -> list[dict[str, Any]]:
    """Answers rated by how many approving words they have: 10 for the first, 5 for any other."""
    rows = [
        {"prompt": row["prompt"], "response": row[side]}
        for row in make_preferences(number, seed)
        for side in ("chosen", "rejected")
    ]
    for row in rows:
        row["score"] = 5 + 5 * sum(word in WORDS[:8] for word in row["response"].split())
    return list({(row["prompt"], row["response"]): row for row in rows}.values())


def make_thumbs(number: int, seed: int = 0) -> list[dict[str, Any]]:
    """Approving answers with thumbs up, and disapproving ones with thumbs down."""
    return [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for row in make_preferences(number, seed)
        for side in ("chosen", "rejected")
    ]


def hashed_anew(folder: Path) -> Path:
    """A spoilt model folder whose hashes are right, as if it had been saved so."""
    write_sums(folder, without=CARD)
    return folder


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    """Rows as JSON lines; returns the path as text."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


# --- Models and runs ----------------------------------------------------------


def strategy_of(values: dict[str, Any]) -> Any:
    """A strategy from its config."""
    from pydantic import TypeAdapter

    from welltuned.strategies import AnyStrategy

    return TypeAdapter(AnyStrategy).validate_python({"head_learning_rate_scale": 1, **values})


def build(
    folder: str, strategy: dict[str, Any], pooling: str = "mean", labels: int = 2, seed: int = 0
) -> tuple[Any, Any, Any]:
    """(prepared model, anatomy, strategy) for a folder, as a run would start with it."""
    from transformers import AutoConfig, AutoTokenizer

    from welltuned.models.anatomy import examine_anatomy
    from welltuned.models.config import ModelConfig
    from welltuned.models.loading import build_skeleton, load_model, read_tokenizer
    from welltuned.strategies import Context
    from welltuned.tasks.classification import Labels, Regression, SingleLabel

    names = tuple(f"label {i}" for i in range(labels))
    model = ModelConfig(name=folder)
    tokenizer = read_tokenizer(model)
    base = AutoConfig.from_pretrained(folder)
    base.pad_token_id = tokenizer.pad_token_id
    problem = (
        SingleLabel(Labels("single_label", names, names))
        if labels > 1
        else Regression(Labels("regression", names, names))
    )
    head = problem.objective.head(base, pooling)
    anatomy = examine_anatomy(build_skeleton(head))
    examples = [
        AutoTokenizer.from_pretrained(folder)(row["text"])["input_ids"] for row in make_rows(16)
    ]
    context = Context(anatomy, tokenizer, folder, "SEQ_CLS", seed, examples)
    chosen = strategy_of(strategy)
    return chosen.prepare(load_model(model, head, anatomy, seed).model, context), anatomy, chosen


def require_prefix(family: str) -> None:
    """Skip the test where transformers has no place for a prefix in a family, as T5 of 5.10."""
    modeling = import_module(f"transformers.models.{family}.modeling_{family}")
    if not hasattr(modeling, "ALL_ATTENTION_FUNCTIONS"):
        pytest.skip(f"{family} of this transformers release computes attention by itself")


def encode(folder: str, texts: list[str], side: str = "right") -> dict[str, Any]:
    """A padded batch of texts."""
    from welltuned.models.config import ModelConfig
    from welltuned.models.loading import read_tokenizer

    tokenizer = read_tokenizer(ModelConfig(name=folder))
    tokenizer.padding_side = side
    return dict(tokenizer(texts, padding=True, return_tensors="pt"))


def logits(model: Any, batch: dict[str, Any]) -> Any:
    """What a model says of a batch, in eval mode and without gradients."""
    import torch

    model.eval()
    with torch.no_grad():
        return model(**batch).logits


def config_values(
    model: Any, data: str, strategy: Any, output: Path, **parts: Any
) -> dict[str, Any]:
    """A config for a run of a few steps; what it forgets is measured where a test asks for it."""
    training = {
        "num_train_epochs": 2,
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 8,
        "precision": "fp32",
        "device": "cpu",
    }
    return {
        "model": model,
        "data": data,
        "strategy": strategy,
        "output_dir": str(output),
        **parts,
        "training": {**training, **parts.get("training", {})},
        "evaluation": {"retention": "none", **parts.get("evaluation", {})},
    }


def tune(model: Any, data: str, strategy: Any, output: Path, **parts: Any) -> Any:
    """A whole short run."""
    import welltuned as wt

    return wt.train(config_values(model, data, strategy, output, **parts))


def loaded_for(model: Any, data: Any, strategy: Any, **parts: Any) -> Any:
    """A model as a run loads it, in float32 on the CPU; some numbers may still be open."""
    from welltuned.config import run_config_from
    from welltuned.training.observer import Observer
    from welltuned.training.preparation.prepare import prepare
    from welltuned.training.session.session import load_session

    config = config_values(model, data, strategy, Path("never-written"), **parts)
    config.setdefault("task", {"pooling": "mean"})
    return load_session(prepare(run_config_from(config)), Observer())


def session_for(model: Any, data: Any, strategy: Any, **parts: Any) -> Any:
    """The same about to train, before its first step."""
    from welltuned.training.auto_tune import auto_tune
    from welltuned.training.observer import Observer

    return auto_tune(loaded_for(model, data, strategy, **parts), Observer())


def job_for(model: Any, data: Any, strategy: Any, listener: Any = None, **parts: Any) -> Any:
    """What a run gives its engine, so that a test can turn the crank itself."""
    from welltuned.training import retention_steps
    from welltuned.training.observer import Observer

    loaded = loaded_for(model, data, strategy, **parts)
    guards = retention_steps.guards(loaded, Observer())
    return loaded.job(listener=listener, guards=guards)


def fit(engine: Any, job: Any) -> Any:
    """Train a job by one of the two engines, given as its module."""
    from welltuned.engines import torch_loop

    return (engine.fit_with_loop if engine is torch_loop else engine.fit_with_trainer)(job)


def short_tune(model: Any, data: Any, strategy: Any, output: Path, **parts: Any) -> Any:
    """A run of one epoch without report, baseline or checkpoints."""
    from welltuned.training import train

    training = {
        "num_train_epochs": 1,
        "learning_rate": 3e-3,
        "eval_strategy": "no",
        "load_best_model_at_end": False,
        "logging_steps": 1,
        **parts.pop("training", {}),
    }
    parts = {"task": {"pooling": "mean"}, "evaluation": {"untrained": False}, **parts}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "write_run_report", lambda run: None)
        return tune(model, data, strategy, output, **parts, training=training)
