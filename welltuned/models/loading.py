"""Loading pretrained models and tokenizers from a folder, a Python package or the hub.

A model is read in three stages, each more expensive than the last: its config (to refuse what
cannot work), its skeleton without weights (to see its anatomy), and its weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from welltuned.errors import Fault, InputError, RunFailed
from welltuned.models.adapters import AdapterFolder, find_adapter
from welltuned.models.checkpoint_files import check_files
from welltuned.models.checksums import check_sums, weights_fingerprint
from welltuned.models.config import ModelConfig
from welltuned.models.locations import require_model_there
from welltuned.models.silence import quiet
from welltuned.models.template_options import set_template_options

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from welltuned.models.anatomy import Anatomy
    from welltuned.models.head_match import HeadMatch

Pooling = Literal["model", "first", "mean", "last"]


def read_model_config(model: ModelConfig) -> PreTrainedConfig:
    """The model's config; no weight is touched. Raises `InputError` when it cannot be had."""
    from transformers import AutoConfig

    from welltuned.models.compat.transformers_api import is_offline

    location = model.location
    require_model_there(location)
    folder = Path(location).expanduser()
    if folder.is_dir():
        check_files(folder)
    if adapter := find_adapter(location):
        adapter.require_mergeable()
        return adapter.config(read_model_config(_base_of(adapter, model)))
    if folder.is_dir() and not (folder / "config.json").exists():
        raise InputError(
            Fault(
                "model.config_missing",
                "the folder '{name}' has no config.json",
                None,
                "give a folder saved with `save_pretrained`",
                name=model.name,
            )
        )
    try:
        return AutoConfig.from_pretrained(
            str(folder) if folder.is_dir() else location, **model.source
        )
    except (OSError, ValueError, KeyError) as error:
        refuse_own_code(error, model.name)
        if is_offline() and not folder.is_dir():
            raise InputError(_not_in_cache(model.name)) from error
        raise InputError(
            Fault(
                "model.unreadable",
                "cannot read the model '{name}': {reason}",
                None,
                "check the spelling; offline, give a folder with config.json, model.safetensors "
                "and tokenizer files",
                name=model.name,
                reason=str(error).splitlines()[0],
            )
        ) from error


def refuse_own_code(error: Exception, name: str) -> None:
    """Raise `InputError` where transformers gave up on a model for it brings code of its own."""
    if "trust_remote_code" in str(error):
        fault = Fault(
            "model.own_code_refused",
            "the model '{name}' brings Python code of its own, which is not run unasked",
            None,
            "if you trust who made it, set model.trust_remote_code=true; a tuned model asks for "
            "its base's code with --allow-imports, or WELLTUNED_ALLOW_IMPORTS=1",
            name=name,
        )
        raise InputError(fault) from error


def _not_in_cache(name: str) -> Fault:
    return Fault(
        "model.not_in_cache",
        "the model '{name}' is not in the local cache, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE "
        "forbids to ask the Hub",
        None,
        "give a folder, or unset the variable and run once while online",
        name=name,
    )


def read_tokenizer(model: ModelConfig) -> PreTrainedTokenizerBase:
    """The model's own tokenizer, with a padding token (the end token serves when it has none)."""
    from transformers import AutoTokenizer

    folder = Path(model.location).expanduser()
    adapter = find_adapter(model.location)
    if adapter and not (folder / "tokenizer_config.json").exists():
        return read_tokenizer(_base_of(adapter, model))
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **model.source)
    except (OSError, ValueError, KeyError, ImportError) as error:
        refuse_own_code(error, model.name)
        raise InputError(
            Fault(
                "tokenizer.unreadable",
                "cannot read the tokenizer of '{name}': {reason}",
                None,
                "save the tokenizer beside the model",
                name=model.name,
                reason=str(error).splitlines()[0],
            )
        ) from error
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        # Without files transformers makes some tokenizers anew, and every word is unknown to them.
        raise InputError(
            Fault(
                "tokenizer.empty",
                "the tokenizer of '{name}' has an empty vocabulary: its files are missing",
                None,
                "save the tokenizer beside the model",
                name=model.name,
            )
        )
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token is None:
            raise InputError(
                Fault(
                    "tokenizer.without_padding",
                    "the tokenizer of '{name}' has neither a padding nor an end token",
                    None,
                    "add a pad_token to it",
                    name=model.name,
                )
            )
        tokenizer.pad_token = tokenizer.eos_token
    # Saved with the tokenizer's files, where `data.special_tokens` reads it.
    tokenizer.init_kwargs["special_tokens_in_text"] = model.special_tokens_in_text
    set_template_options(tokenizer, model.template_options)
    return tokenizer


def own_pooling(model: ModelConfig) -> Pooling | None:
    """How a sentence encoder was trained to pool, from its own pooling file.

    None when it has none or uses another way.
    """
    from welltuned.models.compat.transformers_api import file_of_model

    location = str(Path(model.location).expanduser())
    if file_of_model(location, "modules.json", "", model.revision) is None:
        return None
    path = file_of_model(location, "config.json", "1_Pooling", model.revision)
    if path is None:
        return None
    settings = json.loads(path.read_text(encoding="utf-8"))
    names: dict[str, Pooling] = {
        "pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first",
        "pooling_mode_lasttoken": "last",
    }  # fmt: skip
    chosen = [pooling for key, pooling in names.items() if settings.get(key)]
    by_word: dict[str, Pooling] = {"mean": "mean", "cls": "first", "lasttoken": "last"}
    if settings.get("pooling_mode") in by_word:
        chosen = [by_word[settings["pooling_mode"]]]
    return chosen[0] if len(chosen) == 1 else None


@dataclass(frozen=True)
class Head:
    """A model with a head, described: the auto class that builds it and the finished config."""

    auto_class: Any
    config: PreTrainedConfig
    new: bool = True
    """Whether it is newly initialised; the output layer of a language model is not."""
    masked: bool = False
    """Whether it is an output layer that foretells hidden tokens, and not those that follow."""
    match: HeadMatch | None = None
    """What it takes over from the base's own head, where the base has one for labels."""


def build_skeleton(head: Head) -> PreTrainedModel:
    """The model without weights, on the `meta` device: free to build, whatever its size."""
    import torch

    from welltuned.models.compat.transformers_api import runs_own_code
    from welltuned.models.skeleton_run import SKELETON_ATTENTION

    def build(attention: str) -> PreTrainedModel:
        config = type(head.config).from_dict(head.config.to_dict())
        with torch.device("meta"):
            return head.auto_class.from_config(
                config, attn_implementation=attention, trust_remote_code=runs_own_code(config)
            ).eval()

    try:
        return build(SKELETON_ATTENTION)
    except (ValueError, KeyError):  # the family accepts only attention of its own
        return build("eager")


@dataclass(frozen=True)
class Loaded:
    """A model with its weights, and the names of those that the checkpoint did not have."""

    model: PreTrainedModel
    new: tuple[str, ...]
    unused: tuple[str, ...]


def load_model(model: ModelConfig, head: Head, anatomy: Anatomy, seed: int) -> Loaded:
    """Load the weights. New heads are drawn from `seed`.

    Raises `RunFailed` when the checkpoint lacks weights of the trunk: silently fine-tuning random
    weights instead of a pretrained model is the worst failure.
    """
    import torch

    from welltuned.models import cpu_attention, head_match, vocabulary

    config = head_match.config_to_read(head.config, head.match)
    torch.manual_seed(seed)
    if (folder := Path(model.location).expanduser()).is_dir():
        check_files(folder)
        check_sums(folder)
    with quiet():
        rows = vocabulary.rows_of(read_model_config(model))
        loaded, report = read_weights(model, head.auto_class, vocabulary.with_rows(config, rows))
        cpu_attention.use_in(loaded)
    vocabulary.add_rows(loaded, vocabulary.rows_of(head.config))
    changed = head_match.take_over(loaded, head.match, anatomy.head, seed) if head.match else ()
    resized = {key[0] if isinstance(key, tuple) else key for key in report["mismatched_keys"]}
    new = sorted({*report["missing_keys"], *resized, *changed})
    lacking = [name for name in new if anatomy.depth(name) > 0]
    if head.masked:  # a trunk alone has no output layer: one is built on its embeddings
        lacking = [name for name in lacking if name.startswith(f"{anatomy.trunk}.")]
    if lacking:
        raise RunFailed(
            Fault(
                "model.weights_missing",
                "the checkpoint '{name}' lacks {number} weights of the model's body, '{first}' "
                "among them; they would be initialised at random",
                None,
                "give a checkpoint of the same family and size",
                name=model.name,
                number=len(lacking),
                first=lacking[0],
            )
        )
    return Loaded(loaded, tuple(new), tuple(sorted(report["unexpected_keys"])))


def read_weights(
    model: ModelConfig, auto_class: Any, config: PreTrainedConfig
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The weights as they are, an adapter's merged into its base model, and what transformers says
    of them."""
    import torch

    from welltuned.models.compat.transformers_api import model_class

    options = {
        "config": config,
        "dtype": getattr(torch, model.dtype),
        "output_loading_info": True,
        "ignore_mismatched_sizes": True,
        "use_safetensors": True,
        "trust_remote_code": model.trust_remote_code,
    }
    adapter = find_adapter(model.location)
    if adapter is None:
        location = str(Path(model.location).expanduser())
        return auto_class.from_pretrained(location, revision=model.revision, **options)
    merged: Any = _merge(adapter, model)
    family: Any = model_class(auto_class, config)
    return family.from_pretrained(None, state_dict=merged.state_dict(), **options)


def _merge(adapter: AdapterFolder, model: ModelConfig) -> PreTrainedModel:
    from welltuned.models.compat.transformers_api import model_class

    base = _base_of(adapter, model)
    config = adapter.config(read_model_config(base))
    before, _ = read_weights(base, model_class(adapter.class_name, config), config)
    return adapter.merge(before, weights_fingerprint(before, adapter.origin.get("new", ())))


def _base_of(adapter: AdapterFolder, model: ModelConfig) -> ModelConfig:
    own = {"name": adapter.base, "revision": adapter.revision}
    kept = {"dtype": adapter.origin.get("dtype", model.dtype)}
    file = {"gguf_file": adapter.origin.get("gguf_file")}
    return model.model_copy(update={**own, **kept, **file})
