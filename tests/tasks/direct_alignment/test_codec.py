"""Judged answers as generation reads them."""

from __future__ import annotations

from welltuned.data.layouts.preferences import PreferencePair
from welltuned.data.records import Records
from welltuned.tasks.direct_alignment.codec import answered


def records(**more: list[object]) -> Records:
    columns: dict[str, list[object]] = {
        "text": ["how was it"], "prompt": ["how was it"], "messages": [None],
        "responses": [["dull", "lovely"]], **more,
    }  # fmt: skip
    return Records("a.jsonl", columns, [1], ("text",))


def test_a_prompt_has_its_preferred_answer_or_the_one_there_is() -> None:
    compared = records(pairs=[(PreferencePair(1, 0, 0.0, 1.0, 1),)])
    assert answered(compared, "plain")["completion"] == ["lovely"]
    assert answered(compared, "plain")["messages"] == [None]
    single = records(responses=[["dull"]], score=[0.0])
    assert answered(single, "plain")["completion"] == ["dull"]


def test_in_chat_style_it_is_a_conversation_and_may_be_cut_short() -> None:
    cut = answered(records(), "chat", limit=3)
    assert cut["messages"] == [
        [{"role": "user", "content": " it"}, {"role": "assistant", "content": "dul"}]
    ]
    assert cut["prompt"] == [" it"] and cut["completion"] == ["dul"]
