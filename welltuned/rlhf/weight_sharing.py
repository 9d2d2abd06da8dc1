"""Weight sharing between the roles of RL, and what each role weighs."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from welltuned.models.freezing import hash_weights
from welltuned.models.quantization import held_tensors
from welltuned.rlhf.learner import Learner


def share_weights(keeper: nn.Module, others: Iterable[nn.Module]) -> int:
    """Let frozen weights of others that equal a frozen one of `keeper`, bit for bit, be that one.

    A judge tuned from the policy's own backbone then costs its adapter and head alone.
    Returns the bytes that are no longer needed.
    """
    frozen = [
        (name, weight) for name, weight in keeper.named_parameters() if not weight.requires_grad
    ]
    named = dict(frozen)
    by_hash = {digest: named[name] for name, digest in hash_weights(frozen).items()}
    saved = 0
    for other in others:
        theirs = dict(other.named_parameters())
        for name, digest in hash_weights(theirs.items()).items():
            same = by_hash.get(digest)
            if same is None or same.data_ptr() == theirs[name].data_ptr():
                continue
            if (same.shape, same.dtype) == (theirs[name].shape, theirs[name].dtype):
                saved += theirs[name].nbytes
                theirs[name].requires_grad_(False).data = same.data
    return saved


def roles(learner: Learner, judges: Iterable[object]) -> dict[str, int]:
    """Bytes by role; memory that two of them share counts for the first."""
    actor, seen = learner.actor, set[int]()
    trained = sum(weight.nbytes for group in learner.groups for weight in group.parameters)
    return {
        "policy": _bytes(actor.model, seen),
        "gradients and optimizer": 3 * trained,
        "reference": actor.reference.bytes,
        **({"value": _bytes(actor.value, seen)} if actor.has_values else {}),
        "reward": sum(_bytes(model, seen) for model in judges if isinstance(model, nn.Module)),
    }


def _bytes(module: nn.Module, seen: set[int]) -> int:
    """Of weights and buffers whose memory was not seen before."""
    total = 0
    for tensor in held_tensors(module):
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            total += tensor.nbytes
    return total
