"""Going back to the weights with the best validation score, once training is over."""

from __future__ import annotations

from torch import nn

from welltuned.engines.snapshot import restore_weights
from welltuned.runs import Run
from welltuned.runs.checkpoints import SNAPSHOTS, BestWeights, load_checkpoint


def restore_best(model: nn.Module, run: Run, step: int | None) -> str | None:
    """Put them back where they were kept. Returns what is to be told of it.

    Where those of `step`, the best one, are damaged, the newest that are whole take their place.
    """
    folder = BestWeights(run.checkpoints, SNAPSHOTS).settle(step)
    if folder is None:
        return None
    weights, state = load_checkpoint(folder)
    restore_weights(dict(model.named_parameters()), weights)
    if step not in (None, state["step"]):
        return (
            f"the best weights, of step {step}, are damaged; those of step {state['step']} are kept"
        )
    return f"the best validation score was at step {state['step']}; its weights are kept"
