"""Anatomy of a transformer: embeddings, blocks, final norm, pooler and head, found by behaviour.

The only module that knows where things are inside a pretrained model. It looks at structure and
behaviour, not at names: a skeleton of the model without weights (on torch's `meta` device) runs
once on three dummy tokens, and what is called before, in and after the stack of blocks is noted. So
every family whose blocks are one list of like modules is understood without a table of names, and
one that is not is refused before any weight is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from welltuned.errors import Fault, InputError
from welltuned.models.compat.transformers_api import MODEL_FOR_MASKED_LM_MAPPING_NAMES, Conv1D
from welltuned.models.skeleton_run import watch_run

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

Kind = Literal["encoder", "decoder"]

_PEFT_DECORATION = re.compile(
    r"^base_model\.model\.|\bbase_layer\.|\bmodules_to_save\.\w+\.|\boriginal_module\."
)


@dataclass(frozen=True)
class Block:
    """One transformer block, by the full names of its modules."""

    name: str
    linears: tuple[str, ...]
    """Every linear layer (`nn.Linear` or GPT-2's `Conv1D`), in the order they are called."""
    attention: str | None
    """The module that calls transformers' attention registry;
    None when the family computes attention itself."""
    attention_output: str | None
    """The linear layer that writes attention's result into the residual stream."""
    feed_forward_input: str | None
    """The linear layer that reads the feed-forward sublayer's input."""
    feed_forward_output: str | None
    """The linear layer that writes the feed-forward result into the residual stream."""
    norms: tuple[str, ...]
    """Its normalisations."""
    key_shape: tuple[int, int]
    """Attention's key heads and their size; (0, 0) when `attention` is None."""
    shapes: tuple[tuple[int, int], ...] = ()
    """Of each of `linears`, the features it reads and those it writes."""


@dataclass(frozen=True)
class Anatomy:
    """Where things are in one model, as full module names of the unwrapped model."""

    family: str
    kind: Kind
    trunk: str
    word_embeddings: str
    blocks: tuple[Block, ...]
    final: tuple[str, ...]
    """What follows the last block inside the trunk and is not a pooler: the final norm."""
    pooler: tuple[str, ...]
    head: tuple[str, ...]
    """Top-level modules outside the trunk that hold weights."""
    hidden_size: int
    max_length: int | None
    """The longest input in tokens, special tokens included; None when unbounded."""
    rotary: bool
    """Whether positions enter by turning queries and keys (RoPE): any number will do, also a
    negative one."""
    parameters: int
    linear_head: bool = False
    """Whether head and pooler together are one linear layer."""
    first_position: int = 0
    """The position of a text's first token, where positions are numbered."""
    biases: int = 0
    """Numbers in biases that are neither the head's nor the pooler's."""

    @property
    def num_blocks(self) -> int:
        return len(self.blocks)

    def depth(self, name: str) -> int:
        """How deep a parameter lies, seen from the output.

        0: head and pooler; 1: the top block and the final norm; `num_blocks`: the
        bottom block; `num_blocks + 1`: embeddings and all else. Names decorated by
        PEFT (`base_model.model.…`, `….base_layer.…`) are understood.
        """
        plain = undecorated(name)
        for prefix, depth in self._depths:
            if plain == prefix or plain.startswith(prefix + "."):
                return depth
        return self.num_blocks + 1

    def region(self, depth: int) -> str:
        """The name of a depth for people: `head`, `block 5`, `embeddings`."""
        if depth == 0:
            return "head"
        if depth > self.num_blocks:
            return "embeddings"
        return f"block {self.num_blocks - depth}"

    @cached_property
    def _depths(self) -> tuple[tuple[str, int], ...]:
        head = [(name, 0) for name in (*self.head, *self.pooler)]
        final = [(name, 1) for name in self.final]
        blocks = [(block.name, self.num_blocks - i) for i, block in enumerate(self.blocks)]
        return tuple(head + final + blocks)


def undecorated(name: str) -> str:
    """A parameter's or module's name without what PEFT puts around it."""
    return _PEFT_DECORATION.sub("", name)


def unwrapped(model: object) -> Any:
    """The model inside PEFT's wrapper, whose modules an anatomy names; else the model itself."""
    unwrap = getattr(model, "get_base_model", None)
    return model if unwrap is None else unwrap()


def examine_anatomy(skeleton: PreTrainedModel, new_head: bool = True) -> Anatomy:
    """Find the parts of a model with a head, from its skeleton on the `meta` device.

    `new_head` tells whether what stands on the trunk is new and has to be learned; the
    output layer of a language model is not, and counts with the embeddings.
    Raises `InputError` when the family breaks the rules this rests on: an
    encoder-decoder, blocks that share weights, or no single stack of blocks.
    """
    config = skeleton.config.get_text_config()
    family = getattr(config, "model_type", type(skeleton).__name__)
    if getattr(config, "is_encoder_decoder", False):
        raise _refuse(
            "model.encoder_decoder",
            family,
            "it is an encoder-decoder",
            "use an encoder such as BERT or a decoder such as Llama",
        )
    trunk_name = skeleton.base_model_prefix
    trunk: Any = skeleton.base_model
    stack_name, stack = _find_stack(trunk, family)
    if len(stack) != (expected := getattr(config, "num_hidden_layers", len(stack))):
        raise _refuse(
            "model.shared_layers",
            family,
            "its {layers} layers share the weights of {blocks}, as in ALBERT, so blocks cannot be "
            "told apart",
            "use a family whose layers have their own weights",
            layers=expected,
            blocks=len(stack),
        )
    calls, attentions = watch_run(trunk)
    blocks = tuple(
        _describe_block(
            f"{stack_name}.{i}", block, config.hidden_size, calls, attentions, trunk_name
        )
        for i, block in enumerate(stack)
    )
    final, pooler = _after_blocks(trunk, calls, stack_name)
    head = _head(skeleton, trunk_name) if new_head else ()
    anatomy = Anatomy(
        family=family,
        kind=kind_of(config),
        trunk=trunk_name,
        word_embeddings=f"{trunk_name}.{_name_of(trunk, trunk.get_input_embeddings())}",
        blocks=blocks,
        final=tuple(f"{trunk_name}.{name}" for name in final),
        pooler=tuple(f"{trunk_name}.{name}" for name in pooler),
        head=head,
        hidden_size=config.hidden_size,
        max_length=_max_length(trunk, config),
        rotary=any(type(module).__name__.endswith("RotaryEmbedding") for module in trunk.modules()),
        parameters=sum(parameter.numel() for parameter in skeleton.parameters()),
        first_position=position_offset(trunk),
        linear_head=not pooler and [type(getattr(skeleton, name)) for name in head] == [nn.Linear],
    )
    return replace(anatomy, biases=_biases(skeleton, anatomy))


def _biases(skeleton: nn.Module, anatomy: Anatomy) -> int:
    return sum(
        parameter.numel()
        for name, parameter in skeleton.named_parameters()
        if name.endswith("bias") and anatomy.depth(name)
    )


def _head(skeleton: PreTrainedModel, trunk: str) -> tuple[str, ...]:
    return tuple(
        name
        for name, child in skeleton.named_children()
        if name != trunk and any(True for _ in child.parameters())
    )


def _refuse(code: str, family: str, reason: str, remedy: str, /, **values: Any) -> InputError:
    what = "the model family '{family}' cannot be tuned here: " + reason
    return InputError(Fault(code, what, None, remedy, family=family, **values))


def _find_stack(trunk: nn.Module, family: str) -> tuple[str, nn.ModuleList]:
    """The longest list of like modules; lists inside lists (experts, say) do not count."""
    outermost: dict[str, nn.ModuleList] = {}
    for name, module in trunk.named_modules():
        if isinstance(module, nn.ModuleList) and not any(
            name.startswith(f"{outer}.") for outer in outermost
        ):
            outermost[name] = module
    stacks = {
        name: stack
        for name, stack in outermost.items()
        if len({type(block) for block in stack}) == 1
    }
    if not stacks:
        raise _refuse(
            "model.no_blocks",
            family,
            "no stack of identical blocks was found in it",
            "use a plain transformer",
        )
    return max(stacks.items(), key=lambda item: len(item[1]))


def _describe_block(
    name: str,
    block: nn.Module,
    hidden: int,
    calls: list[str],
    attentions: dict[str, tuple[int, int]],
    trunk: str,
) -> Block:
    attention = next((caller for caller in attentions if caller.startswith(f"{name}.")), None)
    shapes = {f"{name}.{linear}": shape for linear, shape in _linears(block)}
    linears = [call for call in dict.fromkeys(calls) if call in shapes]
    # In every pre- or post-norm block, attention and feed-forward each end in one
    # linear layer that writes `hidden` features; they are the last two that do.
    writers = [i for i, linear in enumerate(linears) if shapes[linear][1] == hidden]
    known = len(writers) >= 2 and writers[-1] > writers[-2] + 1
    full = [f"{trunk}.{linear}" for linear in linears]
    return Block(
        name=f"{trunk}.{name}",
        linears=tuple(full),
        attention=f"{trunk}.{attention}" if attention else None,
        attention_output=full[writers[-2]] if known else None,
        feed_forward_input=full[writers[-2] + 1] if known else None,
        feed_forward_output=full[writers[-1]] if known else None,
        norms=tuple(
            f"{trunk}.{call}"
            for call in dict.fromkeys(calls)
            if call.startswith(f"{name}.") and _is_norm(block.get_submodule(call[len(name) + 1 :]))
        ),
        key_shape=attentions[attention] if attention else (0, 0),
        shapes=tuple(shapes[linear] for linear in linears),
    )


def _is_norm(module: nn.Module) -> bool:
    """Whether all a module's own weights are vectors."""
    return all(parameter.ndim == 1 for parameter in module.parameters(recurse=False))


def _linears(block: nn.Module) -> Iterator[tuple[str, tuple[int, int]]]:
    """The linear layers of a block, and how many features each reads and writes."""
    for name, module in block.named_modules():
        if isinstance(module, nn.Linear):
            yield name, (module.in_features, module.out_features)
        elif isinstance(module, Conv1D):
            yield name, (module.weight.shape[0], module.weight.shape[1])


def _after_blocks(trunk: nn.Module, calls: list[str], stack: str) -> tuple[list[str], list[str]]:
    """Split what is called after the last block.

    The final norm holds vectors only, the pooler matrices.
    """
    last = max(i for i, name in enumerate(calls) if name.startswith(f"{stack}."))
    final: list[str] = []
    pooler: list[str] = []
    for name in dict.fromkeys(calls[last + 1 :]):
        (final if _is_norm(trunk.get_submodule(name)) else pooler).append(name)
    # The pooler is named whole (`pooler`, not `pooler.dense`), as others save and load it.
    return final, list(dict.fromkeys(name.split(".")[0] for name in pooler))


def kind_of(config: PreTrainedConfig) -> Kind:
    """Whether a family reads both ways (it has a masked language model) or left to right."""
    return "encoder" if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES else "decoder"


def _name_of(root: nn.Module, wanted: nn.Module) -> str:
    return next(name for name, module in root.named_modules() if module is wanted)


def _max_length(trunk: nn.Module, config: PreTrainedConfig) -> int | None:
    limit = getattr(config, "max_position_embeddings", None)
    return int(limit) - position_offset(trunk) if limit and limit > 0 else None


def position_offset(trunk: nn.Module) -> int:
    """The first position number the family gives a real token.

    RoBERTa counts from `padding_idx + 1`, others from 0.
    """
    for name, module in trunk.named_modules():
        if (
            isinstance(module, nn.Embedding)
            and name.endswith("position_embeddings")
            and module.padding_idx is not None
        ):
            return int(module.padding_idx) + 1
    return 0
