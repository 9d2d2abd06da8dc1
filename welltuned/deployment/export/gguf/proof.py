"""A GGUF file read back by transformers' own reader, and what it answers beside the original.

The reader knows nothing of what wrote the file. It takes some things for granted that a file says;
these are read from the file here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import torch

from welltuned.deployment.export.gguf.metadata import context_length
from welltuned.deployment.export.gguf.vocabulary import Vocabulary
from welltuned.errors import Fault, Place, RunFailed
from welltuned.models.gguf.rotary import ROPE_FACTORS, rope_factors
from welltuned.models.gguf.splittings import READ_BY_TRANSFORMERS
from welltuned.models.silence import quiet
from welltuned.tasks import chat

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from welltuned.artifact.save_load import Artifact

_TOLERANCE = 1e-3
"""How far logits of equal weights may be apart, in float32."""
_LONGEST = 48
"""Tokens of the answer that is compared."""
QUESTION = "What do you know about the sea? Say it in 3 sentences."


class Conversation(TypedDict):
    """One question, asked of the original and of what the file holds."""

    question: str
    answer: str
    """The original's."""
    tokens: int
    """Of that answer."""
    same_tokens: int
    """How many of them, from the first, the file's model writes too."""
    logits_difference: float
    """The largest absolute difference of any logit, over question and answer."""


def read_back(folder: Path, file: str, rope: Mapping[str, object]) -> PreTrainedModel:
    """The model in a file, in float32; `rope` are the `rope_parameters` that it was written with.

    Raises `RunFailed` where weights are missing, or anything it says is not so.
    """
    import gguf
    from transformers import AutoConfig, AutoModelForCausalLM

    with quiet():
        told = AutoConfig.from_pretrained(folder, gguf_file=file, trust_remote_code=False)
    reader = gguf.GGUFReader(str(folder / file))
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    architecture = str(reader.fields["general.architecture"].contents())
    told.head_dim = int(reader.fields[f"{architecture}.attention.key_length"].contents())
    told.attention_bias = "blk.0.attn_q.bias" in tensors
    told.mlp_bias = "blk.0.ffn_gate.bias" in tensors
    told.rope_parameters = {
        **rope,
        "rope_theta": float(reader.fields[f"{architecture}.rope.freq_base"].contents()),
    }
    _require_factors(tensors.get(ROPE_FACTORS), told, folder / file)
    with quiet(), redirect_stderr(StringIO()):  # a bar that nothing else switches off
        reads: Any = AutoModelForCausalLM.from_pretrained
        model, report = reads(
            folder,
            config=told,
            gguf_file=file,
            output_loading_info=True,
            dtype=torch.float32,
            trust_remote_code=False,
        )
    if lacking := sorted(map(str, report["missing_keys"])):
        raise RunFailed(_unlike(folder / file, f"'{lacking[0]}' is missing"))
    return model.eval()


def _require_factors(tensor: Any, config: Any, file: Path) -> None:
    """Raise `RunFailed` where the rotary embedding is scaled otherwise than it should be."""
    wanted = rope_factors(config)
    found = None if tensor is None else np.asarray(tensor.data)
    same = found is None if wanted is None else found is not None and np.allclose(found, wanted)
    if not same:
        raise RunFailed(_unlike(file, "its rotary embedding is scaled otherwise"))


def read_tokenizer_back(folder: Path, file: str) -> PreTrainedTokenizerBase:
    """The tokenizer in a file."""
    from transformers import AutoTokenizer

    with quiet():
        return AutoTokenizer.from_pretrained(folder, gguf_file=file, trust_remote_code=False)


def require_same_tokens(
    original: PreTrainedTokenizerBase,
    read: PreTrainedTokenizerBase,
    texts: Sequence[str],
    vocabulary: Vocabulary,
    file: Path,
) -> None:
    """Raise `RunFailed` where a text has other tokens by the file's tokenizer.

    Where the reader splits texts in its own way whatever the file says, it is told to split as the
    original does: vocabulary, merges or scores, and special tokens are compared then.
    """
    if vocabulary.splitting not in READ_BY_TRANSFORMERS:
        ours, theirs = original.backend_tokenizer, read.backend_tokenizer
        theirs.normalizer, theirs.pre_tokenizer = ours.normalizer, ours.pre_tokenizer
    for text in texts:
        one, other = (
            tokenizer(text, add_special_tokens=False)["input_ids"] for tokenizer in (original, read)
        )
        if one != other:
            raise RunFailed(_unlike(file, f"the text {text[:60]!r} has other tokens"))


def ask_both(
    original: Artifact, model: nn.Module, read: PreTrainedTokenizerBase, plain: bool, file: Path
) -> Conversation:
    """Ask both, greedily, each through its own tokenizer and, unless `plain`, its own template.

    Raises `RunFailed` where they read another question.
    """
    answers = [
        _answer(one, tokenizer, original, plain)
        for one, tokenizer in ((original.model, original.tokenizer), (model, read))
    ]
    (prompt_T, said_T), (read_T, other_T) = answers
    if prompt_T != read_T:
        raise RunFailed(_unlike(file, "its template asks with other tokens"))
    same = next((i for i, (a, b) in enumerate(zip(said_T, other_T, strict=False)) if a != b), None)
    whole_1T = torch.tensor([[*prompt_T, *said_T]])
    with torch.inference_mode():
        logits = [one(input_ids=whole_1T).logits.float() for one in (original.model, model)]
    return {
        "question": QUESTION,
        "answer": str(original.tokenizer.decode(said_T, skip_special_tokens=True)),
        "tokens": len(said_T),
        "same_tokens": min(len(said_T), len(other_T)) if same is None else same,
        "logits_difference": float((logits[0] - logits[1]).abs().max()),
    }


def _answer(
    model: Any, tokenizer: PreTrainedTokenizerBase, original: Artifact, plain: bool
) -> tuple[list[int], list[int]]:
    """(tokens of the prompt, tokens of the answer)."""
    text = QUESTION
    if not plain:
        turns = [{"role": "user", "content": QUESTION}]
        text = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    prompt = list(tokenizer(text, add_special_tokens=plain)["input_ids"])
    whole = min(original.max_length, context_length(original.config))
    room = max(1, min(_LONGEST, whole - len(prompt)))
    with quiet(), torch.inference_mode():
        said = model.generate(
            input_ids=torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=room,
            do_sample=False,
            eos_token_id=chat.stop_ids(original.tokenizer) or None,
            pad_token_id=original.tokenizer.pad_token_id,
        )
    return prompt, said[0, len(prompt) :].tolist()


def require_same_answer(talk: Conversation, file: Path) -> None:
    """Raise `RunFailed` where a file in full precision answers anything else."""
    if talk["same_tokens"] < talk["tokens"] or talk["logits_difference"] > _TOLERANCE:
        told = (
            f"its logits differ by up to {talk['logits_difference']:.2g}, and "
            f"{talk['same_tokens']} of {talk['tokens']} tokens of an answer are the same"
        )
        raise RunFailed(_unlike(file, told))


def _unlike(file: Path, reason: str) -> Fault:
    return Fault(
        "export.gguf_reads_otherwise",
        "the file, read back by transformers, is not the model that was written: {reason}",
        Place(str(file)),
        "this is a bug in welltuned; please report it",
        reason=reason,
    )
