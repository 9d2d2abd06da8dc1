"""LoRA folded into the weight while it learns: PEFT's gradients, and PEFT's own code elsewhere."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from welltuned.models.folded_lora import FoldedLora, fold_lora

pytestmark = pytest.mark.filterwarnings("ignore:fan_in_fan_out")  # PEFT sets it for each layer


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.turned = nn.Linear(12, 20), Conv1D(8, 20)
        self.narrow = nn.Linear(8, 5, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.narrow(self.turned(self.wide(x).tanh()).tanh())
        return y


def adapted(**options: Any) -> tuple[Any, Any]:
    """The same model with LoRA as PEFT computes it, and as it is computed here."""
    torch.manual_seed(0)
    targets = ["wide", "turned", "narrow"]
    plain = get_peft_model(Net(), LoraConfig(r=4, lora_alpha=6, target_modules=targets, **options))
    for name, weight in plain.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)
    folded = copy.deepcopy(plain)
    fold_lora(folded)
    return plain, folded


def gradients(model: Any, x: torch.Tensor) -> list[torch.Tensor]:
    model.zero_grad()
    (model(x) ** 2).sum().backward()
    return [weight.grad for weight in model.parameters() if weight.requires_grad]


@pytest.mark.parametrize("options", [{}, {"bias": "all"}, {"use_rslora": True}])
@pytest.mark.parametrize("shape", [(3, 7, 12), (5, 12)])
def test_outputs_and_gradients_are_those_of_peft(
    options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    """With biases that learn, of layers stored the other way round, for any leading dimensions."""
    plain, folded = adapted(**options)
    x = torch.randn(*shape, requires_grad=True)
    found = [gradients(model, x) for model in (plain, folded)]
    assert len(found[0]) >= 6
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    one, other = (torch.autograd.grad(model(x).sum(), x)[0] for model in (plain, folded))
    torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


def test_what_learns_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    _, folded = adapted()
    shapes: list[torch.Size] = []
    real = functional.linear

    def noted(x: torch.Tensor, weight: torch.Tensor, bias: Any) -> torch.Tensor:
        shapes.append(weight.shape)
        return real(x, weight, bias)

    monkeypatch.setattr(functional, "linear", noted)
    folded(torch.randn(2, 12))
    narrow = [shape for shape in shapes if 4 in shape]
    assert len(shapes) == 3 and not narrow


@pytest.mark.parametrize("case", ["no gradients", "off", "merged", "dropout", "dora", "autocast"])
def test_elsewhere_it_is_peft_bit_for_bit(case: str) -> None:
    options: dict[str, Any] = {"lora_dropout": 0.5} if case == "dropout" else {}
    plain, folded = adapted(use_dora=case == "dora", **options)
    x = torch.randn(3, 12)
    found = []
    for model in (plain, folded):
        if case == "merged":
            model.merge_adapter()
        around: Any = {
            "no gradients": torch.no_grad(),
            "off": model.disable_adapter(),
            "autocast": torch.autocast("cpu", dtype=torch.bfloat16),
        }.get(case, nullcontext())
        torch.manual_seed(1)
        with around:
            found.append(model(x))
    assert any(isinstance(module, FoldedLora) for module in folded.modules())
    assert torch.equal(*found)
