"""What tests of source code share: a tiny RoBERTa that reads bytes, and functions to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""In the order that RoBERTa's files have them."""


def make_byte_tokenizer() -> Any:
    """Every byte is a token, and a space the one that byte-level vocabularies write as Ġ."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *alphabet])}
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    names = dict(zip(("cls", "pad", "sep", "unk", "mask"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=128,
        model_input_names=["input_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in names.items()},
    )


def make_code_config(**changes: Any) -> Any:
    """A RoBERTa of two blocks for these tokens."""
    from transformers import RobertaConfig

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return RobertaConfig(
        vocab_size=len(SPECIAL) + 256,
        intermediate_size=48,
        max_position_embeddings=130,
        type_vocab_size=1,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        **{**sizes, **changes},
    )


def save_code_model(folder: Path) -> str:
    """Its folder, with random weights."""
    import torch
    from transformers import RobertaForMaskedLM

    torch.manual_seed(0)
    RobertaForMaskedLM(make_code_config()).save_pretrained(folder)
    make_byte_tokenizer().save_pretrained(folder)
    return str(folder)


def make_functions(number: int) -> list[dict[str, str]]:
    """Java functions that give back what they computed, or something else."""
    rows = []
    for i in range(number):
        given = ("a", "b")[i % 2]
        code = f"int f{i}(int a, int b) {{ b = a + {i}; return {given}; }}"
        rows.append({"text": code, "label": ("input", "result")[i % 2]})
    return rows
