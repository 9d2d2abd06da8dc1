"""Requests that wait are answered together, and none harms another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from welltuned.deployment.server.batcher import Batcher
from welltuned.deployment.server.limits import ServerLimits
from welltuned.deployment.server.refusal import Refusal
from welltuned.deployment.server.work_rate import work_of

WAIT = 10


@pytest.fixture(autouse=True)
def large_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so many batches that there is something to sort."""
    monkeypatch.setattr("welltuned.deployment.server.batch_choice._SWEEP", 8)
    monkeypatch.setattr("welltuned.deployment.server.batch_choice._LARGER", 1)


class Echo:
    """Stands in for a predictor: answers with the input, notes its batches, and can be held up."""

    def __init__(self, writes: bool = False) -> None:
        self.problem = SimpleNamespace(responder=object() if writes else None)
        self.tokenizer = SimpleNamespace(is_fast=False)
        self.replicas: list[Echo] = []
        self.batches: list[list[object]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def answer_all(
        self, parts: Iterable[Sequence[object]], source: str
    ) -> Iterator[tuple[object, dict[str, Any]]]:
        (inputs,) = parts
        assert self.may_go_on.wait(WAIT)
        self.batches.append(list(inputs))
        if "poison" in inputs:
            raise RuntimeError("what is this?")
        for line, one in enumerate(inputs, 1):
            own = one.get("id") if isinstance(one, dict) else None
            yield one, {"id": own or f"{source}:{line}", "prediction": one}


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def batcher(echo: Echo) -> Iterator[Callable[..., Batcher]]:
    made: list[Batcher] = []

    def make(model: Any = echo, **limits: Any) -> Batcher:
        made.append(Batcher(model, ServerLimits(**{"max_wait": 0.0, **limits})))
        return made[-1]

    yield make
    echo.may_go_on.set()
    for one in made:
        one.close(WAIT)


@pytest.fixture
def busy(echo: Echo, batcher: Callable[..., Batcher]) -> Callable[..., Batcher]:
    """A batcher whose model is held up by a first request, until `echo.may_go_on` is set."""

    def make(**limits: Any) -> Batcher:
        echo.may_go_on.clear()
        one = batcher(**limits)
        begun = one.submit(["first"])
        while one.waiting:  # until the model's thread has taken it
            threading.Event().wait(0.001)
        assert not begun.done()
        return one

    return make


def answers(future: Future[Any]) -> list[Any]:
    return [row["prediction"] for row in future.result(WAIT)]


def test_what_comes_while_the_model_is_busy_is_answered_together(echo: Echo, busy: Any) -> None:
    batcher = busy()
    asked = [batcher.submit([f"a{i}", f"b{i}"]) for i in range(5)]
    echo.may_go_on.set()
    assert [answers(one) for one in asked] == [[f"a{i}", f"b{i}"] for i in range(5)]
    assert [len(batch) for batch in echo.batches] == [1, 10]


def test_a_lone_request_waits_for_others_no_longer_than_it_may(echo: Echo, batcher: Any) -> None:
    patient = batcher(max_wait=0.2)
    together = [patient.submit([text]) for text in "abc"]
    assert [answers(one) for one in together] == [["a"], ["b"], ["c"]]
    assert echo.batches == [["a", "b", "c"]]


def test_ids_are_those_of_each_request(echo: Echo, busy: Any) -> None:
    batcher = busy()
    asked = [batcher.submit(["a", "b"]), batcher.submit(["c", "d"])]
    rows = batcher.submit([{"id": "mine", "text": "e"}, {"text": "f"}])
    echo.may_go_on.set()
    for one in asked:
        assert [row["id"] for row in one.result(WAIT)] == ["inputs:1", "inputs:2"]
    assert [row["id"] for row in rows.result(WAIT)] == ["mine", "inputs:2"]


def test_rows_by_column_names_are_read_with_no_others(echo: Echo, busy: Any) -> None:
    """What their columns are follows from all of their cells."""
    batcher = busy()
    rows = [{"text": "a"}, {"text": "b"}]
    asked = [batcher.submit(given) for given in (["x"], rows, rows, ["y"], ["z"])]
    echo.may_go_on.set()
    assert [len(answers(one)) for one in asked] == [1, 2, 2, 1, 1]
    assert echo.batches == [["first"], ["x"], rows, rows, ["y", "z"]]


def test_a_large_request_is_answered_in_parts_and_small_ones_need_not_wait_for_all(
    echo: Echo, busy: Any
) -> None:
    """Of 512 tokens at first, a batch holds 56 such words."""
    batcher = busy()
    words = [f"{i:024}" for i in range(200)]
    ended: list[str] = []
    large, small = batcher.submit(words), batcher.submit(["small"])
    large.add_done_callback(lambda _: ended.append("large"))
    small.add_done_callback(lambda _: ended.append("small"))
    echo.may_go_on.set()
    assert answers(large) == words and answers(small) == ["small"]
    assert [row["id"] for row in large.result()] == [f"inputs:{i}" for i in range(1, 201)]
    assert len(echo.batches) > 2 and ended == ["small", "large"]


def test_one_that_fails_harms_no_other(echo: Echo, busy: Any) -> None:
    batcher = busy()
    good, bad, other = (batcher.submit([text]) for text in ("good", "poison", "other"))
    echo.may_go_on.set()
    assert answers(good) == ["good"] and answers(other) == ["other"]
    with pytest.raises(RuntimeError, match="what is this"):
        bad.result(WAIT)
    assert answers(batcher.submit(["later"])) == ["later"] and batcher.alive


def test_the_rest_of_a_request_that_failed_is_not_answered(echo: Echo, busy: Any) -> None:
    batcher = busy()
    failed = batcher.submit(["poison", *(f"{i:024}" for i in range(200))])
    echo.may_go_on.set()
    with pytest.raises(RuntimeError):
        failed.result(WAIT)
    assert answers(batcher.submit(["later"])) == ["later"]
    assert [len(batch) for batch in echo.batches][-1] == 1 and batcher.waiting == 0


def test_those_who_have_gone_are_not_answered(echo: Echo, busy: Any) -> None:
    batcher = busy()
    gone, stays = batcher.submit(["gone"]), batcher.submit(["stays"])
    assert gone.cancel()
    echo.may_go_on.set()
    assert answers(stays) == ["stays"]
    assert echo.batches == [["first"], ["stays"]] and batcher.waiting == 0


def test_a_full_queue_refuses_and_says_when_to_come_again(echo: Echo, busy: Any) -> None:
    batcher = busy(queue=3)
    taken = batcher.submit(["a", "b"])
    with pytest.raises(Refusal) as error:
        batcher.submit(["c", "d"])
    assert error.value.status == 429 and (error.value.retry_after or 0) >= 1
    assert error.value.faults[0].code == "serve.queue_full"
    last = batcher.submit(["c"])
    echo.may_go_on.set()
    assert answers(taken) == ["a", "b"] and answers(last) == ["c"]


def test_a_request_larger_than_the_queue_is_answered_where_nobody_waits(batcher: Any) -> None:
    assert len(answers(batcher(queue=3).submit(list("abcde")))) == 5


def test_work_that_needs_the_model_for_itself_has_its_turn(echo: Echo, busy: Any) -> None:
    batcher = busy()
    before = batcher.submit(["before"])
    alone = batcher.alone(lambda model: len(model.batches))
    after = batcher.submit(["after"])
    echo.may_go_on.set()
    assert answers(before) == ["before"] and answers(after) == ["after"]
    assert alone.result(WAIT) == 2
    assert echo.batches == [["first"], ["before"], ["after"]]


def test_work_that_fails_is_told_to_whoever_asked(batcher: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        batcher().alone(lambda model: 1 // 0).result(WAIT)


def test_texts_are_written_sixteen_at_a_time(batcher: Any) -> None:
    writer = Echo(writes=True)
    assert len(answers(batcher(writer).submit([f"text {i}" for i in range(40)]))) == 40
    assert [len(batch) for batch in writer.batches] == [16, 16, 8]


# --- When more waits than can be answered in time ------------------------------------


@pytest.fixture
def late(busy: Callable[..., Batcher]) -> Callable[..., Batcher]:
    """As `busy`, but that whoever waits is late; a batch holds 8 of the `LONG` texts."""

    def make(**limits: Any) -> Batcher:
        one = busy(**{"latency": 0.001, **limits})
        one._rate.learn(512, 1.0)
        return one

    return make


LONG, SHORT = [f"{i:0200}" for i in range(20)], [f"{i:03}" for i in range(20)]


def test_texts_of_like_length_are_answered_together(echo: Echo, late: Any) -> None:
    batcher = late()
    texts = [text for pair in zip(LONG, SHORT, strict=True) for text in pair]
    asked = [batcher.submit([text]) for text in texts]
    echo.may_go_on.set()
    assert [answers(one) for one in asked] == [[text] for text in texts]
    assert echo.batches[1:] == [LONG[:8], LONG[8:16], LONG[16:] + SHORT]


def test_rows_stand_as_they_were_asked_whatever_was_answered_first(echo: Echo, late: Any) -> None:
    batcher = late()
    texts = [text for pair in zip(SHORT, LONG, strict=True) for text in pair]
    asked = [batcher.submit(texts[start : start + 20]) for start in (0, 20)]
    echo.may_go_on.set()
    assert [text for one in asked for text in answers(one)] == texts
    for one in asked:
        assert [row["id"] for row in one.result()] == [f"inputs:{i}" for i in range(1, 21)]
    assert len(echo.batches) == 4


def test_nobody_is_passed_over_for_whoever_comes_later(echo: Echo, late: Any) -> None:
    """A text of the length of the next batch comes when the first of these batches has ended."""
    batcher, told, later = late(), list[int](), list[Future[Any]]()

    def heard(inputs: int, seconds: float) -> None:
        told.append(inputs)
        if len(told) == 2:
            later.append(batcher.submit(["later".ljust(200)]))

    batcher._heard = heard
    asked = [batcher.submit([text]) for text in SHORT + LONG]
    echo.may_go_on.set()
    assert [answers(one) for one in asked] == [[text] for text in SHORT + LONG]
    answers(later[0])
    assert [len(batch) for batch in echo.batches] == [1, 8, 8, 24, 1]


def test_those_who_have_gone_meanwhile_are_not_answered(echo: Echo, late: Any) -> None:
    batcher = late()
    asked = [batcher.submit([text]) for text in LONG]
    batcher._heard = lambda inputs, seconds: asked[19].cancel()
    echo.may_go_on.set()
    assert [answers(one) for one in asked[:19]] == [[text] for text in LONG[:19]]
    assert all(LONG[19] not in batch for batch in echo.batches[2:]) and batcher.waiting == 0


def test_what_would_be_late_is_refused_where_that_is_asked_for(echo: Echo, busy: Any) -> None:
    batcher = busy(refuse_late=True)
    batcher._rate.learn(512, 10.0)
    first = batcher.submit(LONG[:4])  # nobody waits: it is let in, however long it takes
    with pytest.raises(Refusal) as error:
        batcher.submit(["short"])
    assert error.value.status == 429 and 3 <= (error.value.retry_after or 0) <= 5
    assert error.value.faults[0].code == "serve.too_late"
    echo.may_go_on.set()
    assert answers(first) == LONG[:4] and batcher.waiting == 0


def test_closing_answers_what_was_taken_and_takes_no_more(echo: Echo, busy: Any) -> None:
    batcher = busy()
    taken = [batcher.submit([text]) for text in "abc"]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    while not batcher._closed:
        threading.Event().wait(0.001)
    with pytest.raises(Refusal) as error:
        batcher.submit(["late"])
    assert error.value.status == 503
    echo.may_go_on.set()
    assert [answers(one) for one in taken] == [["a"], ["b"], ["c"]]
    closing.join(WAIT)
    assert not batcher.alive


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_thread_that_has_ended(echo: Echo, busy: Any) -> None:
    batcher = busy()
    batcher._heard = lambda inputs, seconds: 1 // 0
    left = batcher.submit(["left"])
    echo.may_go_on.set()
    with pytest.raises(Refusal):
        left.result(WAIT)
    batcher._threads[0].join(WAIT)
    assert not batcher.alive


# --- Two models side by side ----------------------------------------------------------


@pytest.fixture
def two(echo: Echo, batcher: Callable[..., Batcher]) -> Iterator[tuple[Batcher, Echo, Echo]]:
    """A batcher with two models, each held up by a batch of its own until it may go on."""
    other = Echo()
    echo.replicas = [other]
    echo.may_go_on.clear()
    other.may_go_on.clear()
    one = batcher()
    for text in ("first", "second"):
        one.submit([text])
        while one.waiting:
            threading.Event().wait(0.001)
    yield one, echo, other
    other.may_go_on.set()


def test_two_models_answer_at_the_same_time(two: tuple[Batcher, Echo, Echo]) -> None:
    batcher, echo, other = two
    assert batcher.models == 2 and batcher.alive
    later = batcher.submit(["later"])
    assert not later.done()
    echo.may_go_on.set()  # and the other is still held up
    assert answers(later) == ["later"] and "later" in echo.batches[-1] and not other.batches


def test_the_parts_of_a_request_may_be_answered_by_different_models(
    two: tuple[Batcher, Echo, Echo],
) -> None:
    batcher, echo, other = two
    words = [f"{i:024}" for i in range(600)]
    large = batcher.submit(words)
    assert batcher._rate.budget * 2 < sum(map(work_of, words))
    for model in (echo, other):
        model.answer_all = slowly(model.answer_all)  # type: ignore[method-assign]
        model.may_go_on.set()
    assert answers(large) == words
    assert [row["id"] for row in large.result()] == [f"inputs:{i}" for i in range(1, 601)]
    assert min(len(model.batches) for model in (echo, other)) > 1, "both had a part"


def test_a_request_that_waits_alone_is_shared_by_both(two: tuple[Batcher, Echo, Echo]) -> None:
    batcher, echo, other = two
    words = [f"{i:024}" for i in range(60)]
    assert sum(map(work_of, words)) > 2 * 256 and batcher._rate.budget < sum(map(work_of, words))
    batcher._rate.learn(100_000, 1.0)
    large, few = batcher.submit(words), batcher.submit(["a", "b"])
    for model in (echo, other):
        model.answer_all = slowly(model.answer_all)  # type: ignore[method-assign]
        model.may_go_on.set()
    assert answers(large) == words and answers(few) == ["a", "b"]
    sizes = sorted(len(batch) for model in (echo, other) for batch in model.batches)
    assert sizes[-2:] == [28, 30], "one takes half of 546 tokens, the other what is worth sharing"


def test_a_part_that_fails_fails_its_request_once(two: tuple[Batcher, Echo, Echo]) -> None:
    batcher, echo, other = two
    bad = batcher.submit(["poison", *(f"{i:024}" for i in range(200)), "poison"])
    for model in (echo, other):
        model.may_go_on.set()
    with pytest.raises(RuntimeError):
        bad.result(WAIT)
    assert answers(batcher.submit(["later"])) == ["later"]
    assert batcher.alive and batcher.waiting == 0


def test_what_is_late_is_shared_by_both(two: tuple[Batcher, Echo, Echo]) -> None:
    """By the rate of one model these would be late, and both together have time enough."""
    batcher, *_ = two
    batcher._rate.learn(1000, 1.0)
    assert batcher._rate.seconds_for(600) == 0.6 and batcher._seconds_for(600) == 0.3


def test_closing_waits_for_both(two: tuple[Batcher, Echo, Echo]) -> None:
    batcher, echo, other = two
    taken = [batcher.submit([text]) for text in "abc"]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    for model in (echo, other):
        model.may_go_on.set()
    closing.join(WAIT)
    assert [answers(one) for one in taken] == [["a"], ["b"], ["c"]]
    assert not any(one.is_alive() for one in batcher._threads)


def slowly(answer_all: Callable[..., Any]) -> Callable[..., Any]:
    """Slow enough that another thread has its turn."""

    def answer(*given: Any) -> Any:
        threading.Event().wait(0.002)
        return answer_all(*given)

    return answer
