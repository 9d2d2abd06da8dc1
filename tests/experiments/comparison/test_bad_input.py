"""What no comparison may be made of: said in one clear line, before the first cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from comparing import HEAD, carried_out, values_for
from faults import full
from support import make_rows, write_rows
from welltuned.errors import InputError
from welltuned.experiments.comparison.locking import locked

OTHER_DATA = {
    "fewer examples": ({"max_train_examples": 20}, "train has 20 examples, not 96"),
    "other splits": ({"split": {"test": 0.3}}, "test has 36 examples, not 12"),
    "another cut": ({"split": {"seed": 5}}, "test has other examples, as many as before"),
}


def refused(values: dict[str, Any]) -> str:
    """What is said; nothing may have been trained by then."""
    with pytest.raises(InputError) as error:
        carried_out(values)
    assert not list(Path(values["output_dir"]).glob("cells/*"))
    assert len(error.value.faults) == 1
    return full(error.value.faults)[0]


@pytest.mark.parametrize("kind", OTHER_DATA)
@pytest.mark.parametrize("strategy", ["lora", "rlhf"])
def test_strategies_that_would_see_other_data(
    tiny: Any, sentiment: str, tmp_path: Path, strategy: str, kind: str
) -> None:
    data, told = OTHER_DATA[kind]
    other: dict[str, Any] = {"type": "lora", "data": data, "name": "other"}
    if strategy == "rlhf":
        judge = {"function": "my_judges.wants_negative"}
        other = {"type": "rlhf", "sft": {"data": data}, "reward": judge, "name": "other"}
    values = values_for(tiny("bert"), sentiment, tmp_path / "c", strategies=[HEAD, other])
    message = refused(values)
    assert "compare.data_differ name=other first=head" in message and told in message


def test_a_retention_set_that_shares_texts_with_the_test_split(
    tiny: Any, sentiment: str, tmp_path: Path, here: None
) -> None:
    texts = [
        {"text": json.loads(line)["text"]} for line in Path(sentiment).read_text().splitlines()
    ]
    shared = write_rows(tmp_path / "remembered.jsonl", texts)
    values = values_for(
        tiny("bert"), sentiment, tmp_path / "c", strategies=[HEAD],
        evaluation={"retention": [shared]},
    )  # fmt: skip
    message = refused(values)
    assert "data.texts_shared number=12 total=120 where=the test split" in message
    assert f"{Path(shared).name}:" in message


def test_a_budget_too_small_for_one_epoch(
    tiny: Any, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of a second: nobody has to wait for it here."""
    from welltuned.experiments.comparison.worker import feasibility

    slow = {"step": 1.0, "look": 0.5, "rest": 2.0}
    monkeypatch.setattr(feasibility, "_time", lambda config, folder, cache: slow)
    data = write_rows(tmp_path / "data.jsonl", make_rows(80))
    values = values_for(
        tiny("bert"), data, tmp_path / "c", strategies=[HEAD, "full"], seeds=3, budget="30s"
    )
    message = refused(values)
    assert "compare.budget_too_small" in message
    assert "budget=2m" in message and "budget.epochs=1 (about 2m)" in message


def test_two_comparisons_on_one_folder(tiny: Any, sentiment: str, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    values = values_for(tiny("bert"), sentiment, folder, strategies=[HEAD])
    with locked(folder):
        message = refused(values)
    assert "compare.in_progress holder=process " in message
