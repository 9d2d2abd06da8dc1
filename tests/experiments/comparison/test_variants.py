"""From `strategies:` to one run config for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from welltuned.errors import Faults
from welltuned.experiments.comparison.chosen_models import ChosenModel
from welltuned.experiments.comparison.config import comparison_from, read_comparison
from welltuned.experiments.comparison.variants import Variant, find_variants
from welltuned.models.config import ModelConfig
from welltuned.schema.document import Document
from welltuned.strategies import STRATEGIES
from welltuned.strategies.peft_library.methods import possible_methods

BASE = {"model": "m", "data": "d.jsonl"}


KINDS = [name for name, kind in STRATEGIES.own.items() if kind.stands_in_all]


def variants(**values: Any) -> tuple[list[Variant], list[str]]:
    faults = Faults()
    found = find_variants(comparison_from({**BASE, **values}), Document(), faults)
    return found, [str(fault) for fault in faults]


def test_all_are_the_seven_strategies_and_the_pipeline() -> None:
    found, faults = variants()
    assert not faults
    assert [variant.name for variant in found] == [*KINDS, "rlhf"]
    assert [variant.config.strategy.type for variant in found[:-1]] == list(KINDS)
    assert set(KINDS) == {"full", "partial", "gradual", "lora", "prompt", "prefix", "adapter"}
    assert not any(variant.asked_by_name for variant in found)


def test_everything_is_all_of_them_bitfit_and_every_method_of_pefts() -> None:
    found, faults = variants(strategies=["everything"])
    assert not faults
    names = [variant.name for variant in found]
    methods = [f"peft method={method}" for method in possible_methods()]
    assert names == [*KINDS, "bitfit", "contrastive", *methods, "rlhf"]
    vera = next(one for one in found if one.name == "peft method=vera")
    assert getattr(vera.config.strategy, "method", None) == "vera" and not vera.asked_by_name


def test_variants_are_named_by_what_is_set() -> None:
    found, faults = variants(
        strategies=[
            "lora",
            {"type": "lora", "r": 64},
            {"type": "partial", "num_blocks": 1},
            {"type": "full", "training": {"learning_rate": 1e-3, "weight_decay": 0.5}},
            {"type": "partial", "num_blocks": 0, "name": "the head / alone"},
        ]
    )
    assert not faults
    assert [variant.name for variant in found] == [
        "lora",
        "lora r=64",
        "partial num_blocks=1",
        "full training.learning_rate=0.001 training.weight_decay=0.5",
        "the head / alone",
    ]
    assert [variant.slug for variant in found][1:] == [
        "lora-r=64",
        "partial-num_blocks=1",
        "full-training.learning_rate=0.001-training.weight_decay=0.5",
        "the-head-alone",
    ]
    assert getattr(found[1].config.strategy, "r", None) == 64
    assert found[3].config.training.learning_rate == 1e-3
    assert found[3].config.training.weight_decay == 0.5
    assert found[0].config.training.learning_rate == "auto"


MODELS = [
    ChosenModel(ModelConfig(name="org/small"), "small"),
    ChosenModel(ModelConfig(name="org/large", dtype="bfloat16"), "large dtype=bfloat16"),
]


def on_models(**values: Any) -> tuple[list[Variant], list[str]]:
    faults = Faults()
    found = find_variants(comparison_from({**BASE, **values}), Document(), faults, MODELS)
    return found, [str(fault) for fault in faults]


def test_every_strategy_is_there_on_every_model() -> None:
    found, faults = on_models(
        strategies=["lora", {"type": "partial", "num_blocks": 0, "name": "h"}]
    )
    assert not faults
    assert [variant.name for variant in found] == [
        "lora · small", "lora · large dtype=bfloat16", "h · small", "h · large dtype=bfloat16",
    ]  # fmt: skip
    assert [variant.slug for variant in found][:2] == ["lora-small", "lora-large-dtype=bfloat16"]
    assert [variant.config.model.title for variant in found][:2] == [
        "org/small", "org/large dtype=bfloat16",
    ]  # fmt: skip
    assert [variant.model_label for variant in found][2:] == ["small", "large dtype=bfloat16"]
    assert [variant.strategy for variant in found] == ["lora", "lora", "h", "h"]


def test_all_strategies_are_there_on_every_model() -> None:
    found, faults = on_models()
    assert not faults and len(found) == 2 * (len(KINDS) + 1)
    assert [variant.name for variant in found][-2:] == [
        "rlhf · small",
        "rlhf · large dtype=bfloat16",
    ]


def test_a_variant_may_hold_every_base_in_few_bits() -> None:
    in_four = {"type": "lora", "name": "lora-nf4", "model": {"quantization": "nf4"}}
    found, faults = on_models(strategies=["lora", in_four])
    assert not faults
    assert [variant.name for variant in found][2:] == [
        "lora-nf4 · small", "lora-nf4 · large dtype=bfloat16",
    ]  # fmt: skip
    assert [variant.config.model.title for variant in found][2:] == [
        "org/small quantization=nf4", "org/large dtype=bfloat16 quantization=nf4",
    ]  # fmt: skip


def test_a_variant_with_a_model_of_its_own_is_there_once() -> None:
    found, faults = on_models(
        strategies=[
            {"type": "full", "model": "mine", "name": "a"},
            {"type": "full", "model": {"name": "mine", "dtype": "bfloat16"}, "name": "b"},
            {"type": "full", "model": {"resize_embeddings": True}, "name": "c"},
        ]
    )
    assert not faults
    assert [variant.name for variant in found] == [
        "a",
        "b",
        "c · small",
        "c · large dtype=bfloat16",
    ]
    assert [variant.config.model.name for variant in found] == [
        "mine", "mine", "org/small", "org/large",
    ]  # fmt: skip
    assert all(variant.config.model.resize_embeddings for variant in found[2:])


def test_what_is_wrong_with_a_strategy_is_told_once_and_not_for_every_model() -> None:
    found, faults = on_models(strategies=["lora", {"type": "lora", "r": 0, "name": "none"}])
    assert len(found) == 2 and len(faults) == 1 and "strategy.r" in faults[0]


def test_what_all_means_and_is_named_too_is_there_once_on_every_model() -> None:
    found, _ = on_models(strategies=["all", "lora"])
    assert [variant.name for variant in found].count("lora · small") == 1
    assert len(found) == 2 * (len(KINDS) + 1)


def test_a_name_cannot_lead_out_of_the_folder() -> None:
    found, _ = variants(
        strategies=[{"type": "full", "name": "../../etc"}, {"type": "lora", "name": "…/"}]
    )
    assert [variant.slug for variant in found] == ["etc", "strategy"]


def test_parts_of_a_run_can_be_a_variants_own_and_the_rest_stays() -> None:
    found, _ = variants(
        strategies=["full", {"type": "full", "training": {"learning_rate": 0.1}, "name": "fast"}],
        training={"weight_decay": 0.2, "learning_rate": 0.3},
    )
    assert [variant.config.training.learning_rate for variant in found] == [0.3, 0.1]
    assert [variant.config.training.weight_decay for variant in found] == [0.2, 0.2]


def test_the_options_of_strategy_hold_for_its_type() -> None:
    found, _ = variants(
        strategy={"type": "lora", "lora_dropout": 0.25},
        strategies=["lora", {"type": "lora", "r": 3}, "full"],
    )
    dropouts = [getattr(variant.config.strategy, "lora_dropout", None) for variant in found]
    assert dropouts == [0.25, 0.25, None]
    assert getattr(found[1].config.strategy, "r", None) == 3


def test_what_all_means_and_is_named_too_is_there_once() -> None:
    found, faults = variants(strategies=["all", "lora", {"type": "lora", "r": 2}])
    assert not faults
    names = [variant.name for variant in found]
    assert sorted(names) == sorted([*KINDS, "rlhf", "lora r=2"])
    assert next(v for v in found if v.name == "lora").asked_by_name


def test_two_of_one_name_are_refused() -> None:
    _, faults = variants(strategies=[{"type": "lora", "name": "x"}, {"type": "full", "name": "X"}])
    assert len(faults) == 1 and "compare.name_repeated" in faults[0] and "'X'" in faults[0]


def test_faults_name_the_line(tmp_path: Path) -> None:
    file = tmp_path / "compare.yaml"
    file.write_text(
        "model: m\n"
        "data: d.jsonl\n"
        "strategies:\n"
        "  - full\n"
        "  - lorra\n"
        "  - {type: partial, num_block: 2}\n"
        "  - type: lora\n"
        "    r: 0\n"
        "  - {type: full, training: {learning_rate: -3}}\n"
    )
    faults = Faults()
    config, document = read_comparison(file, [], faults)
    assert config is not None
    found = find_variants(config, document, faults)
    assert [variant.name for variant in found] == ["full"]
    told = [str(fault).removeprefix(str(file)) for fault in faults]
    assert [line.split(": ")[0] for line in told] == [":5:5", ":6:21", ":8:5", ":9:29"]
    assert "did you mean 'lora'?" in told[0]
    assert "did you mean 'num_blocks'?" in told[1]
    assert "learning_rate' is -3" in told[3]
