"""From a GGUF file to a plain folder: config, 32-bit weights, tokenizer and chat template.

transformers reads the file. It takes some things for granted that a file says; these are read from
the file here, and what is read is held against what the file has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from welltuned.errors import Fault, InputError, Place
from welltuned.models.compat.gguf_api import known_splittings, need_no_bos, reading_options
from welltuned.models.gguf.header import GGUF, GgufHeader
from welltuned.models.gguf.rotary import ROPE_FACTORS, find_scaling
from welltuned.models.gguf.splittings import SPLITTINGS, Splitting
from welltuned.models.silence import quiet
from welltuned.runs.disk import fault_of_disk
from welltuned.schema.messages import Message, message

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

_SPECIAL = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
"""Special tokens as transformers calls them, and as a file does."""
_UNSCALED = (None, "none")
_OURS: dict[str | None, Splitting] = {one.name: one for one in SPLITTINGS}
"""Ways of splitting texts that are set here, whatever the reader takes their names for."""


def convert_gguf(file: Path, header: GgufHeader, folder: Path) -> list[Message]:
    """Write the model of a file into a folder, and return what a person should know of it.

    Raises `InputError` where transformers cannot read it, or reads something else than it says.
    """
    try:
        with _alone(file) as alone:
            config, notes = _read_config(alone, header), _notes(file, header)
            tokenizer = _read_tokenizer(alone, header, config)
            model = _read_model(alone, config)
        _require_all(header, model)
        with quiet():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
    except Exception as error:  # whatever its readers say of a file that they cannot take
        if fault_of_disk(error, folder) is not None:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise _refusal(file, reason) from error
    return notes


@contextmanager
def _alone(file: Path) -> Iterator[Path]:
    """The file in a folder without others, which its readers would take for parts of the model."""
    with TemporaryDirectory() as folder:
        alone = Path(folder) / f"model{GGUF}"
        alone.symlink_to(file.resolve())
        yield alone


# --- Its network -----------------------------------------------------------------------


def _read_config(file: Path, header: GgufHeader) -> PreTrainedConfig:
    with quiet():
        config: Any = AutoConfig.from_pretrained(
            file.parent, gguf_file=file.name, trust_remote_code=False
        )
    vars(config).pop("_model_name_or_path", None)  # a title, and no place
    if hasattr(config, "attention_bias"):
        config.attention_bias = "blk.0.attn_q.bias" in header.tensors
    if hasattr(config, "mlp_bias"):
        config.mlp_bias = "blk.0.ffn_gate.bias" in header.tensors
    keys = header.tensors.get("blk.0.attn_k.weight")
    heads = getattr(config, "num_key_value_heads", 0)
    if keys is not None and heads and hasattr(config, "head_dim"):
        config.head_dim = keys.shape[0] // heads
    _scale_positions(file, header, config)
    return config


def _scale_positions(file: Path, header: GgufHeader, config: PreTrainedConfig) -> None:
    """Raises `ValueError` for rotary positions that are scaled in a way nobody here knows."""
    if (told := header.of_network("rope.scaling.type")) not in _UNSCALED:
        factor = header.of_network("rope.scaling.factor")
        if told != "linear" or not isinstance(factor, float):
            raise ValueError(f"its rotary positions are scaled in the way '{told}'")
        config.rope_parameters = {**config.rope_parameters, "rope_type": told, "factor": factor}
    if (tensor := header.tensors.get(ROPE_FACTORS)) is not None:
        start = header.data_start + tensor.start
        factors = np.fromfile(file, np.float32, tensor.elements, offset=start)
        scaling = find_scaling(config, factors)
        if scaling is None:
            raise ValueError(f"{ROPE_FACTORS} scales rotary positions in an unknown way")
        config.rope_parameters = scaling


def _read_model(file: Path, config: PreTrainedConfig) -> PreTrainedModel:
    """A plain model with the weights of a file.

    What transformers gives counts as quantised, and is neither trained nor saved: a fresh one of
    the same config takes its weights over.
    """
    reads: Any = AutoModelForCausalLM.from_pretrained
    with quiet(), _without_bar():
        read, report = reads(
            file.parent,
            gguf_file=file.name,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=False,
            **reading_options(),
        )
        with torch.device("meta"):
            fresh = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    if lacking := sorted(map(str, report["missing_keys"])):
        raise ValueError(f"'{lacking[0]}' is not in it, nor are {len(lacking) - 1} more")
    fresh.load_state_dict(read.state_dict(), assign=True)
    fresh.tie_weights()
    return fresh


def _without_bar() -> AbstractContextManager[object]:
    """At a terminal the reader's bar shows how far it is; elsewhere it would fill logs."""
    return nullcontext() if sys.stderr.isatty() else redirect_stderr(StringIO())


def _require_all(header: GgufHeader, model: PreTrainedModel) -> None:
    """Raise `ValueError` where the model has more weights than the file, or fewer.

    transformers passes over tensors that it has no place for, and says nothing.
    """
    made = sum({one.data_ptr(): one.numel() for one in model.state_dict().values()}.values())
    factors = header.tensors.get(ROPE_FACTORS)
    held = header.elements - (factors.elements if factors is not None else 0)
    if made != held:
        raise ValueError(f"it holds {held:,} weights, and {made:,} of them would be used")


# --- Its tokenizer ---------------------------------------------------------------------


def _read_tokenizer(
    file: Path, header: GgufHeader, config: PreTrainedConfig
) -> PreTrainedTokenizerBase:
    """With the tokens of the file and no others: the reader adds some that its classes have."""
    need_no_bos()
    with quiet():
        read: Any = AutoTokenizer.from_pretrained(
            file.parent, gguf_file=file.name, trust_remote_code=False
        )
    if (splitting := _OURS.get(_splitting_named(header))) is not None:
        read.backend_tokenizer.pre_tokenizer = _pre_tokenizer(splitting)
        read.backend_tokenizer.model.ignore_merges = not splitting.merges_whole_words
    backend = json.loads(read.backend_tokenizer.to_str())
    number = header.keys["tokenizer.ggml.tokens"]
    backend["added_tokens"] = [one for one in backend["added_tokens"] if one["id"] < number]
    special = dict(_special_tokens(header, read))
    others = (one["content"] for one in backend["added_tokens"] if one["special"])
    longest = getattr(config, "max_position_embeddings", None) or read.model_max_length
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(backend)),
        chat_template=read.chat_template,
        model_max_length=min(read.model_max_length, longest),
        extra_special_tokens=[text for text in others if text not in special.values()],
        **special,
    )


def _special_tokens(header: GgufHeader, read: Any) -> Iterator[tuple[str, str]]:
    """Each that the file names, with its text."""
    for ours, theirs in _SPECIAL.items():
        if (number := header.keys.get(f"tokenizer.ggml.{theirs}_token_id")) is not None:
            yield f"{ours}_token", str(read.convert_ids_to_tokens(int(number)))


def _splitting_named(header: GgufHeader) -> str | None:
    """How a file says that its tokenizer splits texts before it merges bytes, if it merges any."""
    merges_bytes = header.keys.get("tokenizer.ggml.model") == "gpt2"
    return str(header.keys.get("tokenizer.ggml.pre", "default")) if merges_bytes else None


def _notes(file: Path, header: GgufHeader) -> list[Message]:
    """What may differ from what the model was trained with."""
    name = _splitting_named(header)
    if name is None or name in _OURS or name in known_splittings():
        return []
    return [
        message(
            "model.gguf_splitting_unknown",
            "{file} says that its tokenizer splits texts as '{name}', which is not known here. "
            "They are split as GPT-2 does, so some have other tokens than the model was trained "
            "on.",
            file=file.name,
            name=name,
        )
    ]


def _pre_tokenizer(splitting: Splitting) -> pre_tokenizers.PreTokenizer:
    made: dict[str, Any] = {
        "digits": lambda how: pre_tokenizers.Digits(individual_digits=how == "each"),
        "split": lambda how: pre_tokenizers.Split(Regex(how), "isolated"),
        "bytes": lambda how: pre_tokenizers.ByteLevel(False, use_regex=how == "words"),
    }
    return pre_tokenizers.Sequence([made[what](how) for what, how in splitting.steps])


def _refusal(file: Path, reason: str) -> InputError:
    return InputError(
        Fault(
            "model.gguf_unsupported",
            "this GGUF file cannot be made a model to train: {reason}",
            Place(str(file)),
            "take the model's original folder or its name on the Hub",
            reason=reason,
        )
    )
