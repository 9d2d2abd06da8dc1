"""The optimizer of a run: as configured, else L-BFGS where a linear head is all that trains, else
AdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING

from welltuned.config import RunConfig
from welltuned.engines import distributed
from welltuned.engines.config import TrainingConfig
from welltuned.errors import Faults
from welltuned.tasks import Problem
from welltuned.training.preparation.defaults import Choice

if TYPE_CHECKING:
    from welltuned.models.anatomy import Anatomy

_OF_STEPS = (
    "learning_rate", "max_steps", "lr_scheduler_type", "warmup_ratio", "weight_decay",
    "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "early_stopping_patience",
)  # fmt: skip
"""Keys that only AdamW's steps heed. Who sets one asks for them."""
_MOST_BYTES = 2**31
"""Of what the head reads of all training examples together."""
_WITHOUT = "epochs, learning rate and batch sizes do not apply"


def check_optim(
    config: RunConfig, problem: Problem, anatomy: Anatomy, examples: int, faults: Faults
) -> None:
    """Record why the optimizer that is asked for cannot be had, or cannot train what is to be."""
    if config.training.optim != "lbfgs":
        from welltuned.training.preparation.optimizer_trial import check_optimizer

        check_optimizer(config.training, faults)
        return
    why = _refusal(config, problem, anatomy, examples)
    if why is not None:
        faults.add(
            "training.lbfgs_unsupported",
            "'training.optim: lbfgs' finds the optimum of a linear head on a frozen model, but "
            "{reason}",
            None,
            "set training.optim to auto",
            reason=why,
        )


def choose_optim(
    training: TrainingConfig, config: RunConfig, problem: Problem, anatomy: Anatomy, examples: int
) -> Choice[str] | None:
    """What `optim` becomes, where L-BFGS is possible; `training` as it was written."""
    if _refusal(config, problem, anatomy, examples) is not None:
        return None
    if training.optim == "lbfgs":
        return Choice("optim", "lbfgs", f"as configured; {_WITHOUT}")
    if training.optim != "auto":
        return None
    fields = TrainingConfig.model_fields
    asked = [name for name in _OF_STEPS if getattr(training, name) != fields[name].default]
    if asked:
        return Choice("optim", "adamw", f"training.{asked[0]} is set; lbfgs has no use for it")
    return Choice("optim", "lbfgs", f"the optimum of a linear head: {_WITHOUT}")


def optim_of(training: TrainingConfig, chosen: Choice[str] | None) -> str:
    """The optimizer by name: what `choose_optim` has chosen, what was asked for, or AdamW."""
    if chosen is not None:
        return chosen.value
    return "adamw" if training.optim in ("auto", "lbfgs") else training.optim


def _refusal(config: RunConfig, problem: Problem, anatomy: Anatomy, examples: int) -> str | None:
    """Why there is no optimum to be found at once; None where there is."""
    if not config.strategy.trains_head_alone:
        return f"strategy '{config.strategy.type}' trains more than that"
    if not anatomy.linear_head:
        return "this head is more than one linear layer"
    if not problem.objective.reads_logits:
        return f"the loss of the task '{problem.title}' is not of one label at a time"
    if not problem.objective.is_convex:
        return "its loss has more than one"
    if config.protection or config.training.callbacks or config.training.trainer:
        return "protections, callbacks and trackers wait for steps"
    if "." in config.engine:
        return "the engine is your own"
    if distributed.processes() > 1:
        return "there are several processes"
    if 8 * examples * anatomy.hidden_size > _MOST_BYTES:
        return "what it reads of so many examples would take more than 2 GiB"
    return None
