"""Base classes of our PEFT methods: config, tuner and wrapped layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn


@dataclass
class InjectionConfig(PeftConfig):
    """Where a method goes, and which modules of the base model train with it whole."""

    target_modules: list[str] | str | None = field(default=None)
    exclude_modules: list[str] | str | None = field(default=None)
    modules_to_save: list[str] | None = field(default=None)


class InjectedLayer(nn.Module, BaseTunerLayer):
    """Wraps a module of the base model and answers for it.

    Attributes it lacks are the wrapped module's.
    """

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer: Any = base_layer
        self._disable_adapters = False
        self.merged_adapters: list[str] = []

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "base_layer":  # not set yet: do not ask it for itself
                raise
            return getattr(self.base_layer, name)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        raise ValueError(
            f"{type(self).__name__} computes what no weight of the base model can hold; "
            "it cannot be merged"
        )

    def active_parts(self, container: nn.ModuleDict) -> list[Any]:
        """The parts of the adapters that are switched on, in order."""
        if self.disable_adapters:
            return []
        return [container[name] for name in self.active_adapters if name in container]


class InjectedTuner(BaseTuner):
    """Replaces each target module by the method's layer, with one part for each named adapter."""

    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 - as PEFT declares it
    tuner_layer_cls: type[InjectedLayer]

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
        layer = (
            target
            if isinstance(target, self.tuner_layer_cls)
            else self._wrap(peft_config, target, current_key)
        )
        self._add(layer, adapter_name, peft_config, current_key)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        if layer is not target:
            self._replace_module(parent, target_name, layer, target)

    def _wrap(self, peft_config: Any, target: nn.Module, current_key: str) -> InjectedLayer:
        return self.tuner_layer_cls(target)

    def _add(
        self, layer: InjectedLayer, adapter_name: str, peft_config: Any, current_key: str
    ) -> None:
        raise NotImplementedError
