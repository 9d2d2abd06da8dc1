"""A model folder for others to start from: the adapted trunk, and all else that the base came with.

A language model is saved without what it does not use: a pooler, and the files that say how a
sentence encoder pools. Who starts from it shall find them where they were.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save_file
from transformers import AutoModel

from welltuned.artifact.manifest import CARD
from welltuned.models.checksums import SUMS
from welltuned.models.compat.transformers_api import file_of_model
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_model_config, read_weights
from welltuned.models.silence import quiet
from welltuned.runs.folder import MANIFEST

if TYPE_CHECKING:
    import torch

_OURS = (MANIFEST, CARD, SUMS)
_OF_SENTENCES = (("", "modules.json"), ("1_Pooling", "config.json"))
"""What tells how a sentence encoder pools: (folder, file)."""
_WEIGHTS = "model.safetensors"


def copy_plainly(tuned: Path, base: ModelConfig, target: Path) -> None:
    """Write the folder `target` from an artifact's folder and the model that it was tuned from."""
    target.mkdir(parents=True)
    for file in sorted(tuned.iterdir()):
        if file.is_file() and file.name not in _OURS:
            shutil.copy2(file, target / file.name)
    location = str(Path(base.location).expanduser())
    for folder, name in _OF_SENTENCES:
        found = file_of_model(location, name, folder, base.revision)
        if found is not None:
            (target / folder).mkdir(exist_ok=True)
            shutil.copy2(found, target / folder / name)
    if (target / _WEIGHTS).exists():  # in several files are those of large decoders
        _add_unused(base, target / _WEIGHTS)


def _add_unused(base: ModelConfig, file: Path) -> None:
    """Add weights of the base's trunk that the language model has no place for."""
    held = load_file(file)
    missing = {name: weight for name, weight in _trunk(base).items() if name not in held}
    if missing:
        save_file({**held, **missing}, file, metadata={"format": "pt"})


def _trunk(base: ModelConfig) -> Mapping[str, torch.Tensor]:
    """The pooler of the base, by its name within a language model; nothing where it has none."""
    with quiet():
        trunk, report = read_weights(base, AutoModel, read_model_config(base))
    found = {name for name in trunk.state_dict() if name.startswith("pooler.")}
    kept = found - {*report["missing_keys"]}
    prefix = trunk.base_model_prefix
    return {f"{prefix}.{name}": trunk.state_dict()[name].clone() for name in sorted(kept)}
