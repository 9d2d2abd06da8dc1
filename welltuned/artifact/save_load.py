"""Saving and loading an artifact: what the plain libraries need, and what we add.

model/  config.json + model.safetensors, or adapter_config.json + adapter_model.safetensors
        config.json of the head in both cases, so that label names travel along
        the tokenizer's files
        modeling_pooled.py        where the head pools in its own way
        welltuned.json            the task's state
        README.md                 how to load it
        SHA256SUMS                of all files but README.md, checked whenever it is loaded
"""

from __future__ import annotations

import json
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from welltuned.artifact.manifest import CARD, ArtifactManifest, Precision, is_adapter
from welltuned.errors import Fault, Faults, InputError, Place, RunFailed, WelltunedError
from welltuned.models import cpu_attention
from welltuned.models.adapters import find_adapter
from welltuned.models.anatomy import examine_anatomy
from welltuned.models.checkpoint_files import check_files
from welltuned.models.checksums import checking_sums, weights_fingerprint, write_sums
from welltuned.models.loading import Head, build_skeleton, read_weights, refuse_own_code
from welltuned.models.quantization import quantization_faults, quantize_base
from welltuned.models.silence import quiet
from welltuned.runs.disk import writing
from welltuned.schema.import_path import imports_allowed

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.config import ModelConfig, Quantization
    from welltuned.strategies import Strategy
    from welltuned.tasks import Problem

_MODELLING_FILE = Path(__file__).parents[1] / "models" / "modeling_pooled.py"


@dataclass(frozen=True)
class Artifact:
    """A tuned model in memory, and all that is saved with it."""

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    config: PreTrainedConfig
    """Of the model with its head, so that label names travel along."""
    manifest: ArtifactManifest

    @property
    def problem(self) -> Problem:
        return self.manifest.problem

    @property
    def max_length(self) -> int:
        return self.manifest.max_length

    @property
    def precision(self) -> Precision:
        return self.manifest.precision

    def merged_for_inference(self) -> AbstractContextManager[None]:
        """Context in which text is generated with less work; see `Strategy`."""
        return self.manifest.strategy.merged_for_inference(self.model)

    def merged(self) -> Artifact:
        """With an adapter merged into the weights, where these can hold it."""
        strategy = self.manifest.strategy
        if strategy.saves_whole_model or strategy.merge_refusal:
            return self
        from welltuned.models.merged_weights import can_be_merged

        return (
            replace(self, model=strategy.merge(self.model)) if can_be_merged(self.model) else self
        )


def save_artifact(artifact: Artifact, folder: Path) -> int:
    """Write the folder; returns its size in bytes.

    Raises `RunFailed` where there is no room; nothing of it stays then.
    """
    whole = artifact.manifest.strategy.saves_whole_model
    weights = (w for w in artifact.model.parameters() if whole or w.requires_grad)
    with writing(folder, sum(weight.nbytes for weight in weights), half=folder):
        folder.mkdir(parents=True, exist_ok=True)
        _write(artifact, folder)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _write(artifact: Artifact, folder: Path) -> None:
    model, config, manifest = artifact.model, artifact.config, artifact.manifest
    strategy: Strategy = manifest.strategy
    pooled = config.model_type == "welltuned-pooled"
    if pooled:
        config.auto_map = {
            "AutoConfig": "modeling_pooled.PooledConfig",
            "AutoModelForSequenceClassification": "modeling_pooled.PooledForSequenceClassification",
        }
        model.config.auto_map = config.auto_map  # type: ignore[union-attr]
        shutil.copyfile(_MODELLING_FILE, folder / "modeling_pooled.py")
    with quiet():
        strategy.save(model, folder)
    if not (folder / "config.json").exists():
        config.save_pretrained(folder)
    artifact.tokenizer.save_pretrained(folder)
    manifest.write(folder)
    card = _card(manifest, pooled, is_adapter(folder))
    (folder / CARD).write_text(card, encoding="utf-8")
    write_sums(folder, without=CARD)


def load_artifact(
    folder: Path,
    device: torch.device | None = None,
    trusted: bool = False,
    quantized: bool = True,
    quantization: Quantization | None = None,
) -> Artifact:
    """Load the folder through transformers and PEFT.

    The base of an adapter is quantised as it was when the adapter was trained, or as
    `quantization` says; unless that is told off: then the adapter can be merged.

    Code that comes with the model runs where its base was loaded with such code and whoever loads
    it has `trusted` it, or allows imports. Raises `InputError` when the folder is not one of ours,
    not as it was saved, or its base model is not as it was.
    """
    from transformers import AutoTokenizer

    manifest = ArtifactManifest.read(folder)
    if quantization is not None:
        base = manifest.base.model_copy(update={"quantization": quantization})
        manifest = replace(manifest, base=base)
    _require_files(folder, manifest)
    trust = manifest.base.trust_remote_code and (trusted or imports_allowed())
    try:
        with quiet(), checking_sums(folder):
            where = device or torch.device("cpu")
            model = _load_model(folder, manifest, trust, where if quantized else None)
            cpu_attention.use_in(model)
            manifest.problem.codec.fit_model(model)
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust)
    except WelltunedError:
        raise
    except Exception as error:  # whatever damaged files make their readers say
        refuse_own_code(error, str(folder))
        raise InputError(
            Fault(
                "artifact.unreadable",
                "the model cannot be loaded: {reason}",
                Place(str(folder)),
                "copy the folder again from where it is whole, or train again",
                reason=(str(error).splitlines() or [type(error).__name__])[0],
            )
        ) from error
    _require_finite(model, folder)
    model.eval()
    if device is not None:
        model.to(device)
    return Artifact(model, tokenizer, model.config, manifest)


def _require_files(folder: Path, manifest: ArtifactManifest) -> None:
    """Raise `InputError` with every file that is missing or damaged."""
    faults = Faults()
    for name in manifest.files:
        if not (folder / name).exists():
            faults.add(
                "artifact.file_missing",
                "the file is missing, though the model was saved with it",
                Place(str(folder / name)),
                "copy the folder again from where it is whole, or train again",
            )
    faults.raise_if_any()
    check_files(folder)


def _require_finite(model: nn.Module, folder: Path) -> None:
    """Raise `RunFailed` where weights are no numbers: every answer would be none either."""
    for name, parameter in model.named_parameters():
        # A sum is not finite if one number is not, and is read ten times as fast.
        if not bool(parameter.sum().isfinite()) and not bool(parameter.isfinite().all()):
            raise RunFailed(
                Fault(
                    "artifact.weights_not_finite",
                    "the weights '{name}' are not finite, so no answer can be given",
                    Place(str(folder)),
                    "copy the folder again from where it is whole, or train again with a lower "
                    "training.learning_rate",
                    name=name,
                )
            )


def _load_model(
    folder: Path, manifest: ArtifactManifest, trust: bool, quantized_on: torch.device | None
) -> Any:
    """The model by nothing but the plain libraries' own loaders.

    A base that was quantised is so again, on the device that will compute with it.
    """
    import transformers

    auto_class = getattr(transformers, manifest.problem.auto_class)
    if not is_adapter(folder):
        model, report = auto_class.from_pretrained(
            folder, output_loading_info=True, use_safetensors=True, trust_remote_code=trust
        )
        _require_complete(report, folder)
        return model
    from peft import PeftModel

    base = manifest.base
    if (location := Path(manifest.base_location(folder))).is_dir():
        check_files(location)
    try:
        own = {"name": str(location), "gguf_file": None, "trust_remote_code": trust}
        there = base.model_copy(update=own)
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=trust)
        model, _ = read_weights(there, auto_class, config)
    except OSError as error:
        raise InputError(
            Fault(
                "artifact.base_unreadable",
                "cannot read the base model '{name}': {reason}",
                Place(str(folder)),
                "an adapter needs the base model it was trained on; restore it",
                name=base.name,
                reason=str(error).splitlines()[0],
            )
        ) from error
    if weights_fingerprint(model, manifest.origin.new) != manifest.origin.fingerprint:
        raise InputError(
            Fault(
                "artifact.base_changed",
                "the base model '{name}' is not the one this adapter was trained on: "
                "its weights differ",
                Place(str(folder)),
                "restore the base model it was trained with",
                name=base.name,
            )
        )
    if quantized_on is not None:
        head = Head(auto_class, config, manifest.problem.has_new_head)
        _quantize_as_trained(model, head, manifest.base, quantized_on)
    return PeftModel.from_pretrained(model, str(folder))


def _quantize_as_trained(model: Any, head: Head, base: ModelConfig, device: torch.device) -> None:
    """Raise `InputError` where that cannot be done here."""
    if base.quantization is None:
        return
    anatomy = examine_anatomy(build_skeleton(head), head.new)
    if faults := list(quantization_faults(base, anatomy, device.type)):
        raise InputError(faults)
    quantize_base(model, base, anatomy, device)


def _require_complete(report: Any, folder: Path) -> None:
    """Raise `InputError` where weights are missing, which would be drawn at random."""
    lacking = sorted(map(str, report["missing_keys"]))
    if lacking:
        raise InputError(
            Fault(
                "artifact.weights_missing",
                "{number} weights are missing from the files, '{first}' among them",
                Place(str(folder)),
                "copy the folder again from where it is whole, or train again",
                number=len(lacking),
                first=lacking[0],
            )
        )


def _card(manifest: ArtifactManifest, pooled: bool, adapter: bool) -> str:
    """How to load the folder, as Markdown."""
    strategy, base, problem = manifest.strategy, manifest.base, manifest.problem
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
    if strategy.needs_import or (adapter and pooled):
        lines += ["import welltuned  # registers the method and the head"]
    if adapter:
        lines += ["from peft import PeftModel"]
    auto_class = problem.auto_class
    lines += [f"from transformers import AutoConfig, {auto_class}", ""]
    trust = ", trust_remote_code=True" if pooled and not adapter else ""
    if adapter:
        lines += _lines_of_adapter(base, auto_class)
    else:
        lines += [f'model = {auto_class}.from_pretrained("THIS_FOLDER"{trust})']
    if rule := problem.scorer.decision_rule:
        lines += ["```", "", "What `predict` makes of the logits, and the plain libraries do not:"]
        lines += ["", "```json", *json.dumps(rule, indent=2, ensure_ascii=False).splitlines()]
    return "\n".join([*lines, "```", ""])


def _lines_of_adapter(base: ModelConfig, auto_class: str) -> list[str]:
    """Python that loads an adapter's base, and the adapter into it."""
    location, first, options = base.location, [], "config=config, ignore_mismatched_sizes=True"
    if (file := base.gguf) is not None:
        location, options = str(file.parent), f'gguf_file="{file.name}", {options}'
    elif find_adapter(location):  # transformers would not merge it
        location = "MERGED_BASE"
        first = [f"# first: welltuned export {base.name} to=plain out=MERGED_BASE"]
    return [
        *first,
        'config = AutoConfig.from_pretrained("THIS_FOLDER")',
        f"base = {auto_class}.from_pretrained(",
        f'    "{location}", {options}',
        ")",
        'model = PeftModel.from_pretrained(base, "THIS_FOLDER")',
    ]
