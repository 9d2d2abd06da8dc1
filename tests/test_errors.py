"""Faults: what a person is told, and how much of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faults import brief, codes
from welltuned.errors import Fault, Faults, InputError, Place, RunFailed, Stopped, WelltunedError
from welltuned.schema.messages import render_message


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


def test_a_fault_says_where_what_how_to_mend_it_and_its_code() -> None:
    fault = Fault(
        "data.empty", "{name} is empty", Place("a.csv", 1), "give {name} rows", name="the file"
    )
    assert str(fault) == "a.csv:1: the file is empty -> give the file rows [data.empty]"
    assert fault.values == {"name": "the file"}


def test_a_fault_without_place_or_remedy_has_no_empty_marks() -> None:
    assert str(Fault("model.missing", "no model")) == "no model [model.missing]"


def test_a_fault_stays_on_one_line_whatever_it_quotes() -> None:
    fault = Fault("a.b", "bad\nvalue\t{value!r}", None, "mend\r\nit", value="x\ny")
    assert str(fault) == r"bad value 'x\ny' -> mend it [a.b]"


def test_values_may_hold_braces() -> None:
    fault = Fault("a.b", "{value} is not {{}}", None, "write {{x: 1}}", value="{y}")
    assert str(fault) == "{y} is not {} -> write {x: 1} [a.b]"
    assert str(fault.at(Place("c"))) == "c: {y} is not {} -> write {x: 1} [a.b]"


def test_a_fault_is_the_same_after_a_way_as_plain_data() -> None:
    fault = Fault("a.b", "{value} {{}}", Place("c", 1), "mend {{it}}", value="{y}")
    assert Fault.from_dict(json.loads(json.dumps(fault.as_dict()))) == fault


def test_as_plain_data_values_are_what_json_can_hold() -> None:
    fault = Fault("a.b", "{path}", path=Path("x"), number=3)
    assert fault.as_dict()["values"] == {"path": "x", "number": 3}


def test_a_fault_as_a_message_says_what_is_wrong_alone() -> None:
    said = Fault("a.b", "{value} {{}} {path}", Place("c"), "mend it", value="{y}", path=Path("x"))
    message = json.loads(json.dumps(said.as_message()))
    assert message["code"] == "a.b" and message["values"] == {"value": "{y}", "path": "x"}
    assert render_message(message) == said.what == "{y} {} x"


def test_an_input_error_holds_all_faults_one_a_line() -> None:
    error = InputError([Fault("a.b", "first"), Fault("c.d", "second")])
    assert codes(error.faults) == ["a.b", "c.d"]
    assert str(error) == "first [a.b]\nsecond [c.d]"


def test_an_input_error_may_hold_a_single_fault() -> None:
    fault = Fault("a.b", "alone")
    assert InputError(fault).faults == (fault,)


def test_exit_statuses_tell_bad_input_from_a_failed_run_from_a_signal() -> None:
    assert InputError(Fault("a.b", "x")).exit_status == 2
    assert RunFailed(Fault("a.b", "x")).exit_status == 1
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
    faults.add("a.b", "first")
    faults.extend([Fault("c.d", "second")])
    with pytest.raises(InputError) as raised:
        faults.raise_if_any()
    assert codes(raised.value.faults) == ["a.b", "c.d"]


def test_faults_of_one_code_beyond_the_shown_are_counted_with_their_remedy() -> None:
    faults = Faults(shown=2)
    for line in range(1, 6):
        faults.add_counted("a.b", "broken", Place("f", line), "mend {line}", line=line)
    assert [str(fault) for fault in faults] == [
        "f:1: broken -> mend 1 [a.b]",
        "f:2: broken -> mend 2 [a.b]",
        "f: and 3 more like this -> mend 5 [a.b]",
    ]


def test_files_and_codes_are_counted_by_themselves() -> None:
    faults = Faults(shown=1)
    for line in (1, 2):
        for source, code in (("a", "a.b"), ("b", "a.b"), ("a", "c.d")):
            faults.add_counted(code, "broken", Place(source, line))
    assert brief(faults) == ["a:1 a.b", "b:1 a.b", "a:1 c.d", "a a.b", "b a.b", "a c.d"]


def test_as_many_faults_as_are_shown_need_no_count() -> None:
    faults = Faults(shown=2)
    for _ in range(2):
        faults.add_counted("a.b", "broken")
    assert len(faults) == 2


def test_a_flood_of_one_kind_hides_no_other_kind() -> None:
    faults = Faults(shown=1)
    for _ in range(100):
        faults.add_counted("a.b", "broken")
    faults.add_counted("a.c", "other")
    faults.add("a.d", "free")
    assert {"a.c", "a.d"} <= set(codes(faults))


def test_faults_that_are_not_counted_are_all_spelled_out() -> None:
    faults = Faults(shown=1)
    for number in range(20):
        faults.add("a.b", "fault {number}", number=number)
    assert len(faults) == 20
