"""Graph-guided masked attention: a text and the nodes of a graph in one row (Guo et al. 2021,
arXiv 2009.08366, section 4.3).

A row is T tokens, N nodes and padding, and a mask (B, L, L) says who attends to whom. From that
mask alone everything else follows: tokens are those who attend to the first one, which nodes never
do; a node's embedding is the mean of the word embeddings of the tokens that it attends to; tokens
are numbered as ever, and nodes stand at position 0, which families that count from a padding
number leave free.

So a model is given one tensor more, and its own forward pass stays as it is: a hook on the trunk
takes the mask in. The two-dimensional mask beside it tells of tokens alone, and whoever pools by it
passes nodes by.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from welltuned.errors import Fault, InputError
from welltuned.models.anatomy import position_offset, unwrapped
from welltuned.models.compat.transformers_api import attention_of

if TYPE_CHECKING:
    from welltuned.models.anatomy import Anatomy

GRAPH = "graph_mask"
"""The key of a batch under which models are given the mask (B, L, L, bool)."""
_NODE = 0
"""The position of every node."""
_MARK = "welltuned_reads_graphs"
_UNMASKED = ("flash", "flex")
"""What attention functions are called that take no mask of one's own."""


def graph_faults(anatomy: Anatomy) -> Iterator[Fault]:
    """Yield why a model cannot read graphs beside its tokens."""
    reason = _refusal(anatomy)
    if reason is not None:
        yield Fault(
            "task.graph_unsupported",
            "the model family '{family}' cannot read data flow beside its tokens: {reason}",
            None,
            "use a RoBERTa-like encoder such as GraphCodeBERT, CodeBERT or UniXcoder, or remove "
            "task.encoding",
            family=anatomy.family,
            reason=reason,
        )


def _refusal(anatomy: Anatomy) -> str | None:
    if anatomy.kind != "encoder":
        return "it reads from left to right, and nodes stand behind all tokens"
    if anatomy.rotary:
        return "its positions turn queries and keys, and a node has no position"
    if not all(block.attention for block in anatomy.blocks):
        return "it computes attention by itself, and takes no mask of one's own"
    if anatomy.first_position <= _NODE:
        return "it numbers tokens from 0, so that no position is left for nodes"
    return None


def read_graphs(model: nn.Module) -> None:
    """Let a model take `GRAPH` with its inputs. Asking twice changes nothing."""
    trunk: Any = unwrapped(model).base_model
    while "base_layer" in dict(trunk.named_children()):  # what a strategy has wrapped
        trunk = trunk.base_layer
    if not vars(trunk).get(_MARK):
        vars(trunk)[_MARK] = True
        trunk.register_forward_pre_hook(_take_in, with_kwargs=True)


def text_mask(mask: torch.Tensor) -> torch.Tensor:
    """Which places hold tokens (B, L): of a graph's mask, or of one as attention takes it."""
    first_BL = mask[:, 0, :, 0] if mask.ndim == 4 else mask[:, :, 0]
    return first_BL if first_BL.dtype == torch.bool else first_BL == 0


def with_tokens(mask_BLL: torch.Tensor, number: int) -> torch.Tensor:
    """The mask with so many tokens more, at the end: all tokens see them, and they see all tokens.

    (B, L + P, L + P), to be put in order by whoever knows where they stand.
    """
    tokens_BL = text_mask(mask_BLL)
    sees_BLP = tokens_BL[:, :, None].expand(-1, -1, number)
    new_BPP = sees_BLP.new_ones(mask_BLL.shape[0], number, number)  # traced, unlike len
    upper = torch.cat([mask_BLL, sees_BLP], dim=2)
    return torch.cat([upper, torch.cat([sees_BLP.transpose(1, 2), new_BPP], dim=2)], dim=1)


def _take_in(trunk: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Turn the mask of a graph into what the trunk's own forward pass takes."""
    if kwargs.get(GRAPH) is None:
        return None
    given = {**dict(zip(inspect.signature(trunk.forward).parameters, args, strict=False)), **kwargs}
    mask_BLL, ids_BL = given.pop(GRAPH), given.pop("input_ids", None)
    words_BLH = given.get("inputs_embeds")
    if words_BLH is None:
        words_BLH = trunk.get_input_embeddings()(ids_BL)
    tokens_BL = text_mask(mask_BLL)
    stands_for_BLL = mask_BLL & tokens_BL[:, None, :]
    nodes_BL = ~tokens_BL & stands_for_BLL.any(dim=2)
    given["inputs_embeds"] = _with_nodes(words_BLH, nodes_BL, stands_for_BLL)
    given["position_ids"] = _positions(tokens_BL, nodes_BL, position_offset(trunk))
    given["attention_mask"] = _as_attention_takes_it(trunk, mask_BLL, words_BLH.dtype)
    return (), given


def _with_nodes(
    words_BLH: torch.Tensor, nodes_BL: torch.Tensor, stands_for_BLL: torch.Tensor
) -> torch.Tensor:
    """Word embeddings, and for each node the mean of those that it stands for."""
    weights_BLL = stands_for_BLL.to(words_BLH.dtype)
    counts_BL1 = weights_BLL.sum(dim=2, keepdim=True).clamp(min=1)
    means_BLH = (weights_BLL / counts_BL1) @ words_BLH
    return torch.where(nodes_BL[:, :, None], means_BLH.to(words_BLH.dtype), words_BLH)


def _positions(tokens_BL: torch.Tensor, nodes_BL: torch.Tensor, first: int) -> torch.Tensor:
    """Tokens from `first` on, nodes at 0, padding at the number below `first`."""
    counted_BL = tokens_BL.long().cumsum(dim=1) * tokens_BL + (first - 1)
    return counted_BL.masked_fill(nodes_BL, _NODE)


def _as_attention_takes_it(trunk: Any, mask_BLL: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The mask (B, 1, L, L): to be added in eager attention, where True would add 1 to a score."""
    name = str(attention_of(trunk))
    if name.startswith(_UNMASKED):
        raise InputError(
            Fault(
                "task.graph_needs_mask",
                "attention by '{name}' takes no mask of one's own, which data flow needs",
                None,
                "load the model with sdpa or eager attention",
                name=name,
            )
        )
    mask_B1LL = mask_BLL[:, None]
    if name != "eager":
        return mask_B1LL
    hidden = torch.zeros_like(mask_B1LL, dtype=dtype)
    return hidden.masked_fill(~mask_B1LL, torch.finfo(dtype).min)
