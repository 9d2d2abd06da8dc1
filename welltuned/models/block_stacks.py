"""Blocks of a trunk, and the stacks they stand in: one list, or an encoder's and a decoder's.

For `anatomy.py`. Nothing is asked by name: the longest lists of like modules are the stacks, and of
two the one that is called first is the encoder's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from welltuned.models.compat.transformers_api import Conv1D


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


@dataclass(frozen=True, eq=False)
class Stack:
    """Blocks that are called one after another, the bottom one first."""

    name: str
    """Of the list, within the trunk."""
    blocks: nn.ModuleList

    @property
    def owner(self) -> str:
        """The module that the list belongs to: of two stacks, the encoder or the decoder."""
        return self.name.rpartition(".")[0]

    def called(self, calls: Sequence[str]) -> list[int]:
        """When, among all calls, something inside its blocks is called."""
        return [i for i, call in enumerate(calls) if call.startswith(f"{self.name}.")]

    def layers(self, calls: Sequence[str]) -> int:
        """How often its blocks are called; more often than there are where layers share weights."""
        number = 0
        for i in range(len(self.blocks)):
            inside = Counter(call for call in calls if call.startswith(f"{self.name}.{i}."))
            number += min(inside.values(), default=0)
        return number

    def after(self, calls: Sequence[str], by_owner: bool) -> list[str]:
        """What is called after the last block, in order: all of it, or what its owner calls."""
        later = calls[max(self.called(calls)) + 1 :]
        prefix = f"{self.owner}." if by_owner else ""
        return [call for call in dict.fromkeys(later) if call.startswith(prefix)]


def find_stacks(trunk: nn.Module, most: int) -> list[Stack]:
    """The longest lists of like modules, `most` at most, in the order they stand in.

    Lists inside lists (experts, say) do not count.
    """
    outermost: dict[str, nn.ModuleList] = {}
    for name, module in trunk.named_modules():
        if isinstance(module, nn.ModuleList) and not any(
            name.startswith(f"{outer}.") for outer in outermost
        ):
            outermost[name] = module
    stacks = [
        Stack(name, blocks)
        for name, blocks in outermost.items()
        if len({type(block) for block in blocks}) == 1
    ]
    longest = sorted(stacks, key=lambda stack: -len(stack.blocks))[:most]
    return [stack for stack in stacks if stack in longest]


def in_order(stacks: Sequence[Stack], calls: Sequence[str]) -> list[Stack]:
    """Those that are called, the first one first."""
    called = [(stack.called(calls), stack) for stack in stacks]
    return [stack for times, stack in sorted(called, key=lambda pair: pair[0][:1]) if times]


# --- What is in a block ---------------------------------------------------------


def describe_block(
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
    full = [within(trunk, linear) for linear in linears]
    return Block(
        name=within(trunk, name),
        linears=tuple(full),
        attention=within(trunk, attention) if attention else None,
        attention_output=full[writers[-2]] if known else None,
        feed_forward_input=full[writers[-2] + 1] if known else None,
        feed_forward_output=full[writers[-1]] if known else None,
        norms=tuple(
            within(trunk, call)
            for call in dict.fromkeys(calls)
            if call.startswith(f"{name}.") and is_norm(block.get_submodule(call[len(name) + 1 :]))
        ),
        key_shape=attentions[attention] if attention else (0, 0),
        shapes=tuple(shapes[linear] for linear in linears),
    )


def is_norm(module: nn.Module) -> bool:
    """Whether all a module's own weights are vectors."""
    return all(parameter.ndim == 1 for parameter in module.parameters(recurse=False))


def _linears(block: nn.Module) -> Iterator[tuple[str, tuple[int, int]]]:
    """The linear layers of a block, and how many features each reads and writes."""
    for name, module in block.named_modules():
        if isinstance(module, nn.Linear):
            yield name, (module.in_features, module.out_features)
        elif isinstance(module, Conv1D):
            yield name, (module.weight.shape[0], module.weight.shape[1])


def within(module: str, name: str) -> str:
    """The full name of what a module calls `name`; that module may be the whole model."""
    return f"{module}.{name}" if module else name
