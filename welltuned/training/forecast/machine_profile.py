"""Machine profile: calibrated once, kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from welltuned.runs.environment import processor
from welltuned.runs.folder import write_atomically
from welltuned.runs.user_cache import cache_folder
from welltuned.training.forecast.calibration import calibrate_machine
from welltuned.training.forecast.prices import Machine

_VERSION = 7
"""To be raised when what is measured changes."""


def this_machine(device: torch.device) -> Machine:
    """From the cache or, the first time and after a change, measured in a second or two."""
    key = _key(device)
    found = _read(key)
    if found is None:
        found = calibrate_machine(device, key)
        keep(found)
    return found


def with_reference(
    machine: Machine, *, fixed_bytes: int, churn: float, pace: float, call: float, start: float
) -> Machine:
    """The machine with what reference runs have shown of it, kept."""
    complete = replace(
        machine,
        fixed_bytes=fixed_bytes,
        churn=churn,
        pace=pace,
        call=call,
        start=start,
        complete=True,
    )
    keep(complete)
    return complete


# --- The cache ---------------------------------------------------------------


def keep(machine: Machine, folder: Path | None = None) -> None:
    """Write a machine into the cache. Where that cannot be written, it is measured again."""
    file = (folder or cache_folder()) / _name(machine.key)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(asdict(machine), indent=2) + "\n")


def _read(key: dict[str, Any]) -> Machine | None:
    try:
        values = json.loads((cache_folder() / _name(key)).read_text(encoding="utf-8"))
        tables = {
            name: tuple((float(size), float(seconds)) for size, seconds in values[name])
            for name in ("matmul", "matmul_half")
        }
        attentions = {
            kind: {name: (a, b) for name, (a, b) in values[kind].items()}
            for kind in ("attention", "attention_half")
        }
        machine = Machine(**{**values, **tables, **attentions})
    except (OSError, ValueError, TypeError, KeyError):
        return None  # not there, or from another version
    return machine if machine.key == key else None


def _name(key: dict[str, Any]) -> str:
    digest = hashlib.blake2b(json.dumps(key, sort_keys=True).encode(), digest_size=6).hexdigest()
    return f"speed-{digest}.json"


def _key(device: torch.device) -> dict[str, Any]:
    cuda = device.type == "cuda"
    return {
        "version": _VERSION,
        "processor": torch.cuda.get_device_name(device) if cuda else processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": device.type,
    }
