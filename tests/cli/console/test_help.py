"""Keys and parts, explained in a terminal."""

from __future__ import annotations

import pytest
import yaml

from faults import refused
from welltuned.cli.console.help import explain, overview
from welltuned.cli.help import config_types
from welltuned.schema.reference import Reference

REFERENCE = Reference(config_types())


def told(wanted: str) -> str:
    return "\n".join(explain(REFERENCE, wanted, REFERENCE.find(wanted)))


def test_a_key_is_told_with_type_default_source_and_example() -> None:
    lines = told("lora.r").splitlines()
    assert lines[:2] == ["strategy.r  (of lora)", "  The rank."]
    facts = {line[2:11].strip(): line[11:] for line in lines[3:]}
    assert facts["accepts"] == "whole number ≥ 1"
    assert facts["default"] == "8, written in welltuned.strategies.lora.Lora"
    assert facts["line"] == "strategy=lora strategy.r=64"


def test_the_example_is_told_as_lines_of_a_file_too() -> None:
    text = told("strategy.prompt_tuning_init_text")
    quoted = """'strategy.prompt_tuning_init_text="The review is positive:"'"""
    assert quoted in text, "a line for a shell"
    file = text.partition("  file     ")[2]
    assert yaml.safe_load(" " * 11 + file) == {
        "strategy": {
            "type": "prompt",
            "prompt_tuning_init": "TEXT",
            "prompt_tuning_init_text": "The review is positive:",
        }
    }


def test_auto_is_told_with_what_it_becomes_and_how_that_is_known() -> None:
    text = told("training.learning_rate")
    assert "full     2e-05   encoder [" in text
    assert "up to 50,000,000 parameters, up to 1,000 examples [1]" in text
    assert "[1] measured over several sets" in text
    own = told("strategy.head_learning_rate_scale").split("(of lora)")[1].split("(of prompt)")[0]
    assert "lora     " in own and "full     " not in own, "a strategy's key has its own rows"
    assert "auto " not in told("rl.learning_rate").partition("file")[2]


def test_a_key_with_parts_lists_their_types() -> None:
    text = told("strategy")
    for kind in ("full", "partial", "gradual", "lora", "prompt", "prefix", "adapter"):
        assert f"\n  {kind:24}" in text
    assert "strategy  (of RunConfig)" in text and "strategy  (of RlhfConfig)" in text


def test_a_part_lists_its_keys_with_their_defaults() -> None:
    text = told("ewc")
    assert text.startswith("protection: ewc\n")
    line = f"\n  {'lambda':24}The strength of the penalty. [0.1]\n"
    assert line in text, "under the name it is written with"


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [("learning_rte", "learning_rate"), ("strategy.lora_alfa", "strategy.lora_alpha"),
     ("lorra", "lora"), ("training.sed", "training.seed")],
)  # fmt: skip
def test_a_misspelt_key_proposes_the_nearest(wanted: str, meant: str) -> None:
    with refused("config.help_unknown", name=wanted) as raised:
        REFERENCE.find(wanted)
    assert f"'{meant}'" in raised.value.faults[0].values["hint"]


@pytest.mark.parametrize("config", ["RunConfig", "CompareConfig", "SweepConfig", "CurveConfig"])
def test_without_a_key_everything_at_the_top_is_listed(config: str) -> None:
    lines = list(overview(REFERENCE))
    assert any(line.startswith(config) for line in lines)
    for section in REFERENCE.sections:
        if section.part.__name__ == config:
            for key in section.keys:
                assert any(line.startswith(f"  {key.key} ") for line in lines), key.key


def test_every_key_and_every_part_can_be_told() -> None:
    for section in REFERENCE.sections:
        for wanted in (section.variant, *(key.key for key in section.keys)):
            if wanted is not None:
                assert told(wanted)


def test_a_section_lists_its_keys_with_meaning_and_default() -> None:
    text = told("training")
    assert f"\n  {'seed':24}Random seed of new weights" in text
    assert "[auto]" in text and "[0]" in text
    assert f"\n  {'validation':24}" in told("data.split")
