"""What we use of transformers beyond its public interface still does what we use it for."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    BertConfig,
    LlamaConfig,
)

from welltuned.models.compat import AUTO_MODELS
from welltuned.models.compat import transformers_api as compat
from welltuned.models.modeling_pooled import PooledForSequenceClassification


def test_an_attention_can_have_a_name_of_its_own(tiny: Any) -> None:
    calls: list[bool] = []

    def attend(module: Any, query: Any, key: Any, value: Any, mask: Any, **rest: Any) -> Any:
        calls.append(mask is not None)
        return compat.sdpa_attention_forward(module, query, key, value, mask, **rest)

    compat.register_attention("welltuned-test", attend, compat.explicit_mask)
    assert AttentionInterface()["welltuned-test"] is attend
    assert AttentionMaskInterface()["welltuned-test"] is compat.explicit_mask
    model = AutoModel.from_pretrained(tiny("bert"), attn_implementation="welltuned-test")
    model(input_ids=torch.ones(1, 3, dtype=torch.long))
    assert calls == [True] * 4, "a mask is a tensor in each of four blocks, without shortcuts"


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_the_attention_of_a_model_is_known_by_name(family: str, tiny: Any) -> None:
    folder = tiny(family)
    assert compat.attends_by_sdpa(AutoModel.from_pretrained(folder))
    eager = AutoModel.from_pretrained(folder, attn_implementation="eager")
    assert not compat.attends_by_sdpa(eager)
    assert not compat.attends_by_sdpa(torch.nn.Linear(2, 2))


def test_masks_of_sdpa_have_both_shortcuts() -> None:
    known = signature(compat.sdpa_mask).parameters
    assert {"allow_is_causal_skip", "allow_is_bidirectional_skip"} <= set(known)


def test_encoders_are_told_by_their_masked_language_models() -> None:
    names = compat.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    assert {"bert", "roberta", "distilbert", "electra", "deberta-v2", "modernbert"} <= set(names)
    assert not {"gpt2", "llama", "qwen3", "mistral", "gemma"} & set(names)


def test_who_has_a_token_classifier_is_told_by_the_config() -> None:
    assert BertConfig in compat.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING
    assert type(AutoConfig.for_model("clip")) not in compat.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING
    assert LlamaConfig in compat.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING


def test_activations_have_names() -> None:
    assert {"gelu", "relu", "silu", "tanh"} <= set(compat.ACT2FN)
    assert torch.equal(compat.ACT2FN["relu"](torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))


def test_gpt2_multiplies_by_weights_that_stand_upright(tiny: Any) -> None:
    model = AutoModel.from_pretrained(tiny("gpt2"))
    found = [layer for layer in model.modules() if isinstance(layer, compat.Conv1D)]
    assert len(found) == 4 * 4
    assert all(layer.weight.shape[1] == len(layer.bias) for layer in found)


@pytest.mark.filterwarnings("error")
def test_activations_are_computed_once_more(tiny: Any) -> None:
    model = AutoModel.from_pretrained(tiny("bert")).train()
    compat.recompute_activations(model)
    entered: list[bool] = []
    model.encoder.layer[0].attention.register_forward_hook(lambda *_: entered.append(True))
    model(input_ids=torch.ones(1, 3, dtype=torch.long))[0].sum().backward()
    assert len(entered) == 2


def test_a_file_beside_a_model_is_found_or_not(tiny: Any, tmp_path: Path) -> None:
    folder = tiny("bert")
    found = compat.file_of_model(folder, "config.json", "", None)
    assert found is not None and found.samefile(Path(folder) / "config.json")
    assert compat.file_of_model(folder, "missing.json", "", None) is None
    assert compat.file_of_model(folder, "config.json", "1_Pooling", None) is None
    inner = tmp_path / "1_Pooling"
    inner.mkdir()
    (inner / "config.json").write_text("{}", encoding="utf-8")
    assert compat.file_of_model(str(tmp_path), "config.json", "1_Pooling", None) is not None


def test_the_auto_classes_are_made_known_in_one_module() -> None:
    from importlib import import_module

    assert hasattr(import_module(AUTO_MODELS), "AutoModelForSequenceClassification")


def test_what_a_model_class_says_of_itself_is_still_asked(tiny: Any) -> None:
    """`modeling_pooled.py` travels with weights, so it names these itself."""
    from transformers import PreTrainedModel

    said = {name for name in vars(PooledForSequenceClassification) if name.startswith("_supports")}
    said |= {"_keys_to_ignore_on_load_unexpected"}
    assert len(said) == 5
    assert all(hasattr(PreTrainedModel, name) for name in said)


@torch.no_grad()
def test_a_cache_is_repeated_and_gives_up_rows(tiny: Any) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny("llama")).eval()
    ids_1P = torch.tensor([[7, 8, 9]])
    cache: Any = compat.read_once(model, ids_1P, 3)
    assert cache.layers[0].keys.shape[::2] == (3, 3)
    assert compat.take_rows(cache, torch.tensor([2]), 2) is None, "it holds three tokens, not two"
    taken = compat.take_rows(cache, torch.tensor([2]), 3)
    assert taken is not None
    found = model(input_ids=torch.tensor([[10]]), past_key_values=taken).logits[0, -1]
    whole = model(input_ids=torch.tensor([[7, 8, 9, 10]])).logits[0, -1]
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-5)


def test_padding_counts_in_a_window_so_nothing_is_shared_there(tiny: Any) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny("mistral")).eval()
    assert compat.read_once(model, torch.tensor([[7, 8, 9]]), 3) is None


def test_rotary_frequencies_are_those_that_a_scaled_model_has() -> None:
    """Scaled linearly by 4, each is a quarter of what it was."""
    scaled = {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
    config = LlamaConfig(hidden_size=16, num_attention_heads=2, rope_parameters=scaled)
    found = compat.rotary_frequencies(config, "linear")
    plain = 10000.0 ** -(torch.arange(0, 8, 2) / 8)
    torch.testing.assert_close(found, plain / 4)
