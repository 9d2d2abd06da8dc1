"""The formats of model families: answers end, are asked for as they were learned, lose nothing."""

from __future__ import annotations

from typing import Any

import pytest

from chat_families import FAMILIES, Family
from faults import refused
from talking import chat
from welltuned.data.tokens.encoding import IGNORED
from welltuned.tasks.chat import (
    ensure_template,
    findings,
    prompt_of,
    render_chat,
    stop_ids,
    tokenise_chat,
    tokenise_prompts,
)
from welltuned.tasks.chat.mending import mended

every_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
SAID = ("How far?", "Two leagues", "And back?", "As far")


def fitted(family: Family) -> Any:
    tokenizer = family.tokenizer()
    assert not ensure_template(tokenizer)
    return tokenizer


def talk(family: Family, *said: str) -> list[dict[str, str]]:
    """A conversation with every role that the family takes."""
    system = [{"role": "system", "content": "Speak as a pirate"}]
    return [*(system if "system" not in family.refuses else []), *chat(*said)]


def rows(tokenizer: Any, *conversations: Any) -> Any:
    return tokenise_chat(tokenizer, [render_chat(tokenizer, one) for one in conversations], 10**6)


@every_family
def test_every_answer_is_learned_with_the_token_that_generation_waits_for(family: Family) -> None:
    tokenizer = fitted(family)
    end, stops = tokenizer.convert_tokens_to_ids(family.end), stop_ids(tokenizer)
    assert end in stops
    labels = rows(tokenizer, talk(family, *SAID)).labels
    ids = labels[labels != IGNORED].tolist()
    assert ids[-1] == end and ids.count(end) == 2
    assert sum(number in stops for number in ids) == 2


@every_family
@pytest.mark.parametrize("said", [SAID[:2], SAID])
def test_asking_has_the_tokens_before_the_answer(family: Family, said: tuple[str, ...]) -> None:
    tokenizer = fitted(family)
    messages = talk(family, *said)
    rendered, (asked, _) = render_chat(tokenizer, messages), prompt_of(tokenizer, messages)
    assert rendered.text[: rendered.spans[-1][0]] == asked.text
    ids = tokenise_prompts(tokenizer, [asked]).ids.tolist()
    assert rows(tokenizer, messages).ids[: len(ids)].tolist() == ids


@every_family
def test_every_turn_is_read_or_counted(family: Family) -> None:
    tokenizer = fitted(family)
    messages = talk(family, *SAID)
    rendered = render_chat(tokenizer, messages)
    assert rendered.lost == family.lost
    read = [turn["content"] in rendered.text for turn in messages]
    assert read.count(False) == len(family.lost)


@every_family
def test_special_tokens_in_turns_are_text(family: Family) -> None:
    tokenizer = fitted(family)
    quotes = " ".join(family.special)
    found = rows(
        tokenizer,
        talk(family, quotes, f"{quotes}!", *SAID[2:]),
        talk(family, "x", "y!", *SAID[2:]),
    )
    specials = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    quoting, plain = ([n for n in found[i].tolist() if n in specials] for i in (0, 1))
    assert quoting == plain
    assert f"{quotes}!" in tokenizer.decode(found[0])


@every_family
def test_nothing_is_told_but_of_what_is_lost_or_added(family: Family) -> None:
    tokenizer = fitted(family)
    talks = [talk(family, *SAID[:3], f"As far {i}") for i in (1, 2)]
    rendered = [render_chat(tokenizer, one) for one in talks]
    told = findings(tokenizer, rendered, [1, 2], lambda i: prompt_of(tokenizer, talks[i])[0])
    codes = ["task.turns_lost"] * len(family.lost)
    codes += ["task.end_of_turn_added"] * any("turn" in mend for mend in family.mended)
    codes += ["task.generation_prompt_added"] * ("generation prompt" in family.mended)
    assert [one["code"] for one in told] == codes
    assert mended(tokenizer) == family.mended


@every_family
def test_a_template_that_lacks_nothing_stays_as_it_is(family: Family) -> None:
    assert (fitted(family).chat_template == family.template) is (not family.mended)


@every_family
def test_a_turn_that_a_template_refuses_is_named(family: Family) -> None:
    tokenizer = fitted(family)
    for role in family.refuses:
        with refused("task.chat_template_fails"):
            render_chat(tokenizer, [{"role": role, "content": "x"}, *chat("a", "b")])
