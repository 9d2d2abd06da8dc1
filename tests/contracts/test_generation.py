"""Every strategy on every causal language model: text is generated as full forwards would have it.

The key/value cache, padding on the left, beams that swap their caches, saving and
merging are ways to the same tokens. Every row has more tokens than the sliding windows
(of 16) hold, once it is answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from support import DECODERS, STRATEGIES, each_pair, make_config, make_tokenizer, strategy_of
from welltuned.data.tokens.encoding import Encoded
from welltuned.models.anatomy import examine_anatomy
from welltuned.models.config import ModelConfig
from welltuned.models.loading import Head, build_skeleton, load_model, read_tokenizer
from welltuned.strategies import Context
from welltuned.tasks.generation.batched_decoding import BatchedDecoder

TRIED = [name for name in STRATEGIES if name != "head"]  # there is no new head to train alone
WHOLE = ("full", "partial", "gradual")
ROWS = [torch.arange(length).mul(7 * length + 3).remainder(38).add(6) for length in (6, 19, 11)]
"""Texts as token ids, of unequal lengths."""
NEW = 12
SETTINGS = {
    "do_sample": False, "max_new_tokens": NEW, "pad_token_id": 0,
    "no_repeat_ngram_size": 1, "suppress_tokens": [0],
}  # fmt: skip


def pairs(names: Iterable[str] = TRIED) -> pytest.MarkDecorator:
    return each_pair((strategy, family) for family in DECODERS for strategy in names)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`base(family)`: the folder of a tiny random language model that never stops by itself."""

    @cache
    def make(family: str) -> str:
        from transformers import AutoModelForCausalLM

        folder = tmp_path_factory.mktemp(family)
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(make_config(family, eos_token_id=None))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(4)  # random models start so small that nothing would show
        model.save_pretrained(folder)
        make_tokenizer("decoder", family).save_pretrained(folder)
        return str(folder)

    return make


@pytest.fixture(scope="module")
def tuned(base: Any) -> Any:
    """`tuned(strategy, family)`: a model as if trained, and its strategy. Not to be changed."""

    @cache
    def make(strategy: str, family: str) -> tuple[Any, Any]:
        from transformers import AutoConfig, AutoModelForCausalLM

        named = ModelConfig(name=base(family))
        head = Head(AutoModelForCausalLM, AutoConfig.from_pretrained(base(family)), new=False)
        anatomy = examine_anatomy(build_skeleton(head), new_head=False)
        texts = [row.tolist() for row in ROWS]
        context = Context(anatomy, read_tokenizer(named), base(family), "CAUSAL_LM", 0, texts)
        chosen = strategy_of(STRATEGIES[strategy])
        assert not list(chosen.check(anatomy))
        model = chosen.prepare(load_model(named, head, anatomy, 0).model, context)
        return stir(model).eval(), chosen

    return make


def stir(model: nn.Module) -> nn.Module:
    """What trains moves far from its start: fresh adapters would change nothing."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * parameter.std().clamp(min=1) * torch.randn(parameter.shape))
    return model


def padded(rows: list[torch.Tensor], side: str = "left") -> dict[str, torch.Tensor]:
    width = max(map(len, rows))
    batch = {name: torch.zeros(len(rows), width, dtype=torch.long) for name in ("ids", "mask")}
    for i, row in enumerate(rows):
        place = slice(width - len(row), None) if side == "left" else slice(len(row))
        batch["ids"][i, place], batch["mask"][i, place] = row, 1
    return {"input_ids": batch["ids"], "attention_mask": batch["mask"]}


def generate(model: Any, rows: list[torch.Tensor], **settings: Any) -> list[list[int]]:
    """The new tokens of each row; none twice, for a random model soon says one thing only."""
    batch = padded(rows)
    return model.generate(**batch, **{**SETTINGS, **settings})[
        :, batch["input_ids"].shape[1] :
    ].tolist()


@torch.no_grad()
def recompute(model: Any, row: torch.Tensor) -> list[int]:
    """The likeliest new token, again and again, each by a forward over the whole text."""
    padding = torch.tensor([0])
    for _ in range(NEW):
        logits = model(input_ids=row[None], use_cache=False).logits[0, -1]
        fresh = logits.index_fill(0, torch.cat([padding, row]), -torch.inf)
        row = torch.cat([row, fresh.argmax()[None]])
    return row[-NEW:].tolist()


@pairs()
def test_greedy_text_from_a_cache_is_that_of_full_forwards(
    strategy: str, family: str, tuned: Any
) -> None:
    """And not that of the untuned model."""
    model, _ = tuned(strategy, family)
    found = generate(model, ROWS[1:2])
    assert found == [recompute(model, ROWS[1])]
    if strategy not in WHOLE:
        with model.disable_adapter():
            assert found != generate(model, ROWS[1:2])


@pairs()
def test_a_batch_padded_on_the_left_answers_as_its_rows_do_alone(
    strategy: str, family: str, tuned: Any
) -> None:
    """(S5) Padding takes no position and hides no prompt or prefix."""
    model, _ = tuned(strategy, family)
    assert generate(model, ROWS) == [generate(model, [row])[0] for row in ROWS]


@pairs(["full", "lora", "prompt", "prefix", "houlsby"])
def test_many_prompts_are_answered_together_as_each_is_alone(
    strategy: str, family: str, tuned: Any
) -> None:
    """Behind a beginning read once, by merged weights, in batches that rows leave as they end."""
    model, chosen = tuned(strategy, family)
    rows = [torch.cat([ROWS[1][:10], row[:16]]) for row in (*ROWS, *(r.flip(0) for r in ROWS))]
    endless = [generate(model, [row])[0] for row in rows]
    stops = [endless[0][2], endless[1][5], endless[2][8]]
    ends = [min([*map(answer.index, {*stops} & {*answer}), NEW]) for answer in endless]
    options = {**SETTINGS, "eos_token_id": stops}
    prompts = Encoded.of([row.numpy() for row in rows], [False] * len(rows))
    with chosen.merged_for_inference(model):
        for budget in (1, 100, 10_000):
            answers = BatchedDecoder(model, options).answer(prompts, budget)
            assert answers == [row[: end + 1] for row, end in zip(endless, ends, strict=True)]


@pairs()
def test_beams_find_the_same_text_with_and_without_a_cache(
    strategy: str, family: str, tuned: Any
) -> None:
    """Though each step hands the caches of good beams on to others."""
    model, _ = tuned(strategy, family)
    with_cache, without = (
        generate(model, ROWS, num_beams=3, use_cache=use_cache) for use_cache in (True, False)
    )
    assert with_cache == without


@pairs(["full", "lora", "prompt", "prefix", "houlsby"])
def test_the_same_seed_draws_the_same_text_with_and_without_a_cache(
    strategy: str, family: str, tuned: Any
) -> None:
    model, _ = tuned(strategy, family)
    drawn: list[list[list[int]]] = []
    for use_cache in (True, False):
        torch.manual_seed(3)
        drawn.append(generate(model, ROWS, do_sample=True, use_cache=use_cache))
    assert drawn[0] == drawn[1] != generate(model, ROWS)


@pairs()
def test_logits_are_the_same_padded_on_either_side(strategy: str, family: str, tuned: Any) -> None:
    """(S5) Given that positions count real tokens."""
    model, _ = tuned(strategy, family)
    found: list[torch.Tensor] = []
    for side in ("right", "left"):
        batch = padded(ROWS, side)
        mask = batch["attention_mask"]
        with torch.no_grad():
            logits = model(**batch, position_ids=(mask.cumsum(1) - 1).clamp(min=0)).logits
        found.append(torch.cat([row[real] for row, real in zip(logits, mask.bool(), strict=True)]))
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


@pairs()
def test_saved_and_loaded_it_writes_the_same_text(
    strategy: str, family: str, tuned: Any, tmp_path: Path
) -> None:
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    model, chosen = tuned(strategy, family)
    wanted = generate(model, ROWS)
    finished = deepcopy(model) if strategy == "projected" else model  # it drops its projection
    chosen.finish(finished)
    chosen.save(finished, tmp_path)
    auto = AutoModelForCausalLM if strategy in WHOLE else AutoPeftModelForCausalLM
    assert generate(auto.from_pretrained(str(tmp_path)).eval(), ROWS) == wanted


@pairs(["lora"])
def test_merged_it_writes_the_same_text(strategy: str, family: str, tuned: Any) -> None:
    """As a plain model of its family."""
    model, chosen = tuned(strategy, family)
    merged = chosen.merge(deepcopy(model))
    assert type(merged).__module__.startswith("transformers.")
    assert generate(merged, ROWS) == generate(model, ROWS)


@pytest.mark.parametrize("strategy", ["lora", "prompt", "prefix", "houlsby"])
def test_a_cache_is_carried_on_to_the_next_turn(strategy: str, tuned: Any) -> None:
    """As a conversation does: the whole mask, and of the tokens the new ones alone."""
    model, _ = tuned(strategy, "mistral")
    whole = torch.cat([ROWS[1], ROWS[0]])[None]
    wanted = model.generate(input_ids=whole, use_cache=False, **PLAIN)
    assert torch.equal(next_turn(model, whole, len(ROWS[0]))[:, -NEW:], wanted[:, -NEW:])


def test_a_prompt_refuses_a_next_turn_that_would_lose_tokens(tuned: Any) -> None:
    """Given the whole text again, transformers cuts off as much as the cache is long."""
    model, _ = tuned("prompt", "llama")
    whole = torch.cat([ROWS[1], ROWS[0]])[None]
    with pytest.raises(ValueError, match="pass the new tokens alone"):
        next_turn(model, whole, whole.shape[1])


PLAIN: dict[str, Any] = {"do_sample": False, "max_new_tokens": NEW, "pad_token_id": 0}


@torch.no_grad()
def next_turn(model: Any, whole: torch.Tensor, given: int) -> torch.Tensor:
    """The answer to a text of which all but the last six tokens are in the cache."""
    from transformers import DynamicCache

    past = DynamicCache(config=model.config)
    model(input_ids=whole[:, : -len(ROWS[0])], past_key_values=past, use_cache=True)
    return model.generate(
        input_ids=whole[:, -given:],
        attention_mask=torch.ones_like(whole),
        past_key_values=past,
        **PLAIN,
    )


def test_a_prompt_refuses_a_cache_whose_size_is_fixed(tuned: Any) -> None:
    """It has no place for the prompt; nor has the mask that is made for it."""
    model, _ = tuned("prompt", "llama")
    with pytest.raises(ValueError, match="use a cache that grows"):
        generate(model, ROWS, cache_implementation="static")


@pytest.mark.parametrize("strategy", ["lora", "prefix", "houlsby"])
def test_a_cache_of_fixed_size_serves_all_others(strategy: str, tuned: Any) -> None:
    model, _ = tuned(strategy, "gemma2")
    assert generate(model, ROWS, cache_implementation="static") == generate(model, ROWS)


@pytest.mark.parametrize("strategy", ["lora", "prefix", "projected", "houlsby", "parallel"])
@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_texts_in_one_row_do_not_see_each_other(strategy: str, family: str, tuned: Any) -> None:
    """Each sees the whole prefix; positions tell texts apart."""
    model, _ = tuned(strategy, family)
    with torch.no_grad():
        alone = torch.cat([model(input_ids=row[None]).logits[0] for row in ROWS])
        packed = model(**packed_rows(), use_cache=False).logits[0]
    # A text that saw its neighbour would be off by a hundredth and more.
    torch.testing.assert_close(packed, alone, atol=1e-3, rtol=1e-3)


def test_a_prompt_refuses_several_texts_in_one_row(tuned: Any) -> None:
    model, _ = tuned("prompt", "llama")
    with pytest.raises(ValueError, match="a row of its own"):
        model(**packed_rows(), use_cache=False)


def packed_rows() -> dict[str, torch.Tensor]:
    positions = torch.cat([torch.arange(len(row)) for row in ROWS])
    return {"input_ids": torch.cat(ROWS)[None], "position_ids": positions[None]}
