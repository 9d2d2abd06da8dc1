"""Attention on a CPU is computed in float32, whatever is around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AttentionInterface

from welltuned.artifact.save_load import load_artifact
from welltuned.models import cpu_attention
from welltuned.models.anatomy import examine_anatomy
from welltuned.models.compat.transformers_api import recompute_activations
from welltuned.models.config import ModelConfig
from welltuned.models.loading import Head, build_skeleton, load_model

SHAPE = (2, 3, 24, 8)


class Kernels(TorchDispatchMode):
    """Notes the dtypes that attention's kernels are given."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if "attention" in func._overloadpacket.__name__:
            self.dtypes.add(args[0].dtype)
        return func(*args, **(kwargs or {}))


def given(tokens: int = SHAPE[2]) -> list[torch.Tensor]:
    shape = (*SHAPE[:2], tokens, SHAPE[3])
    torch.manual_seed(0)
    return [torch.randn(shape).bfloat16().requires_grad_() for _ in range(3)]


@pytest.mark.parametrize("tokens, dtype", [(24, torch.float32), (1, torch.bfloat16)])
def test_kernels_are_those_of_float32_but_for_a_word_that_is_generated(
    tokens: int, dtype: torch.dtype
) -> None:
    query, key, value = given(tokens)
    with Kernels() as kernels:
        output = cpu_attention.scaled_dot_product(query, key, value, None)
        output.sum().backward()
    assert kernels.dtypes == {dtype} and output.dtype == torch.bfloat16
    assert query.grad is not None and query.grad.dtype == torch.bfloat16


def test_autocast_does_not_undo_it() -> None:
    query, key, value = (tensor.float() for tensor in given())
    with Kernels() as kernels, torch.autocast("cpu", dtype=torch.bfloat16):
        output = cpu_attention.scaled_dot_product(query, key, value, None)
    assert kernels.dtypes == {torch.float32} and output.dtype == torch.bfloat16


def test_float32_is_left_as_it_is() -> None:
    query, key, value = (tensor.float() for tensor in given())
    ours = cpu_attention.scaled_dot_product(query, key, value, None)
    assert torch.equal(ours, functional.scaled_dot_product_attention(query, key, value))


@pytest.mark.parametrize("kind", [torch.bool, torch.bfloat16])
def test_masks_hold(kind: torch.dtype) -> None:
    query, key, value = given()
    seen = torch.ones(SHAPE[2], SHAPE[2], dtype=torch.bool).tril()
    mask = (
        seen if kind == torch.bool else torch.zeros_like(seen, dtype=kind).masked_fill(~seen, -1e9)
    )
    ours = cpu_attention.scaled_dot_product(query, key, value, mask)
    exact = functional.scaled_dot_product_attention(
        query.float(), key.float(), value.float(), attn_mask=seen
    )
    assert torch.equal(ours, exact.bfloat16())


def head_of(folder: str) -> Head:
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    return Head(transformers.AutoModelForSequenceClassification, config)


def loaded(folder: str) -> Any:
    head = head_of(folder)
    anatomy = examine_anatomy(build_skeleton(head))
    return load_model(ModelConfig(name=folder), head, anatomy, seed=0).model


def kernels_of(model: nn.Module) -> set[torch.dtype]:
    """The dtypes that attention's kernels are given under autocast."""
    tokens = torch.arange(24)[None] % 5
    mask = torch.ones_like(tokens)
    mask[:, 20:] = 0
    with Kernels() as kernels, torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        model(input_ids=tokens, attention_mask=mask)
    return kernels.dtypes


@pytest.mark.parametrize("family", ["bert", "llama", "gemma"])
def test_models_that_are_loaded_here_attend_by_it(family: str, tiny: Any) -> None:
    model = loaded(tiny(family))
    assert model.config._attn_implementation == cpu_attention.NAME
    assert kernels_of(model) == {torch.float32}


def test_other_models_of_the_process_attend_as_ever(tiny: Any, finished: Any) -> None:
    """After a whole training, transformers' own registry and models are untouched."""
    from transformers import AutoModelForSequenceClassification
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    assert AttentionInterface()["sdpa"] is sdpa_attention_forward
    model = AutoModelForSequenceClassification.from_pretrained(tiny("bert"))
    assert model.config._attn_implementation == "sdpa"
    assert kernels_of(model) == {torch.bfloat16}


@pytest.mark.parametrize("family", ["bert", "llama", "gemma"])
@pytest.mark.parametrize("padded", ["left", "right", "nowhere"])
def test_numbers_in_float32_are_those_of_transformers(family: str, padded: str, tiny: Any) -> None:
    ours, theirs = loaded(tiny(family)), loaded(tiny(family))
    theirs.set_attn_implementation("sdpa")
    tokens = (torch.arange(48).view(2, 24) * 7) % 40
    mask = torch.ones_like(tokens)
    if padded != "nowhere":
        mask[0, slice(0, 5) if padded == "left" else slice(19, 24)] = 0
    gradients = []
    for model in (ours, theirs):
        model.train()
        recompute_activations(model)
        torch.manual_seed(3)
        hidden = model.base_model(input_ids=tokens, attention_mask=mask).last_hidden_state
        hidden.square().sum().backward()
        gradients.append([p.grad for p in model.base_model.parameters() if p.grad is not None])
    assert gradients[0] and all(map(torch.equal, *gradients))


def test_no_config_names_it(tiny: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    model = loaded(tiny("bert"))
    model.save_pretrained(tmp_path)
    assert "welltuned" not in (tmp_path / "config.json").read_text(encoding="utf-8")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert plain.config._attn_implementation == "sdpa"


def test_an_artifact_attends_as_its_model_did(finished: Any) -> None:
    artifact = load_artifact(Path(finished.folder) / "model")
    assert kernels_of(artifact.model) == {torch.float32}


def test_a_family_that_asks_for_the_name_keeps_its_own(tiny: Any) -> None:
    """Falcon, say, attends by torch's function only where the name is `sdpa`."""
    from transformers import AutoModel
    from transformers.models.falcon import modeling_falcon as falcon

    model = AutoModel.from_pretrained(tiny("bert"))
    trunk = type("Trunk", (type(model),), {"__module__": falcon.__name__})
    model.__class__ = trunk
    cpu_attention.use_in(model)
    assert model.config._attn_implementation == "sdpa"


def test_a_model_that_attends_otherwise_keeps_its_way(tiny: Any) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(tiny("bert"), attn_implementation="eager")
    cpu_attention.use_in(model)
    assert model.config._attn_implementation == "eager"
