"""Before the first step a head that looks linear is tried: whether it is all there is to fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from welltuned.engines.linear_head import LinearHead, head_refusal
from welltuned.training.observer import Observer

if TYPE_CHECKING:
    from welltuned.training.session.session import LoadedModel


def try_head(loaded: LoadedModel, observer: Observer) -> LoadedModel:
    """Go back to AdamW where a head that looked linear turns out to be more."""
    if loaded.config.training.optim != "lbfgs":
        return loaded
    why = head_refusal(loaded.job(), LinearHead(loaded.model, loaded.prepared.anatomy))
    if why is None:
        return loaded
    observer.noted(f"optim = adamw, for L-BFGS cannot train this head: {why}")
    training = loaded.config.training.model_copy(update={"optim": "adamw"})
    config = loaded.config.model_copy(update={"training": training})
    return replace(loaded, prepared=replace(loaded.prepared, config=config))
