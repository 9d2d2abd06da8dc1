"""Base classes of our PEFT methods: config and wrapped layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from peft import PeftConfig
from torch import nn

from welltuned.models.compat.peft_api import MethodLayer


@dataclass
class InjectionConfig(PeftConfig):
    """Where a method goes, and which modules of the base model train with it whole."""

    target_modules: list[str] | str | None = field(default=None)
    exclude_modules: list[str] | str | None = field(default=None)
    modules_to_save: list[str] | None = field(default=None)


class InjectedLayer(MethodLayer):
    """Wraps a module of the base model and computes in its place.

    Attributes it lacks are the wrapped module's.
    """

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
