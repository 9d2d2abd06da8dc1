"""Conversations as tokens, what of them is learned, and packing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faults import refused
from support import make_tokenizer
from talking import (
    CHATML,
    DEAF,
    FORGETFUL,
    INSTRUCT,
    STRICT,
    THINKING,
    UNCLOSED,
    byte_tokenizer,
    chat,
    with_own_tokens,
)
from welltuned.data.config import DataConfig
from welltuned.data.layouts.conversations import convert_conversations
from welltuned.data.sources import read_file
from welltuned.data.table import Table
from welltuned.data.tokens.encoding import IGNORED, Encoded, pad
from welltuned.errors import Faults, Place
from welltuned.tasks.chat import (
    Rendered,
    ensure_template,
    pack,
    prompt_of,
    render_chat,
    render_plain,
    stop_ids,
    tokenise_chat,
    trained_tokens,
    windows,
)


def default_tokenizer(**tokens: str) -> Any:
    tokenizer = byte_tokenizer(**tokens)
    assert ensure_template(tokenizer)
    return tokenizer


def learned(tokenizer: Any, *args: Any, **options: Any) -> list[str]:
    """The learned parts of a conversation."""
    rendered = render_chat(tokenizer, *args, **options)
    return [rendered.text[start:end] for start, end in rendered.spans]


def learned_tokens(tokenizer: Any, encoded: Encoded, index: int) -> str:
    """What the labels of one example say."""
    assert encoded.labels is not None
    labels = encoded.labels[encoded.offsets[index] : encoded.offsets[index + 1]]
    ids = encoded[index]
    assert set(np.flatnonzero((labels != IGNORED) & (labels != ids))) == set()
    return str(tokenizer.decode(labels[labels != IGNORED]))


# --- The template --------------------------------------------------------------


def test_a_tokenizer_without_a_template_is_given_one_that_is_saved(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = byte_tokenizer()
    assert ensure_template(tokenizer)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert not ensure_template(again)
    assert render_chat(again, chat("Hi", "Hello")) == render_chat(tokenizer, chat("Hi", "Hello"))


def test_a_tokenizer_keeps_its_own_template() -> None:
    tokenizer = byte_tokenizer(CHATML)
    assert not ensure_template(tokenizer)
    assert tokenizer.chat_template == CHATML


def test_the_default_template_writes_every_role_and_ends_answers() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        *chat("Hi", '{"name": "now"}'),
        {"role": "tool", "content": "12:00"},
        {"role": "assistant", "content": "Noon"},
    ]
    text = render_chat(default_tokenizer(), messages).text
    assert text == (
        'System:\nBe kind.\nUser:\nHi\nAssistant:\n{"name": "now"}</s>\n'
        "Tool:\n12:00\nAssistant:\nNoon</s>\n"
    )


def test_the_default_template_begins_with_the_first_token_where_there_is_one() -> None:
    assert render_chat(default_tokenizer(bos_token="<s>"), chat("a", "b")).text.startswith(
        "<s>User"
    )


def test_the_default_template_does_without_an_end_token() -> None:
    tokenizer = default_tokenizer()
    tokenizer.eos_token = None
    assert learned(tokenizer, chat("a", "b", "c", "d")) == ["b\n", "d\n"]


# --- What is learned -----------------------------------------------------------


def test_answers_are_learned_with_what_closes_them() -> None:
    messages = chat("a", "b", "c", "d")
    assert learned(default_tokenizer(), messages) == ["b</s>", "d</s>"]
    assert learned(byte_tokenizer(CHATML), messages) == ["b<|im_end|>", "d<|im_end|>"]
    assert learned(byte_tokenizer(INSTRUCT), messages) == [" b</s>", " d</s>"]


def test_white_space_belongs_to_an_answer_only_where_nothing_else_closes_it() -> None:
    assert learned(byte_tokenizer(UNCLOSED), chat("a", "b")) == ["b\n\n"]
    assert learned(byte_tokenizer(CHATML), chat("a", "b\n")) == ["b\n<|im_end|>"]


def test_the_last_answer_or_everything_may_be_learned() -> None:
    tokenizer, messages = byte_tokenizer(CHATML), chat("a", "b", "c", "d")
    assert learned(tokenizer, messages, "last") == ["d<|im_end|>"]
    (everything,) = learned(tokenizer, messages, "all")
    assert everything == render_chat(tokenizer, messages).text


def test_what_follows_the_last_answer_is_not_learned() -> None:
    assert learned(byte_tokenizer(CHATML), chat("a", "b", "c")) == ["b<|im_end|>"]


def test_answers_in_a_row_and_between_tools_are_all_learned() -> None:
    messages = [*chat("a", "b"), {"role": "tool", "content": "c"}, *chat("d", "e", first="other")]
    wanted = ["b<|im_end|>", "d<|im_end|>"]
    assert learned(byte_tokenizer(CHATML), messages) == wanted
    assert learned(byte_tokenizer(CHATML), [*chat("a", "b"), *chat("c", first="other")]) == [
        "b<|im_end|>",
        "c<|im_end|>",
    ]


def test_an_answer_that_repeats_the_question_is_found_in_its_place() -> None:
    for template in (CHATML, FORGETFUL, THINKING, INSTRUCT):
        rendered = render_chat(byte_tokenizer(template), chat("yes", "yes", "yes", "yes"))
        assert len(rendered.spans) == 2
        for number, (start, end) in enumerate(rendered.spans):
            assert "yes" in rendered.text[start:end]
            assert rendered.text[:start].count("yes") == 2 * number + 1


def test_a_conversation_may_begin_with_the_assistant() -> None:
    messages = chat("Welcome", "Hi", "Hello", first="assistant")
    wanted = ["Welcome<|im_end|>", "Hello<|im_end|>"]
    assert learned(byte_tokenizer(CHATML), messages) == wanted


def test_earlier_answers_that_the_template_rewrites_are_found() -> None:
    messages = chat("a", "<think>hm</think>\n\nb", "c", "d", "e", "f")
    assert learned(byte_tokenizer(FORGETFUL), messages) == [
        "b<|im_end|>",
        "d<|im_end|>",
        "<think>\n\n</think>\n\nf<|im_end|>",
    ]


def test_a_prompt_that_begins_a_thought_does_not_hide_answers_without_one() -> None:
    messages = chat("a", "<b> is b", "a", "<think>hm</think>d")
    wanted = ["<b> is b<|im_end|>", "d<|im_end|>"]
    assert learned(byte_tokenizer(THINKING), messages) == wanted


@pytest.mark.parametrize(
    ("template", "messages", "code"),
    [
        (DEAF, chat("a", "b"), "task.chat_template_loses_answer"),
        (DEAF, chat("a", "b", "c", "d"), "task.chat_template_loses_answer"),
        (STRICT, chat("a", "b", first="assistant"), "task.chat_template_fails"),
        ("{{ messages[0].nothing.more }}", chat("a", "b"), "task.chat_template_fails"),
        ("{% if %}", chat("a", "b"), "task.chat_template_fails"),
    ],
)
def test_a_template_that_does_not_work_is_named_with_the_place(
    template: str, messages: list[dict[str, str]], code: str
) -> None:
    with refused(code, place="a.jsonl:3"):
        render_chat(byte_tokenizer(template), messages, place=Place("a.jsonl", 3))


def test_what_a_template_itself_objects_to_is_quoted() -> None:
    with refused("task.chat_template_fails", reason="user first"):
        render_chat(byte_tokenizer(STRICT), chat("a", "b", first="assistant"))


# --- Plain text ----------------------------------------------------------------


def test_a_completion_is_learned_with_its_end() -> None:
    tokenizer = byte_tokenizer()
    assert render_plain(tokenizer, "2+2=", "4") == Rendered("2+2=4</s>", ((4, 9),), plain=True)
    assert render_plain(tokenizer, "2+2=", "4</s>").text == "2+2=4</s>"
    assert render_plain(tokenizer, "2+2=", "4", "all").spans == ((0, 9),)


def test_a_prompt_alone_has_no_end_and_nothing_to_learn() -> None:
    assert render_plain(byte_tokenizer(), "2+2=", None) == Rendered("2+2=", (), plain=True)


@pytest.mark.parametrize("single", ["<s> $A", "<s> $A </s>"])
def test_plain_text_has_the_tokenizers_own_tokens_and_ends_once(single: str) -> None:
    tokenizer = with_own_tokens(single)
    rendered = [render_plain(tokenizer, "ab", "c"), render_plain(tokenizer, "", "abc")]
    encoded = tokenise_chat(tokenizer, rendered, 64)
    assert [tokenizer.decode(encoded[i]) for i in (0, 1)] == ["<s>abc</s>"] * 2
    assert [learned_tokens(tokenizer, encoded, i) for i in (0, 1)] == ["c</s>", "abc</s>"]


def test_templates_write_their_own_first_token_and_it_is_not_doubled() -> None:
    tokenizer = with_own_tokens("<s> $A </s>")
    ensure_template(tokenizer)
    encoded = tokenise_chat(tokenizer, [render_chat(tokenizer, chat("a", "b"))], 64)
    assert tokenizer.decode(encoded[0]) == "<s>User:\na\nAssistant:\nb</s>\n"


# --- Labels --------------------------------------------------------------------


def test_the_real_end_is_learned_though_the_padding_is_the_same_token() -> None:
    """Pitfall S4: pad = EOS must not mask the real EOS label."""
    tokenizer = default_tokenizer()
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    rendered = [render_chat(tokenizer, chat("a", said)) for said in ("b", "a longer answer")]
    encoded = tokenise_chat(tokenizer, rendered, 64)
    batch = pad(encoded, [0, 1], tokenizer.pad_token_id)
    for row in (0, 1):
        labels = batch["labels"][row]
        assert (labels == tokenizer.eos_token_id).sum() == 1
        assert (
            labels[batch["attention_mask"][row] == 0].tolist().count(IGNORED)
            == (batch["attention_mask"][row] == 0).sum()
        )


@pytest.mark.parametrize("answer", ["你好，世界", "naïve 🙂🙂", " spaces  inside ", "a\n\nb", "b"])
def test_labels_say_the_answer_and_its_end_to_the_letter(answer: str) -> None:
    tokenizer = default_tokenizer()
    encoded = tokenise_chat(tokenizer, [render_chat(tokenizer, chat("问", answer))], 512)
    assert learned_tokens(tokenizer, encoded, 0) == answer + "</s>"


def test_tokens_that_reach_over_the_seam_are_learned() -> None:
    tokenizer = make_tokenizer("decoder", "gpt2")
    encoded = tokenise_chat(tokenizer, [Rendered("good film", ((2, 4),)), Rendered("good", ())], 8)
    assert learned_tokens(tokenizer, encoded, 0) == "good"
    assert learned_tokens(tokenizer, encoded, 1) == ""


def test_long_examples_lose_their_end_and_are_marked() -> None:
    tokenizer = default_tokenizer()
    rendered = [render_chat(tokenizer, chat("ab", said)) for said in ("c", "cdefgh")]
    whole, cut = tokenise_chat(tokenizer, rendered, 64), tokenise_chat(tokenizer, rendered, 24)
    assert whole.truncated.tolist() == [False, False]
    assert cut.truncated.tolist() == [False, True]
    assert cut.lengths.tolist() == [23, 24]
    assert cut[1].tolist() == whole[1][:24].tolist()
    assert learned_tokens(tokenizer, cut, 0) == "c</s>"
    assert learned_tokens(tokenizer, cut, 1) == "cdef"


def test_padding_and_cutting_that_a_tokenizer_file_asks_for_are_overridden() -> None:
    tokenizer = default_tokenizer()
    tokenizer.backend_tokenizer.enable_padding(length=99)
    tokenizer.backend_tokenizer.enable_truncation(max_length=4)
    encoded = tokenise_chat(tokenizer, [render_chat(tokenizer, chat("ab", "c"))], 64)
    assert encoded.lengths.tolist() == [23]


def test_examples_with_nothing_to_learn_can_be_found() -> None:
    tokenizer = default_tokenizer()
    rendered = [render_chat(tokenizer, chat(asked, "b")) for asked in ("a", "a" * 50)]
    assert trained_tokens(tokenise_chat(tokenizer, rendered, 30)).tolist() == [2, 0]


def test_the_first_token_is_not_counted_for_nothing_precedes_it() -> None:
    tokenizer = byte_tokenizer()
    rendered = [render_plain(tokenizer, "", said) for said in ("", "a", "abc")]
    encoded = tokenise_chat(tokenizer, rendered, 64)
    assert encoded.lengths.tolist() == [1, 2, 4]
    assert trained_tokens(encoded).tolist() == [0, 1, 3]


def test_progress_is_told() -> None:
    heard: list[int] = []
    tokenise_chat(byte_tokenizer(), [Rendered("a", ())] * 2500, 8, heard.append)
    assert heard == [1000, 2000, 2500]


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False

    with refused("task.tokenizer_without_offsets", tokenizer="Slow"):
        tokenise_chat(Slow(), [], 8)  # type: ignore[arg-type]


# --- Prompts -------------------------------------------------------------------


def test_a_prompt_is_all_before_the_last_answer() -> None:
    tokenizer = default_tokenizer()
    asked, answer = prompt_of(tokenizer, chat("a", "b", "c", "d"))
    assert asked.text == "User:\na\nAssistant:\nb</s>\nUser:\nc\nAssistant:\n"
    assert answer == "d"


def test_a_question_is_asked_whole_and_has_no_answer() -> None:
    tokenizer = default_tokenizer()
    asked, answer = prompt_of(tokenizer, chat("a", "b", "c"))
    assert asked.text.endswith("User:\nc\nAssistant:\n")
    assert answer is None
    assert prompt_of(tokenizer, "Once") == (Rendered("Once", (), plain=True), None)


def test_an_answer_to_nothing_has_the_beginning_as_its_prompt() -> None:
    asked, answer = prompt_of(byte_tokenizer(CHATML), chat("Welcome", first="assistant"))
    assert (asked.text, answer) == ("<|im_start|>assistant\n", "Welcome")


def test_an_answer_is_over_with_the_end_or_what_closes_a_turn() -> None:
    tokenizer = byte_tokenizer(CHATML)
    wanted = tokenizer.convert_tokens_to_ids(["</s>", "<|im_end|>"])
    assert stop_ids(tokenizer) == wanted
    assert stop_ids(default_tokenizer()) == wanted[:1]
    assert stop_ids(byte_tokenizer(UNCLOSED)) == wanted[:1]


# --- Packing -------------------------------------------------------------------


def plain_examples(tokenizer: Any, lengths: list[int], max_length: int = 64) -> Encoded:
    random = np.random.default_rng(0)
    letters = ["".join(random.choice(list("abcdefgh"), n - 1)) for n in lengths]
    rendered = [
        render_plain(tokenizer, said[: n // 3], said[n // 3 :]) for n, said in enumerate(letters)
    ]
    return tokenise_chat(tokenizer, rendered, max_length)


def test_packs_hold_whole_examples_with_positions_of_their_own() -> None:
    encoded = plain_examples(byte_tokenizer(), [5, 9, 3, 7, 2])
    packed, packs = pack(encoded, 12)
    assert packs == [[1, 2], [3, 0], [4]]
    assert packed.lengths.tolist() == [12, 12, 2]
    assert packed[0].tolist() == [*encoded[1], *encoded[2]]
    assert packed.positions is not None and packed.labels is not None
    assert packed.positions[:12].tolist() == [*range(9), *range(3)]
    assert (packed.labels[packed.positions == 0] == IGNORED).all()


def test_packing_neither_loses_nor_adds_anything_to_learn() -> None:
    encoded = plain_examples(byte_tokenizer(), [5, 9, 3, 7, 2, 40])
    packed, packs = pack(encoded, 16)
    assert sorted(index for members in packs for index in members) == list(range(6))
    assert packed.labels is not None
    counted = [int(trained_tokens(encoded)[members].sum()) for members in packs]
    assert trained_tokens(packed).tolist() == counted
    assert (packed.labels != IGNORED).sum() == trained_tokens(encoded).sum()


def test_a_pack_of_cut_examples_is_marked_as_cut() -> None:
    packed, packs = pack(plain_examples(byte_tokenizer(), [3, 9, 5], 8), 8)
    assert packs == [[1], [2, 0]]
    assert packed.truncated.tolist() == [True, False]


def test_an_example_longer_than_a_pack_has_one_of_its_own() -> None:
    _, packs = pack(plain_examples(byte_tokenizer(), [3, 9, 5]), 8)
    assert packs == [[1], [2, 0]]


def test_nothing_packs_to_nothing() -> None:
    packed, packs = pack(plain_examples(byte_tokenizer(), [3]).take([]), 12)
    assert (len(packed), packs) == (0, [])


def token_losses(model: Any, batch: dict[str, np.ndarray]) -> torch.Tensor:
    """Losses of all labelled tokens, in order."""
    inputs = {name: torch.as_tensor(track) for name, track in batch.items()}
    labels = inputs.pop("labels")
    logits = model(**inputs, use_cache=False).logits[:, :-1]
    wanted = labels[:, 1:]
    losses = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), wanted, reduction="none", ignore_index=IGNORED
    )
    return losses[wanted != IGNORED]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2", "mistral"])
def test_packed_losses_equal_unpacked_ones_example_by_example(
    tiny: Callable[..., str], family: str, attention: str
) -> None:
    """Rows of a batch are padded, hold one example or several, and go without a mask."""
    from transformers import AutoModelForCausalLM

    tokenizer = byte_tokenizer()
    folder = tiny(family, vocab_size=len(tokenizer))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention).eval()
    encoded = plain_examples(tokenizer, [20, 9, 13, 7, 2, 5, 30])
    packed, packs = pack(encoded, 31)
    assert len(packs) < len(encoded) and len(set(packed.lengths)) > 1
    batch = pad(packed, range(len(packs)), tokenizer.pad_token_id)
    del batch["attention_mask"]
    with torch.no_grad():
        together = token_losses(model, batch)
        alone = [
            token_losses(model, pad(encoded, [index], tokenizer.pad_token_id))
            for members in packs
            for index in members
        ]
    assert len(together) == trained_tokens(encoded).sum()
    for losses, wanted in zip(together.split([len(part) for part in alone]), alone, strict=True):
        torch.testing.assert_close(losses, wanted, rtol=0, atol=1e-5)


def test_the_test_of_packing_sees_a_leak(tiny: Callable[..., str]) -> None:
    """With a mask of padding only, transformers does not tell the examples of a row apart."""
    from transformers import AutoModelForCausalLM

    tokenizer = byte_tokenizer()
    folder = tiny("llama", vocab_size=len(tokenizer))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    packed, _ = pack(plain_examples(tokenizer, [20, 9]), 31)
    batch = pad(packed, [0], tokenizer.pad_token_id)
    with torch.no_grad():
        leaking = token_losses(model, batch)
        del batch["attention_mask"]
        assert (leaking - token_losses(model, batch)).abs().max() > 1e-3


# --- Real data and models ------------------------------------------------------


def read(shared: Path, name: str, number: int = 200) -> Table:
    path, faults = str(shared / "data" / name), Faults()
    table = read_file(path, DataConfig(train=path), faults)
    assert table is not None
    converted = convert_conversations(table, {}, faults)
    assert list(faults) == []
    columns = {column: cells[:number] for column, cells in converted.columns.items()}
    return Table(path, columns, converted.lines[:number])


@pytest.mark.parametrize("template", [None, CHATML, INSTRUCT, FORGETFUL])
@pytest.mark.parametrize(
    "name",
    [
        "instruct_en_alpaca/test.jsonl",
        "instruct_zh_alpaca/test.jsonl",
        "chat_en_glaive/train.jsonl",
        "chat_zh_glaive/train.jsonl",
        "llamafactory_demo/kto_en_demo.json",
    ],
)
def test_the_labels_of_real_conversations_say_their_answers(
    shared: Path, name: str, template: str | None
) -> None:
    tokenizer = byte_tokenizer(template)
    ensure_template(tokenizer)
    conversations = read(shared, name).columns["messages"]
    rendered = [render_chat(tokenizer, messages) for messages in conversations]
    encoded = tokenise_chat(tokenizer, rendered, 10**6)
    end = {None: "</s>", INSTRUCT: "</s>"}.get(template, "<|im_end|>")
    for index, messages in enumerate(conversations):
        answers = [said["content"] for said in messages if said["role"] == "assistant"]
        found = learned_tokens(tokenizer, encoded, index).replace("<think>\n\n</think>\n\n", "")
        if template == INSTRUCT:
            answers = [" " + answer.strip() for answer in answers]
        stripped = template == FORGETFUL and len(answers) > 1
        answers = [*(a.strip() for a in answers[:-1]), answers[-1]] if stripped else answers
        assert found == "".join(answer + end for answer in answers)


@pytest.mark.parametrize("model", ["stories260K", "babyllama-tok105"])
def test_real_tokenizers_end_what_they_learn_and_ask_as_they_learned(
    shared: Path, model: str
) -> None:
    """The prompt that is generated from has the tokens that stand before the answer.

    Not where a line break and what follows are one unknown token, as the smaller one has it.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(shared / "models" / model)
    tokenizer.pad_token = tokenizer.eos_token
    ensure_template(tokenizer)
    conversations = read(shared, "instruct_en_alpaca/test.jsonl").columns["messages"]
    encoded = tokenise_chat(
        tokenizer, [render_chat(tokenizer, said) for said in conversations], 10**6
    )
    assert encoded.labels is not None
    for index, messages in enumerate(conversations):
        labels = encoded.labels[encoded.offsets[index] : encoded.offsets[index + 1]]
        places = np.flatnonzero(labels != IGNORED)
        assert labels[places[-1]] == tokenizer.eos_token_id
        prompt = tokenizer(prompt_of(tokenizer, messages)[0].text, add_special_tokens=False)[
            "input_ids"
        ]
        if labels[places[0]] != tokenizer.unk_token_id:
            assert encoded[index][: places[0]].tolist() == prompt


@pytest.mark.parametrize(
    "name", ["math_en_gsm8k/test.jsonl", "text_en_tinystories/validation.jsonl"]
)
def test_the_labels_of_real_plain_text_say_the_completion(shared: Path, name: str) -> None:
    tokenizer, table = byte_tokenizer(), read(shared, name)
    pairs = list(zip(table.columns["prompt"], table.columns["completion"], strict=True))
    encoded = tokenise_chat(tokenizer, [render_plain(tokenizer, *pair) for pair in pairs], 10**6)
    for index, (_, completion) in enumerate(pairs):
        assert learned_tokens(tokenizer, encoded, index) == completion + "</s>"


@pytest.mark.parametrize("limit", [2, 3, 5, 8, 100])
def test_windows_teach_every_token_but_the_first_exactly_once(limit: int) -> None:
    texts = [list(range(10, 10 + size)) for size in (1, 2, 5, 9, 17)]
    encoded = Encoded.of(texts, [False] * 5, labels=texts)
    rows, sources = windows(encoded, limit)
    learned: dict[int, list[int]] = {text: [] for text in range(5)}
    for row, text in enumerate(sources):
        assert len(rows[row]) <= limit
        learned[text] += rows[row].tolist()[1:]
    assert [learned[text] for text in range(5)] == [text[1:] for text in texts]
    np.testing.assert_array_equal(rows.labels, rows.ids)
