"""From a session to its outcome: the engine of a run, and what it is wrapped in."""

from __future__ import annotations

from collections.abc import Callable

from welltuned.config import RunConfig
from welltuned.engines import torch_loop
from welltuned.engines.job import Job, Outcome
from welltuned.engines.lbfgs import fit_by_lbfgs
from welltuned.schema.import_path import load_callable
from welltuned.training.contrast_fit import fit_by_contrast
from welltuned.training.session.session import Session


def fit(session: Session, job: Job) -> Outcome:
    """Train `job.model` in place, as the config asks for. Raises what its engine does."""
    engine = _engine(session.config)
    if session.config.strategy.contrast is not None:
        return fit_by_contrast(session, job, engine)
    return engine(job)


def _engine(config: RunConfig) -> Callable[[Job], Outcome]:
    name = config.engine
    if config.training.optim == "lbfgs":
        return fit_by_lbfgs
    if name == "hf":
        from welltuned.engines import hf_trainer  # it imports half of transformers

        return hf_trainer.fit_with_trainer
    return torch_loop.fit_with_loop if name == "torch" else load_callable(name, "engine")
