"""Saving and loading an artifact: what the plain libraries need, and what we add.

model/  config.json + model.safetensors, or adapter_config.json + adapter_model.safetensors
        config.json of the head in both cases, so that label names travel along
        the tokenizer's files
        modeling_pooled.py        where the head pools in its own way
        welltuned.json            what the task must remember
        README.md                 how to load it
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from welltuned.errors import Fault, InputError, Place
from welltuned.models.loading import ModelConfig, quiet
from welltuned.tasks import Problem, restore_problem

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from welltuned.models.loading import Head
    from welltuned.strategies import Strategy


@dataclass(frozen=True)
class Origin:
    """Which weights a model started from."""

    fingerprint: str
    new: tuple[str, ...]
    """Weights the checkpoint did not have; they are not part of the fingerprint."""


_MODELLING_FILE = Path(__file__).parents[1] / "models" / "modeling_pooled.py"


@dataclass(frozen=True)
class Artifact:
    """A tuned model, loaded."""

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    problem: Problem
    max_length: int
    precision: str
    """What it computes in: `fp32`, or `bf16` where the base model is in half precision."""


def save_artifact(
    folder: Path,
    model: nn.Module,
    strategy: Strategy,
    tokenizer: PreTrainedTokenizerBase,
    problem: Problem,
    head: Head,
    base: ModelConfig,
    origin: Origin,
    max_length: int,
    precision: str,
) -> int:
    """Write the folder; returns its size in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    pooled = head.config.model_type == "welltuned-pooled"
    if pooled:
        head.config.auto_map = {
            "AutoConfig": "modeling_pooled.PooledConfig",
            "AutoModelForSequenceClassification": "modeling_pooled.PooledForSequenceClassification",
        }
        model.config.auto_map = head.config.auto_map  # type: ignore[union-attr]
        shutil.copyfile(_MODELLING_FILE, folder / "modeling_pooled.py")
    with quiet():
        strategy.save(model, folder)
    if not (folder / "config.json").exists():
        head.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    memory = {
        "schema_version": 1,
        "task": problem.to_dict(),
        "strategy": strategy.type,
        "max_length": max_length,
        "precision": precision,
        "base": {**base.model_dump(), **asdict(origin), "beside": _beside(base, folder)},
    }
    (folder / "welltuned.json").write_text(
        json.dumps(memory, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "README.md").write_text(
        _card(strategy, base, problem, pooled, (folder / "adapter_config.json").exists()),
        encoding="utf-8",
    )
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def load_artifact(folder: Path, device: Any = None) -> Artifact:
    """Load the folder through transformers and PEFT.

    Raises `InputError` when it is not one of ours.
    """
    from transformers import AutoTokenizer

    if not (folder / "welltuned.json").exists():
        raise InputError(
            Fault(
                "the folder holds no tuned model (it has no welltuned.json)",
                Place(str(folder)),
                "give a run or its model folder",
            )
        )
    memory = json.loads((folder / "welltuned.json").read_text(encoding="utf-8"))
    problem = restore_problem(memory["task"])
    with quiet():
        model = _load_model(folder, memory, problem.auto_class)
    model.eval()
    if device is not None:
        model.to(device)
    return Artifact(
        model,
        AutoTokenizer.from_pretrained(folder),
        problem,
        memory["max_length"],
        memory["precision"],
    )


def _load_model(folder: Path, memory: dict[str, Any], auto_class_name: str) -> Any:
    """The model by nothing but the plain libraries' own loaders."""
    import transformers

    auto_class = getattr(transformers, auto_class_name)
    if (folder / "adapter_config.json").exists():
        from peft import PeftModel

        config = transformers.AutoConfig.from_pretrained(folder)
        base = ModelConfig.model_validate(
            {key: memory["base"][key] for key in ModelConfig.model_fields}
        )
        try:
            model = auto_class.from_pretrained(
                _location(base, memory["base"].get("beside"), folder),
                config=config,
                dtype=base.dtype,
                revision=base.revision,
            )
        except OSError as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                Fault(
                    f"the base model '{base.name}' cannot be read: {reason}",
                    Place(str(folder)),
                    "an adapter needs the base model it was trained on; put it back",
                )
            ) from error
        _require_same_base(model, memory["base"], folder)
        return PeftModel.from_pretrained(model, str(folder))
    return auto_class.from_pretrained(folder)


def _beside(base: ModelConfig, folder: Path) -> str | None:
    """Where a base model's folder is as seen from the artifact, so that both can be moved."""
    path = Path(base.name).expanduser()
    return os.path.relpath(path, folder) if path.is_dir() else None


def _location(base: ModelConfig, beside: str | None, folder: Path) -> str:
    """The base model's folder or hub name; the folder beside where it is gone from its place."""
    path = Path(base.location).expanduser()
    if beside is not None and not path.exists() and (folder / beside).exists():
        path = folder / beside
    return str(path)


def _require_same_base(model: Any, base: dict[str, Any], folder: Path) -> None:
    from welltuned.models.loading import weights_fingerprint

    if weights_fingerprint(model, base["new"]) != base["fingerprint"]:
        raise InputError(
            Fault(
                f"the base model '{base['name']}' is not the one this adapter was trained on: "
                "its weights differ",
                Place(str(folder)),
                "restore the base model it was trained with",
            )
        )


def _card(
    strategy: Strategy, base: ModelConfig, problem: Problem, pooled: bool, adapter: bool
) -> str:
    """How to load the folder, as Markdown."""
    lines = [
        f"# A model for {problem.title}",
        "",
        f"Tuned from `{base.name}` by `{strategy.type}` with welltuned.",
        "",
        "```python",
    ]
    lines += [
        "import welltuned as wt",
        "",
        f'wt.load("THIS_FOLDER").{problem.usage}',
        "```",
        "",
        "With the plain libraries:",
        "",
        "```python",
    ]
    ours = strategy.type in ("prompt", "prefix", "adapter")
    if ours or (adapter and pooled):
        lines += ["import welltuned  # registers the method and the head"]
    if adapter:
        lines += ["from peft import PeftModel"]
    auto_class = problem.auto_class
    lines += [f"from transformers import AutoConfig, {auto_class}", ""]
    trust = ", trust_remote_code=True" if pooled and not adapter else ""
    if adapter:
        lines += ['config = AutoConfig.from_pretrained("THIS_FOLDER")']
        lines += [f'base = {auto_class}.from_pretrained("{base.location}", config=config)']
        lines += ['model = PeftModel.from_pretrained(base, "THIS_FOLDER")']
    else:
        lines += [f'model = {auto_class}.from_pretrained("THIS_FOLDER"{trust})']
    return "\n".join([*lines, "```", ""])
