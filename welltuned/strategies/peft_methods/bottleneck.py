"""Bottleneck adapter layers.

h + scale · up(act(down(h))), with `down` to a few features and `up` back.

* houlsby: after attention and after feed-forward, before each residual sum
  (Houlsby et al. 2019, arXiv 1902.00751);
* pfeiffer: after feed-forward alone (Pfeiffer et al. 2021, arXiv 2005.00247);
* parallel: reads what feed-forward reads and is added to what it writes
  (He et al. 2022, arXiv 2110.04366).

`up` starts at zero, so a fresh adapter changes nothing, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from welltuned.models.compat.peft_api import MethodTuner
from welltuned.models.compat.transformers_api import ACT2FN
from welltuned.strategies.peft_methods.base import InjectedLayer, InjectionConfig

PEFT_TYPE = "WELLTUNED_ADAPTER"
PREFIX = "bottleneck_"


@dataclass
class BottleneckConfig(InjectionConfig):
    """`target_modules` are the linear layers that write into the residual stream."""

    bottleneck_size: int = field(default=24)
    nonlinearity: str = field(default="gelu")
    dropout: float = field(default=0.0)
    scale: float = field(default=1.0)
    init_weights: str = field(default="identity")
    features: int = field(default=0)
    parallel_inputs: dict[str, str] = field(default_factory=dict)
    """For the parallel placement: each target's name, and the linear layer whose input
    the adapter reads."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE


class Bottleneck(nn.Module):
    """scale · up(act(down(x))), (…, H) -> (…, H).

    Its weights are its own and not those of inner layers: PEFT takes an adapter's
    name out of (and puts it into) the last place but one of a weight's name.
    """

    def __init__(self, config: BottleneckConfig) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(config.bottleneck_size, config.features))
        self.down_bias = nn.Parameter(torch.zeros(config.bottleneck_size))
        self.up = nn.Parameter(torch.zeros(config.features, config.bottleneck_size))
        self.up_bias = nn.Parameter(torch.zeros(config.features))
        self.activation = ACT2FN[config.nonlinearity]
        self.dropout = nn.Dropout(config.dropout)
        self.scale = config.scale
        near = config.init_weights == "near_identity"
        nn.init.normal_(self.down, std=0.02 if near else config.features**-0.5)
        if near:
            nn.init.normal_(self.up, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        read = self.dropout(x.to(self.down.dtype))
        hidden = self.activation(functional.linear(read, self.down, self.down_bias))
        change = functional.linear(hidden, self.up, self.up_bias)
        return (self.scale * change).to(x.dtype)


class Tap(InjectedLayer):
    """Keeps the input of the wrapped layer for the parallel adapter that reads it next."""

    adapter_layer_names = ()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.__dict__["seen"] = x
        return self.base_layer(x)

    def take(self) -> torch.Tensor:
        """The last input; released at once, so that no activation outlives its step."""
        return self.__dict__.pop("seen")


class BottleneckLayer(InjectedLayer):
    """A linear layer followed by (or, with a tap, in parallel to) its adapters."""

    adapter_layer_names = ("bottleneck_parts",)

    def __init__(self, base_layer: nn.Module, tap: Tap | None = None) -> None:
        super().__init__(base_layer)
        self.bottleneck_parts = nn.ModuleDict()
        self.__dict__["tap"] = (
            tap  # a reference, not a child: the tap has its own place in the model
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.base_layer(x)
        tap = self.__dict__["tap"]
        source = tap.take() if tap is not None else None
        for part in self.active_parts(self.bottleneck_parts):
            y = y + part(y if source is None else source)
        return y


class BottleneckTuner(MethodTuner[BottleneckLayer, BottleneckConfig]):
    prefix = PREFIX
    tuner_layer_cls = BottleneckLayer

    def wrap(
        self, peft_config: BottleneckConfig, target: nn.Module, current_key: str
    ) -> BottleneckLayer:
        name = peft_config.parallel_inputs.get(current_key)
        return BottleneckLayer(target, self._tap(name) if name else None)

    def _tap(self, name: str) -> Tap:
        parent_name, _, child_name = name.rpartition(".")
        parent = self.model.get_submodule(parent_name)
        reader = getattr(parent, child_name)
        if not isinstance(reader, Tap):
            reader = Tap(reader)
            setattr(parent, child_name, reader)
        return reader

    def add(
        self,
        layer: BottleneckLayer,
        adapter_name: str,
        peft_config: BottleneckConfig,
        current_key: str,
    ) -> None:
        layer.bottleneck_parts[adapter_name] = Bottleneck(peft_config)
