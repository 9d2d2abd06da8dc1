"""A method of one's own still enters PEFT as ours do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import PeftConfig, PeftModel, get_peft_model
from torch import nn
from transformers import AutoModel

from welltuned.models.compat import peft_api as compat

NAME = "WELLTUNED_SHIFT"


@dataclass
class ShiftConfig(PeftConfig):
    target_modules: list[str] | None = field(default=None)
    exclude_modules: list[str] | None = field(default=None)
    modules_to_save: list[str] | None = field(default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = NAME


class Shift(compat.MethodLayer):
    """Adds a learned vector to what a layer computes."""

    adapter_layer_names = ("shift_by",)

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__(base_layer)
        self.shift_by = nn.ParameterDict()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        on = [] if self.disable_adapters else self.active_adapters
        return self.base_layer(x) + sum(self.shift_by[name] for name in on)


class ShiftTuner(compat.MethodTuner[Shift, ShiftConfig]):
    prefix = "shift_"
    tuner_layer_cls = Shift
    begun = 0

    def begin(self, peft_config: ShiftConfig, model: nn.Module) -> None:
        type(self).begun += 1

    def add(
        self, layer: Shift, adapter_name: str, peft_config: ShiftConfig, current_key: str
    ) -> None:
        layer.shift_by[adapter_name] = nn.Parameter(torch.ones(layer.base_layer.out_features))


@pytest.fixture
def shifted(tiny: Any) -> Any:
    compat.register_method(NAME, ShiftTuner.prefix, ShiftConfig, ShiftTuner)
    ShiftTuner.begun = 0
    model = AutoModel.from_pretrained(tiny("bert"))
    return get_peft_model(model, ShiftConfig(target_modules=["query"]))


def test_modules_are_wrapped_and_only_the_method_trains(shifted: Any) -> None:
    assert ShiftTuner.begun == 1
    layers = [module for module in shifted.modules() if isinstance(module, Shift)]
    assert len(layers) == 4
    trains = [name for name, weight in shifted.named_parameters() if weight.requires_grad]
    assert len(trains) == 4 and all("shift_by.default" in name for name in trains)


def test_adapters_are_switched_off(shifted: Any, tiny: Any) -> None:
    tokens = torch.arange(6)[None]
    plain = AutoModel.from_pretrained(tiny("bert"))(input_ids=tokens).last_hidden_state
    assert not torch.equal(shifted(input_ids=tokens).last_hidden_state, plain)
    with shifted.disable_adapter():
        assert torch.equal(shifted(input_ids=tokens).last_hidden_state, plain)


def test_a_second_adapter_joins_the_layer_that_is_there(shifted: Any) -> None:
    shifted.add_adapter("second", ShiftConfig(target_modules=["query"]))
    layers = [module for module in shifted.modules() if isinstance(module, Shift)]
    assert all(set(layer.shift_by) == {"default", "second"} for layer in layers)


def test_a_saved_folder_is_loaded_by_peft_itself(shifted: Any, tiny: Any, tmp_path: Path) -> None:
    shifted.save_pretrained(str(tmp_path))
    again = PeftModel.from_pretrained(AutoModel.from_pretrained(tiny("bert")), str(tmp_path))
    tokens = torch.arange(6)[None]
    before, after = (model.eval()(input_ids=tokens)[0] for model in (shifted, again))
    assert torch.equal(before, after)


def test_layers_of_lora_have_their_factors_by_name(tiny: Any) -> None:
    model = get_peft_model(
        AutoModel.from_pretrained(tiny("bert")),
        peft.LoraConfig(r=2, target_modules=["query", "word_embeddings"]),
    )
    layers: list[Any] = [m for m in model.modules() if isinstance(m, compat.LoraLayer)]
    assert len(layers) == 5
    for layer in layers:
        assert layer.active_adapters == ["default"] and layer.scaling["default"] > 0
        where = "lora_A" if "default" in layer.lora_A else "lora_embedding_A"
        assert "default" in getattr(layer, where)
