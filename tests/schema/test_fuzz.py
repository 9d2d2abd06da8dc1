"""Whatever a config holds: a config, or faults that say why not; no other error, and an end."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as some

from fuzzing import NUMBERS, mutated, try_out
from welltuned.config import RunConfig, read_run_config, run_config_from
from welltuned.errors import Faults, InputError
from welltuned.schema.document import yaml_value

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.yaml"))
TAGGED = (
    "!!int ''", "!!bool x", "!!timestamp x", "!!binary x", "!!set {a}", "!!omap [a: 1]",
    "!!float", "!!python/object:os.system x", "&a [*a]", "*a", "{<<: 1}", "{[1]: 2}", "{null: 1}",
    "2024-13-45", '"\\uD800"', "[" * 500, "? a", "<<", "=", "1:99", "!x y", "|", ">", "%",
    "\ufeff", "\x00", "",
)  # fmt: skip
KEYS = [
    *RunConfig.model_fields, "data.train", "data.columns.text", "data.encoding", "data.missing",
    "data.split.test", "task.type", "task.problem", "strategy.type", "strategy.r",
    "protection.0.type", "training.num_train_epochs", "training.learning_rate", "training.optim",
    "training.trainer.x", "model.name", "evaluation.x", "report.language", "", ".", "a..b", "1",
    "data.0.x",
]  # fmt: skip
WORDS = [
    "lora",
    "full",
    "classification",
    "auto",
    "find",
    "l2sp",
    "demo:sentiment_en",
    "0",
    "-1",
    "{}",
]
scalars = (
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=6)
    | some.sampled_from(WORDS) | some.dates() | some.binary(max_size=3)
)  # fmt: skip
names = some.sampled_from(
    [key for key in KEYS if key.isidentifier()] + ["type", "name", "train", "r"]
)
values = some.recursive(
    scalars,
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(names | some.text(max_size=3) | some.integers(), inner, max_size=4)
    ),
    max_leaves=8,
)
written = some.sampled_from([*TAGGED, *WORDS]) | some.text(max_size=8)
overrides = some.lists(
    some.tuples(some.sampled_from(KEYS) | some.text(max_size=5), written).map("=".join)
    | some.text(max_size=6),
    max_size=3,
)


def hold(given: tuple[bytes, Sequence[str]]) -> None:
    """What must hold of any file and arguments."""
    raw, arguments = given
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "c.yaml"
        file.write_bytes(raw)
        faults = Faults()
        config, _ = read_run_config(file, arguments, faults)
        assert (config is None) == bool(len(faults))
        for fault in faults:
            assert fault.code and "\n" not in str(fault)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_file_of_any_bytes(number: int) -> None:
    raw = some.binary(max_size=60) | some.text(max_size=60).map(str.encode)
    try_out(number, some.tuples(raw, overrides), hold)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_example_in_which_pieces_are_changed(number: int) -> None:
    assert EXAMPLES
    raw = some.sampled_from([file.read_bytes() for file in EXAMPLES]).flatmap(mutated)
    try_out(number, some.tuples(raw, overrides), hold)


@pytest.mark.parametrize("number", NUMBERS)
def test_keys_that_are_known_with_any_values(number: int) -> None:
    plain = some.dictionaries(names, values, max_size=5).map(
        lambda one: yaml.safe_dump(one, allow_unicode=True).encode("utf-8", "surrogatepass")
    )
    tagged = some.lists(
        some.tuples(names, some.sampled_from(TAGGED)).map(": ".join), max_size=3
    ).map(lambda lines: "\n".join(["model: m", "data: d.csv", *lines]).encode())
    try_out(number, some.tuples(plain | tagged, overrides), hold)


@pytest.mark.parametrize("number", NUMBERS)
def test_keyword_arguments_of_any_values(number: int) -> None:
    def build(given: dict[str, object]) -> None:
        try:
            run_config_from(given)
        except InputError as error:
            assert error.faults and "\n\n" not in str(error)

    try_out(number, some.dictionaries(names | some.text(max_size=3), values, max_size=5), build)


@pytest.mark.parametrize("number", NUMBERS)
def test_words_of_a_command_line(number: int) -> None:
    def read(text: str) -> None:
        str(yaml_value(text))

    try_out(number, written | some.text(), read)


def test_an_error_that_is_not_ours_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*given: Any) -> Any:
        return None, None

    monkeypatch.setitem(globals(), "read_run_config", silent)
    with pytest.raises(AssertionError):
        hold((b"model: m", []))
