"""Tiny decoders that are built as Llama is, with tokenizers of the kinds that a GGUF file holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support import make_config, make_rows
from talking import CHATML

SPECIAL = ("<|end|>", "<|im_start|>", "<|im_end|>")
LLAMA3_ROPE = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip
"""How Llama 3 scales its rotary embedding, for short texts."""


def bpe_tokenizer(template: str | None = CHATML, special: Sequence[str] = SPECIAL) -> Any:
    """Byte-level BPE that splits as GPT-2's does, with a few merges."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([row["text"] for row in make_rows(40)], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=special[-1],
        pad_token=special[0],
        extra_special_tokens=list(special),
        model_max_length=64,
    )
    tokenizer.chat_template = template
    return tokenizer


def pieces_tokenizer(puts_space_first: bool = True, order: int = 1) -> Any:
    """SentencePiece's BPE: letters, some pieces, and bytes for the rest, as Llama 2 has it.

    An `order` of -1 prefers the pieces that others have last.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast
    from transformers.tokenization_utils_base import generate_merges

    pieces = ["▁t", "he", "▁the", "an", "▁an", "▁and", "in", "▁in", "er", "▁a"]
    letters = [*"▁abcdefghijklmnopqrstuvwxyz.,ABC123"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {token: i for i, token in enumerate([*tokens, *pieces, *letters])}
    scores = {piece: -float(order * rank) for rank, piece in enumerate(pieces)}
    merges = generate_merges(vocabulary, scores)
    backend = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    first = [normalizers.Prepend("▁")] if puts_space_first else []
    backend.normalizer = normalizers.Sequence([*first, normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    special = [AddedToken(token, special=True, normalized=False) for token in tokens[:3]]
    backend.add_special_tokens(special)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        pad_token="</s>",
    )  # fmt: skip


def speaking(
    family: str = "llama", tokenizer: Any = None, style: str = "chat", **changes: Any
) -> Any:
    """An artifact of a tiny random decoder that writes text; nothing of it is on disk."""
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = tokenizer or bpe_tokenizer()
    torch.manual_seed(0)
    sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": 128, "sliding_window": None}
    config = make_config(family, **{**sizes, **changes})
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)  # so that answers depend on the question
            elif parameter.abs().max() == 0:
                parameter.normal_()  # biases begin as nothing
    return artifact_of(model, tokenizer, style)


def artifact_of(model: Any, tokenizer: Any, style: str) -> Any:
    """A decoder as if it had been tuned to write texts of a style, in short answers."""
    from support import strategy_of
    from welltuned.artifact.manifest import ArtifactManifest, Origin
    from welltuned.artifact.save_load import Artifact
    from welltuned.models.config import ModelConfig
    from welltuned.tasks import restore_problem

    memory = {"type": "generation", "style": style, "config": {"decoding": {"max_new_tokens": 6}}}
    manifest = ArtifactManifest(
        problem=restore_problem(memory),
        strategy=strategy_of({"type": "full"}),
        base=ModelConfig(name="org/tiny"),
        origin=Origin("", ()),
        max_length=128,
        precision="fp32",
    )
    return Artifact(model, tokenizer, model.config, manifest)
