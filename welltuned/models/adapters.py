"""Adapters as models to start from: a PEFT folder, merged into the base model that it names.

The folder may be an artifact of ours, whose manifest tells the base exactly, or one that PEFT has
saved anywhere else. An adapter that computes what no weight can hold, such as prompts and
bottlenecks, is refused before any weight is loaded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from welltuned.errors import Fault, InputError, Place
from welltuned.models.checksums import check_sums
from welltuned.models.locations import locate
from welltuned.runs.folder import MANIFEST

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_CLASSES = {
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
}
_OURS = {**_CLASSES, "FEATURE_EXTRACTION": "AutoModelForMaskedLM"}
"""In adapters of ours. PEFT has no name for models of hidden words, and takes them for these."""
"""What an adapter was put into, by what PEFT calls its task."""


@dataclass(frozen=True)
class AdapterFolder:
    """A folder with an adapter, and the base model that it belongs to."""

    folder: Path
    settings: dict[str, Any]
    """Its `adapter_config.json`."""
    base: str
    """The base model's folder or hub name."""
    origin: dict[str, Any]
    """What a manifest of ours tells of the base; empty without one."""

    @property
    def revision(self) -> str | None:
        """The base model's revision on the hub."""
        return self.origin.get("revision") or self.settings.get("revision")

    @property
    def class_name(self) -> str:
        """The class of transformers, or its auto class, that the adapter was put into."""
        mapping = self.settings.get("auto_mapping") or {}
        by_task = _OURS if self.origin else _CLASSES
        found = by_task.get(str(self.settings.get("task_type")))
        return found or str(mapping.get("base_model_class") or "AutoModel")

    def require_mergeable(self) -> None:
        """Raise `InputError` where no weights of the base can hold what the adapter computes."""
        # Its import registers our own methods, which `peft_api` has to be whole for.
        import peft  # noqa: F401

        from welltuned.models.compat.peft_api import can_merge

        if not can_merge(str(self.settings.get("peft_type"))):
            raise self._refuse(
                "model.adapter_cannot_merge",
                "an adapter of the kind {kind} cannot be merged into its base model, so no run can "
                "go on from it",
                "set model: {base} to start from its base model, or go on from a run with lora or "
                "whole weights",
                kind=self.settings.get("peft_type"),
                base=self.base,
            )

    def config(self, base: PreTrainedConfig) -> PreTrainedConfig:
        """The config of the merged model, with the labels that the adapter was tuned for."""
        import transformers

        from welltuned.models.compat.transformers_api import model_class, runs_own_code

        own, trusted = (self.folder / "config.json").is_file(), runs_own_code(base)
        read = transformers.AutoConfig.from_pretrained
        config = read(self.folder, trust_remote_code=trusted) if own else base
        if not own and (labels := self._labels()) not in (None, config.num_labels):
            config.num_labels = labels
        config.architectures = [model_class(self.class_name, config).__name__]
        return config

    def _labels(self) -> int | None:
        """The outputs of the head that was saved with it, where there is one."""
        from safetensors import safe_open

        heads = [f".{name}." for name in self.settings.get("modules_to_save") or ()]
        if not heads or not (self.folder / _WEIGHTS).is_file():
            return None
        with safe_open(self.folder / _WEIGHTS, framework="pt") as weights:
            names = [name for name in weights.keys() if any(head in name for head in heads)]  # noqa: SIM118
            shapes = [weights.get_slice(name).get_shape() for name in names]
        rows = [int(shape[0]) for shape in shapes if len(shape) == 2]
        return min(rows, default=None)

    def merge(self, model: PreTrainedModel, fingerprint: str) -> PreTrainedModel:
        """Merge it into its base model, in float32.

        `fingerprint` is that of the base model. Raises `InputError` where it is another than the
        adapter was trained on, or the two do not go together.
        """
        from peft import PeftModel

        if self.origin.get("fingerprint", fingerprint) != fingerprint:
            raise self._refuse(
                "model.adapter_base_changed",
                "its base model '{base}' is not the one it was trained on: its weights differ",
                "restore the base model it was trained with",
                base=self.base,
            )
        check_sums(self.folder)
        try:
            tuned: Any = PeftModel.from_pretrained(model.float(), str(self.folder))
            return tuned.merge_and_unload()
        except (ValueError, RuntimeError, NotImplementedError, AttributeError) as error:
            raise self._refuse(
                "model.adapter_does_not_fit",
                "the adapter cannot be merged into '{base}': {reason}",
                "give the adapter's own base model in adapter_config.json",
                base=self.base,
                reason=str(error).splitlines()[0],
            ) from error

    def _refuse(self, code: str, what: str, remedy: str, /, **values: object) -> InputError:
        return InputError(Fault(code, what, Place(str(self.folder)), remedy, **values))


def find_adapter(location: str) -> AdapterFolder | None:
    """The adapter in a folder; None where there is none. Raises `InputError` for a damaged one."""
    folder = Path(location).expanduser()
    file = folder / _CONFIG
    if not file.is_file():
        return None
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        origin = _origin(folder)
        base = origin.get("name") or settings["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            Fault(
                "model.adapter_unreadable",
                "the file cannot be understood: {reason}",
                Place(str(file)),
                "restore it; an adapter must name its base model in base_model_name_or_path",
                reason=str(error),
            )
        ) from error
    return AdapterFolder(folder, settings, _base_of(folder, str(base), origin), origin)


def _origin(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    return dict(json.loads(file.read_text(encoding="utf-8"))["base"]) if file.is_file() else {}


def _base_of(folder: Path, base: str, origin: dict[str, Any]) -> str:
    """Where the base is now: the folder beside where it has left its place."""
    beside = origin.get("beside")
    if beside and not Path(base).expanduser().exists() and (folder / beside).exists():
        return locate(str(folder / beside))
    return base
