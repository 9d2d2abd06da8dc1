"""Faults: what a person is told, and how much of it."""

from __future__ import annotations

import pytest

from welltuned.errors import Fault, Faults, InputError, Place, RunFailed, Stopped, WelltunedError


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place("a.csv"), "a.csv"),
        (Place("a.csv", 3), "a.csv:3"),
        (Place("a.csv", 3, 7), "a.csv:3:7"),
    ],
)
def test_a_place_is_written_as_editors_read_it(place: Place, text: str) -> None:
    assert str(place) == text


def test_a_fault_says_where_what_and_how_to_mend_it() -> None:
    fault = Fault("the file is empty", Place("a.csv", 1), "give a file with rows")
    assert str(fault) == "a.csv:1: the file is empty -> give a file with rows"


def test_a_fault_without_place_or_remedy_has_no_empty_marks() -> None:
    assert str(Fault("no model")) == "no model"


def test_a_fault_stays_on_one_line_whatever_it_quotes() -> None:
    assert str(Fault("bad\nvalue\t'x'", None, "mend\r\nit")) == "bad value 'x' -> mend it"


def test_an_input_error_holds_all_faults_one_a_line() -> None:
    error = InputError([Fault("first"), Fault("second")])
    assert [fault.what for fault in error.faults] == ["first", "second"]
    assert str(error) == "first\nsecond"


def test_an_input_error_may_hold_a_single_fault() -> None:
    assert InputError(Fault("alone")).faults == (Fault("alone"),)


def test_exit_statuses_tell_bad_input_from_a_failed_run_from_a_signal() -> None:
    assert InputError(Fault("x")).exit_status == 2
    assert RunFailed("x").exit_status == 1
    assert Stopped(15).exit_status == 143


@pytest.mark.parametrize("kind", [InputError, RunFailed, Stopped])
def test_one_base_catches_every_error(kind: type[Exception]) -> None:
    assert issubclass(kind, WelltunedError)


def test_no_fault_raises_nothing() -> None:
    faults = Faults()
    faults.raise_if_any()
    assert len(faults) == 0


def test_all_faults_are_raised_together_and_in_order() -> None:
    faults = Faults()
    faults.add("first")
    faults.extend([Fault("second")])
    with pytest.raises(InputError) as raised:
        faults.raise_if_any()
    assert [fault.what for fault in raised.value.faults] == ["first", "second"]


def test_faults_of_one_kind_beyond_the_shown_are_counted_with_their_remedy() -> None:
    faults = Faults(shown=2)
    for line in range(1, 6):
        faults.add(f"broken {line}", Place("a", line), "mend it", kind="broken lines")
    told = [str(fault) for fault in faults]
    assert told[:2] == ["a:1: broken 1 -> mend it", "a:2: broken 2 -> mend it"]
    assert told[2:] == ["and 3 more: broken lines -> mend it"]


def test_as_many_faults_as_are_shown_need_no_count() -> None:
    faults = Faults(shown=2)
    for line in (1, 2):
        faults.add(f"broken {line}", kind="broken lines")
    assert len(faults) == 2


def test_a_flood_of_one_kind_hides_no_other_kind() -> None:
    faults = Faults(shown=1)
    for _ in range(100):
        faults.add("broken", kind="broken lines")
    faults.add("other", kind="others")
    faults.add("free")
    assert {"other", "free"} <= {fault.what for fault in faults}


def test_faults_without_a_kind_are_all_spelled_out() -> None:
    faults = Faults(shown=1)
    for number in range(20):
        faults.add(f"fault {number}")
    assert len(faults) == 20
