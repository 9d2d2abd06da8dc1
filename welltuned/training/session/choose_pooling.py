"""The pooling of a run that leaves it open, before its model is loaded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from welltuned.models import loading
from welltuned.training.observer import Observer
from welltuned.training.preparation.prepare import RunPlan


def resolve_pooling(prepared: RunPlan, observer: Observer) -> RunPlan:
    """Decide `pooling: auto`: as the model was trained, else by a probe on training texts."""
    from welltuned.models.pooling import PROBED, probe_poolings  # brings scikit-learn

    task = prepared.config.task
    if task.pooling != "auto":
        return prepared
    own = prepared.model.own_pooling
    pooling, reason = (own.pooling, own.reason) if own else (None, "usual for the task")
    if pooling is None:
        pooling = prepared.problem.objective.usual_pooling(prepared.anatomy.kind)
    if pooling is None:
        observer.working("choosing the pooling", 0, 1)
        model = loading.load_model(
            prepared.config.model, prepared.head, prepared.anatomy, prepared.config.training.seed
        ).model
        examples = prepared.examples["train"]
        chosen = np.random.default_rng(0).permutation(len(examples))[:PROBED]
        assert examples.targets is not None
        choice = probe_poolings(
            model.base_model,
            prepared.anatomy.kind,
            [examples.encoded[examples.rows_of([int(i)])[0]] for i in chosen],
            examples.targets[chosen],
            examples.targets.dtype == np.float32 and examples.targets.ndim == 1,
            prepared.pad_id,
        )
        pooling, reason = choice.pooling, choice.reason
        observer.working("choosing the pooling", 1, 1)
    observer.noted(f"the head reads {_READS[str(pooling)]} ({reason})")
    model_plan = prepared.model.with_pooling(prepared.problem, str(pooling))
    config = prepared.config.model_copy(
        update={"task": task.model_copy(update={"pooling": pooling})}
    )
    return replace(prepared, config=config, model=model_plan)


_READS = {
    "mean": "the mean of all tokens",
    "first": "the first token",
    "last": "the last token",
    "model": "what the model's own classifier reads",
}
