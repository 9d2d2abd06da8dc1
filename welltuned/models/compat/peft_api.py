"""PEFT: where a method of one's own enters, and the base of its tuner and layers."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from peft import PeftConfig, PromptLearningConfig, mapping
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel

__all__ = [
    "BaseTunerLayer",
    "LoraLayer",
    "LoraLinear",
    "MethodLayer",
    "MethodTuner",
    "can_merge",
    "register_method",
]


def register_method(
    name: str, prefix: str, config: type[PeftConfig], tuner: type[BaseTuner]
) -> None:
    """Make a method known under a plain string; `register_peft_method` takes only its enum's."""
    mapping.PEFT_TYPE_TO_CONFIG_MAPPING[name] = config  # type: ignore[index]
    mapping.PEFT_TYPE_TO_TUNER_MAPPING[name] = tuner  # type: ignore[index]
    mapping.PEFT_TYPE_TO_PREFIX_MAPPING[name] = prefix  # type: ignore[index]


class MethodLayer(nn.Module, BaseTunerLayer):
    """A layer around a module of the base model, with all its adapters switched on."""

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer: Any = base_layer
        self._disable_adapters = False
        self.merged_adapters: list[str] = []


Layer = TypeVar("Layer", bound=MethodLayer)
Config = TypeVar("Config", bound=PeftConfig)


class MethodTuner(BaseTuner, Generic[Layer, Config]):
    """A tuner asked three things: how to begin, what to wrap a module in, what to add to it."""

    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 - as PEFT declares it
    tuner_layer_cls: type[Layer]

    def begin(self, peft_config: Config, model: PreTrainedModel) -> None:
        """Called once, before any module is replaced."""

    def wrap(self, peft_config: Config, target: nn.Module, current_key: str) -> Layer:
        """The layer to stand in a target module's place."""
        return self.tuner_layer_cls(target)

    def add(self, layer: Layer, adapter_name: str, peft_config: Config, current_key: str) -> None:
        """Give a layer its part of one adapter."""
        raise NotImplementedError

    def _prepare_model(self, peft_config: Any, model: Any) -> None:
        self.begin(peft_config, model)

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        there = isinstance(target, self.tuner_layer_cls)
        layer: Any = target if there else self.wrap(peft_config, target, current_key)
        self.add(layer, adapter_name, peft_config, current_key)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        if not there:
            self._replace_module(parent, target_name, layer, target)


def can_merge(kind: str) -> bool:
    """Whether PEFT can merge adapters of a kind, as `adapter_config.json` names it.

    Prompts have no tuner that replaces modules, and methods of our own add computation.
    """
    tuner = mapping.PEFT_TYPE_TO_TUNER_MAPPING.get(kind)  # type: ignore[call-overload]
    config = mapping.PEFT_TYPE_TO_CONFIG_MAPPING.get(kind)  # type: ignore[call-overload]
    if tuner is None or config is None or issubclass(config, PromptLearningConfig):
        return False
    return not issubclass(tuner, MethodTuner)
