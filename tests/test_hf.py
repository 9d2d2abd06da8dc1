"""Single parts of welltuned in a script of transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from faults import refused
from welltuned import hf


def batches(lengths: list[int], **options: Any) -> list[list[int]]:
    return list(hf.LengthGroupedBatches(lengths, 4, **options))


def test_every_pass_has_every_example_once_in_another_order() -> None:
    lengths = [3 + i % 7 for i in range(21)]
    sampler = hf.LengthGroupedBatches(lengths, 4, seed=1)
    first, second = list(sampler), list(sampler)
    for one in (first, second):
        assert sorted(i for batch in one for i in batch) == list(range(21))
        assert len(one) == len(sampler) == 6
    assert first != second
    sampler.set_epoch(0)
    assert list(sampler) == first == batches(lengths, seed=1)
    assert batches(lengths, seed=2) != first


def test_batches_hold_texts_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(2, 60, 200).tolist()
    spread = [
        max(lengths[i] for i in one) - min(lengths[i] for i in one) for one in batches(lengths)
    ]
    assert np.mean(spread) < 5


def test_a_budget_of_tokens_is_kept_padding_included() -> None:
    lengths = np.random.default_rng(0).integers(2, 30, 100).tolist()
    found = batches(lengths, max_tokens=64)
    assert all(len(one) * max(lengths[i] for i in one) <= 64 for one in found)
    assert all(1 <= len(one) <= 4 for one in found)
    assert sum(map(len, found)) == 100
    assert len(hf.LengthGroupedBatches(lengths, 4, max_tokens=64)) == len(found)


def model_of(folder: str, kind: str = "SequenceClassification") -> tuple[Any, Any]:
    import transformers

    auto = getattr(transformers, f"AutoModelFor{kind}")
    return auto.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)


def test_what_trains_is_what_the_strategy_says(tiny: Callable[..., str]) -> None:
    model, tokenizer = model_of(tiny("bert"))
    strategy = {"type": "partial", "num_blocks": 1}
    tuned = hf.apply_strategy(model, tokenizer, strategy)
    trains = {name for name, weight in tuned.model.named_parameters() if weight.requires_grad}
    assert "classifier.weight" in trains
    assert {name.split(".layer.")[1][0] for name in trains if ".layer." in name} == {"3"}
    optimizer = tuned.optimizer(1e-3, weight_decay=0.1)
    inside = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    assert len(inside) == len(trains)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.1}
    usual = max(group["lr"] for group in tuned.optimizer().param_groups)
    assert 0 < usual != max(group["lr"] for group in optimizer.param_groups)


def test_adapters_are_injected_and_unfreezing_goes_on(tiny: Callable[..., str]) -> None:
    model, tokenizer = model_of(tiny("bert"))
    tuned = hf.apply_strategy(model, tokenizer, "lora")
    assert any("lora_A" in name for name, _ in tuned.model.named_parameters())
    assert tuned.advance(0.5, 1.0) is None
    model, tokenizer = model_of(tiny("bert"))
    tuned = hf.apply_strategy(model, tokenizer, "gradual")
    before = sum(weight.requires_grad for weight in tuned.model.parameters())
    assert "unfroze" in str(tuned.advance(1.0, 3.0))
    assert sum(weight.requires_grad for weight in tuned.model.parameters()) > before


def test_what_cannot_be_tuned_is_refused(tiny: Callable[..., str]) -> None:
    import transformers

    model, tokenizer = model_of(tiny("bert"))
    with refused("config.type_unknown"):
        hf.apply_strategy(model, tokenizer, "lorra")
    with refused("strategy.too_many_blocks"):
        hf.apply_strategy(model, tokenizer, {"type": "partial", "num_blocks": 99})
    with refused("hf.policy_unsupported"):
        hf.start_ppo(model, tokenizer, 1, strategy="lora")
    bare = transformers.AutoModel.from_pretrained(tiny("bert"))
    with refused("hf.model_unsupported", name="BertModel"):
        hf.apply_strategy(bare, tokenizer, "full")


def test_a_policy_starts_as_its_reference(causal: Callable[..., str]) -> None:
    model, tokenizer = model_of(causal("llama"), "CausalLM")
    learner = hf.start_ppo(model, tokenizer, 2, strategy="lora", batch_size=2, response_length=4)
    rollout = learner.rollout(["was it good", "was it bad"])
    assert len(rollout) == 2 and rollout.responses
    assert float(rollout.kl().abs().max()) < 1e-5
    with refused("rlhf.strategy_starts_changed"):
        hf.start_ppo(model, tokenizer, 2, strategy="prompt")
