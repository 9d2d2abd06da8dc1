"""Anatomy of a transformer: embeddings, blocks, final norm, pooler and head, found by behaviour.

The only module that knows where things are inside a pretrained model. It looks at structure and
behaviour, not at names: a skeleton of the model without weights (on torch's `meta` device) runs
once on three dummy tokens, and what is called before, in and after the stack of blocks is noted. So
every family whose blocks are one list of like modules, or an encoder's and a decoder's, is
understood without a table of names, and others are refused before any weight is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from welltuned.errors import Fault, InputError
from welltuned.models.block_stacks import (
    Block,
    Stack,
    describe_block,
    find_stacks,
    in_order,
    is_norm,
    within,
)
from welltuned.models.compat.transformers_api import MODEL_FOR_MASKED_LM_MAPPING_NAMES
from welltuned.models.skeleton_run import watch_run

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

Kind = Literal["encoder", "decoder", "encoder-decoder"]

_PEFT_DECORATION = re.compile(
    r"^base_model\.model\.|\bbase_layer\.|\bmodules_to_save\.\w+\.|\boriginal_module\."
)


@dataclass(frozen=True)
class EncoderPart:
    """The encoder of an encoder-decoder, as full module names."""

    name: str
    word_embeddings: str
    num_blocks: int
    """Its blocks are so many of the anatomy's, from the bottom; the others are the decoder's."""
    final: tuple[str, ...]
    """What follows its last block: its final norm."""
    decoder: str
    """What reads its states."""


@dataclass(frozen=True)
class Anatomy:
    """Where things are in one model, as full module names of the unwrapped model."""

    family: str
    kind: Kind
    trunk: str
    """Empty where a whole model is its own trunk."""
    word_embeddings: str
    blocks: tuple[Block, ...]
    """From the bottom; of an encoder-decoder the encoder's, then the decoder's."""
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
    shared_layers: int | None = None
    """Layers that share the weights of fewer blocks, as in ALBERT; None where each has its own."""
    encoder: EncoderPart | None = None
    """Of an encoder-decoder."""

    @property
    def num_blocks(self) -> int:
        return len(self.blocks)

    @property
    def reading(self) -> Anatomy:
        """What reads the input: of an encoder-decoder the encoder alone, with all that reads its
        states counted as head; else the whole."""
        if self.encoder is None:
            return self
        return replace(
            self,
            kind="encoder",
            trunk=self.encoder.name,
            word_embeddings=self.encoder.word_embeddings,
            blocks=self.blocks[: self.encoder.num_blocks],
            final=self.encoder.final,
            head=(self.encoder.decoder, *self.head),
            encoder=None,
        )

    @property
    def num_layers(self) -> int:
        """How many layers an input runs through one after another, the decoder's aside."""
        return self.shared_layers or self.reading.num_blocks

    def depth(self, name: str) -> int:
        """How deep a parameter lies, seen from the output.

        0: head and pooler; 1: the top block and the final norm; `num_blocks`: the
        bottom block; `num_blocks + 1`: embeddings and all else. An encoder lies below its
        decoder. Names decorated by PEFT (`base_model.model.…`, `….base_layer.…`) are understood.
        """
        plain = undecorated(name)
        for prefix, depth in self._depths:
            if plain == prefix or plain.startswith(prefix + "."):
                return depth
        return self.num_blocks + 1

    def region(self, depth: int) -> str:
        """The name of a depth for people: `head`, `block 5`, `decoder block 2`, `embeddings`."""
        if depth == 0:
            return "head"
        if depth > self.num_blocks:
            return "embeddings"
        block = self.num_blocks - depth
        if self.encoder is None:
            return f"block {block}"
        above = block - self.encoder.num_blocks
        return f"encoder block {block}" if above < 0 else f"decoder block {above}"

    @cached_property
    def _depths(self) -> tuple[tuple[str, int], ...]:
        head = [(name, 0) for name in (*self.head, *self.pooler)]
        final = [(name, 1) for name in self.final]
        if (encoder := self.encoder) is not None:
            top = self.num_blocks - encoder.num_blocks + 1
            final += [(name, top) for name in encoder.final]
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
    Raises `InputError` when the family breaks the rules this rests on: one stack of blocks, or an
    encoder's and a decoder's, as many as its config tells of.
    """
    config = skeleton.config.get_text_config()
    family = getattr(config, "model_type", type(skeleton).__name__)
    trunk: Any = skeleton.base_model
    trunk_name = "" if trunk is skeleton else skeleton.base_model_prefix
    stacks, calls, attentions = _run(trunk, config, family)
    blocks = tuple(
        describe_block(
            f"{stack.name}.{i}", block, config.hidden_size, calls, attentions, trunk_name
        )
        for stack in stacks
        for i, block in enumerate(stack.blocks)
    )
    final, pooler = _after_blocks(trunk, calls, stacks)
    head = _head(skeleton, trunk_name) if new_head else ()
    layers = stacks[-1].layers(calls)
    anatomy = Anatomy(
        family=family,
        kind=kind_of(config),
        trunk=trunk_name,
        word_embeddings=within(trunk_name, _name_of(trunk, trunk.get_input_embeddings())),
        blocks=blocks,
        final=tuple(within(trunk_name, name) for name in final),
        pooler=tuple(within(trunk_name, name) for name in pooler),
        head=head,
        hidden_size=config.hidden_size,
        max_length=_max_length(trunk, config),
        rotary=any(type(module).__name__.endswith("RotaryEmbedding") for module in trunk.modules()),
        parameters=sum(parameter.numel() for parameter in skeleton.parameters()),
        first_position=position_offset(trunk),
        linear_head=not pooler and [type(getattr(skeleton, name)) for name in head] == [nn.Linear],
        shared_layers=layers if layers > len(stacks[-1].blocks) else None,
        encoder=_encoder(trunk, trunk_name, stacks, calls) if len(stacks) > 1 else None,
    )
    return replace(anatomy, biases=_biases(skeleton, anatomy))


def _run(
    trunk: PreTrainedModel, config: PreTrainedConfig, family: str
) -> tuple[list[Stack], list[str], dict[str, tuple[int, int]]]:
    """The stacks in the order of their calls, all calls, and who attends."""
    stacks = find_stacks(trunk, 2 if is_encoder_decoder(config) else 1)
    if not stacks:
        raise _refuse(
            "model.no_blocks",
            family,
            "no stack of identical blocks was found in it",
            "use a plain transformer",
        )
    calls, attentions = watch_run(trunk)
    stacks = in_order(stacks, calls)
    found = stacks[0].layers(calls)
    if found != (expected := getattr(config, "num_hidden_layers", found)):
        raise _refuse(
            "model.blocks_differ",
            family,
            "its config tells of {layers} layers, but {found} were called",
            "use a plain transformer",
            layers=expected,
            found=found,
        )
    return stacks, calls, attentions


def _encoder(
    trunk: nn.Module, trunk_name: str, stacks: list[Stack], calls: list[str]
) -> EncoderPart:
    below, above = stacks
    module: Any = trunk.get_submodule(below.owner)
    name = within(trunk_name, below.owner)
    return EncoderPart(
        name=name,
        word_embeddings=within(name, _name_of(module, module.get_input_embeddings())),
        num_blocks=len(below.blocks),
        final=tuple(within(trunk_name, norm) for norm in below.after(calls, by_owner=True)),
        decoder=within(trunk_name, above.owner),
    )


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


def _after_blocks(
    trunk: nn.Module, calls: list[str], stacks: list[Stack]
) -> tuple[list[str], list[str]]:
    """Split what is called after the last block.

    The final norm holds vectors only, the pooler matrices. A decoder beside an encoder has no
    pooler, and what its owner does not call itself is no part of it: the output layer of a model
    that is its own trunk.
    """
    final: list[str] = []
    pooler: list[str] = []
    for name in stacks[-1].after(calls, by_owner=len(stacks) > 1):
        (final if is_norm(trunk.get_submodule(name)) else pooler).append(name)
    # The pooler is named whole (`pooler`, not `pooler.dense`), as others save and load it.
    return final, list(dict.fromkeys(name.split(".")[0] for name in pooler))


def is_encoder_decoder(config: PreTrainedConfig) -> bool:
    """Whether a family reads with one stack of blocks and writes with another, as T5 and BART."""
    return bool(getattr(config, "is_encoder_decoder", False))


def kind_of(config: PreTrainedConfig) -> Kind:
    """Whether a family reads both ways (it has a masked language model), left to right, or both
    ways by an encoder whose states a decoder reads."""
    if is_encoder_decoder(config):
        return "encoder-decoder"
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
