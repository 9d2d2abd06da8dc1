"""From a config to a reward that can be asked for; judges that are models have tests of theirs."""

from __future__ import annotations

from typing import Any, cast

import torch

from faults import refused
from welltuned.rlhf.rewards.build import build_reward
from welltuned.rlhf.rewards.final_number import FinalNumber
from welltuned.rlhf.rewards.judge import JudgeSource
from welltuned.rlhf.rewards.length import Length
from welltuned.rlhf.rewards.valid_json import ValidJson

CPU = torch.device("cpu")


def letters(text: str, **options: Any) -> dict[str, list[str]]:
    """A tokenizer whose tokens are letters."""
    return {"input_ids": list(text)}


def test_a_rule_has_its_weight_and_the_columns_that_it_reads() -> None:
    built = build_reward(FinalNumber(column="right", weight=2.0), None, CPU)
    assert (built.name, built.weight, built.columns) == ("final_number", 2.0, ("right",))
    assert built(["1 + 1", "1 + 2"], ["2", "4"], {"right": [2, 3]}).tolist() == [1, 0]


def test_a_rule_counts_the_tokens_of_the_policy() -> None:
    short = Length(unit="tokens", at_most=3)
    built = build_reward(short, None, CPU, tokenizer=cast(Any, letters))
    assert built(["p", "p"], ["one", "three"]).tolist() == [1, 0]
    with refused("rlhf.length_without_tokenizer"):
        build_reward(short, None, CPU)


def test_what_a_rule_lacks_is_told_before_it_is_asked() -> None:
    with refused("rlhf.json_schema_invalid"):
        build_reward(ValidJson(json_schema={"type": "text"}), None, CPU)


def test_a_function_has_its_keys() -> None:
    source = JudgeSource.model_validate(
        {"function": "my_judges.wants_word", "columns": ["text", "word"], "time_limit": "60s"}
        | {"weight": 0.5}
    )
    built = build_reward(source, None, CPU)
    assert (built.name, built.weight) == ("my_judges.wants_word", 0.5)
    assert (built.columns, built.time_limit) == (("text", "word"), 60)
    rows = {"text": ["the film was"], "word": ["good"]}
    assert built(["the film"], ["good and good"], rows).tolist() == [2]
