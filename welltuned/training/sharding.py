"""Runs of several processes: whether all want the same, and the way back from sharded weights.

What cannot be shared is refused in `checks.py`.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from welltuned.engines import distributed
from welltuned.errors import Fault, Faults, InputError
from welltuned.models.sharding import copy_whole, is_sharded
from welltuned.runs import process_memory
from welltuned.schema.differences import differences
from welltuned.schema.secrets import masked
from welltuned.schema.units import size_text
from welltuned.training.observer import Observer
from welltuned.training.preparation.prepare import RunPlan
from welltuned.training.session.session import Session, build_model

_TWICE = 2
"""The artifact is loaded afresh beside the model."""


def require_ranks(prepared: RunPlan) -> None:
    """Raise `InputError`, in every process, where they are too few or do not want the same."""
    sharding = prepared.config.training.sharding
    if sharding is not None and distributed.processes() == 1:
        raise InputError(
            Fault(
                "training.sharding_alone",
                "'training.sharding: {sharding}' shares the weights among processes, and there is "
                "only one",
                None,
                "start several: torchrun --nproc_per_node=8 -m welltuned.cli train …; or remove it",
                sharding=sharding,
            )
        )
    faults = Faults()
    first, *others = distributed.gathered(_wanted(prepared))
    for rank, other in enumerate(others, 1):
        for key, (wanted, instead) in differences(first, other).items():
            faults.add(
                "run.ranks_disagree",
                "process {rank} was started with '{key}' = {instead}, and process 0 with {wanted}",
                None,
                "start all with the same command, files and versions",
                rank=rank,
                key=key,
                instead=repr(instead),
                wanted=repr(wanted),
            )
    faults.raise_if_any()


def _wanted(prepared: RunPlan) -> dict[str, object]:
    """All that a training follows from; the folder is the main process's to choose."""
    config = masked(prepared.config.model_dump(mode="json", exclude={"output_dir"}))
    facts = {"data": prepared.data.facts.fingerprint, "torch": str(torch.__version__)}
    return {**config, "fingerprints": facts}


def whole_again(session: Session, observer: Observer) -> Session:
    """After the last step, the session with a whole model in the main process; called by all.

    A model is a function of config and seed, so it is built once more and given all weights. It
    stays in the memory of the host where the device has no room for it and its proof.
    """
    if not is_sharded(session.model):
        return session
    if not distributed.is_main():
        copy_whole(session.model, None)
        return session
    model, _ = build_model(session.prepared, torch.device("cpu"))
    copy_whole(session.model, model)
    device, needed = session.device, sum(weight.nbytes for weight in model.parameters())
    left = process_memory.left_on(device.type) if device.type != "cpu" else None
    if left is not None and left < _TWICE * needed:
        observer.noted(
            f"the whole model ({size_text(needed)}) is saved, proved and evaluated on the CPU: the "
            f"{device.type} has no room for it"
        )
        device = torch.device("cpu")
    groups = session.config.strategy.parameter_groups(model, session.prepared.anatomy)
    return replace(session, model=model.to(device).eval(), groups=groups, device=device)
