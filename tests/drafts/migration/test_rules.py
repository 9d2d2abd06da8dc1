"""Tables of keys: what they say is true of our configs, and how a rule is followed."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.config import RunConfig
from welltuned.drafts.given import nested
from welltuned.drafts.migration import rules
from welltuned.drafts.migration.carry import KINDS, run_keys, takes
from welltuned.drafts.migration.migrate import LIBRARIES
from welltuned.drafts.migration.rules import Fate, KeyTable, Rule, read_table
from welltuned.errors import Faults
from welltuned.schema.document import Document
from welltuned.schema.validation import validate
from welltuned.strategies import STRATEGIES
from welltuned.tasks import TASKS

TABLES = {name: one.table for name, one in LIBRARIES.items()}
VARIANTS = {"task": list(TASKS.own), "strategy": list(STRATEGIES.own)}
OF_PEFT = {"strategy.modules_to_save", "strategy.layers_to_transform"}
"""Options of PEFT's `LoraConfig`, which LoRA takes beside its own."""
CARRIED = [
    (f"{name}-{key}", table, key, rule)
    for name, table in TABLES.items()
    for key, rule in table.rules.items()
    if rule.to is not None
]
RULES = [pytest.param(table, key, rule, id=name) for name, table, key, rule in CARRIED]
CHOICES = [
    pytest.param(table, key, rule, id=name) for name, table, key, rule in CARRIED if rule.values
]


def variant_of(path: str) -> str | None:
    """A kind of task or strategy that has a key; none is needed for other keys."""
    part = path.partition(".")[0]
    return next((kind for kind in VARIANTS.get(part, ()) if takes(path, kind)), None)


@pytest.mark.parametrize(("table", "key", "rule"), RULES)
def test_every_key_of_ours_that_a_table_names_exists(table: KeyTable, key: str, rule: Rule) -> None:
    known = {one.key for one in run_keys()} | OF_PEFT
    assert {rule.to, *(path for also in rule.also.values() for path in also)} <= known
    assert rule.instead_of is None or rule.instead_of in known
    assert rule.to is None or takes(rule.to, variant_of(rule.to))


@pytest.mark.parametrize(("table", "key", "rule"), CHOICES)
def test_every_value_of_ours_that_a_table_names_may_be_written(
    table: KeyTable, key: str, rule: Rule
) -> None:
    assert rule.to is not None and rule.values is not None
    for theirs, ours in rule.values.items():
        if ours is None:
            continue
        also = dict(rule.also.get(theirs, {}))
        beside: dict[str, Any] = {"training.eval_steps": 5} if ours == "steps" else {}
        part, kind = rule.to.partition(".")[0], variant_of(rule.to)
        if kind is not None and rule.to not in KINDS:
            beside[f"{part}.type"] = kind
        values = nested({"model.name": "m", "data.train": "d.csv", **beside, rule.to: ours, **also})
        faults = Faults()
        validate(RunConfig, Document(values), faults)
        assert list(faults) == [], (theirs, ours)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_hangs_together(name: str) -> None:
    table = TABLES[name]
    given = {
        **table.defaults,
        **{k: v for one in table.defaults_of.values() for k, v in one.items()},
    }
    assert set(given) <= set(table.rules), "a default goes through the rule of its key"
    assert not table.own & set(table.rules), "a key is read once"
    assert table.marks <= {*table.rules, *table.own}
    assert all(rule.because for rule in table.rules.values() if rule.to is None)
    assert all(rule.because for rule in table.rules.values() if rule.only)
    carried = {rule.to for rule in table.rules.values()}
    assert carried >= {"model.name", "strategy.type"}
    for task, roles in table.columns.items():
        assert all(isinstance(role, str) for role in roles.values()), task


@pytest.mark.parametrize("name", TABLES)
def test_defaults_are_told_where_ours_are_others(name: str) -> None:
    """A default that is also ours need not be written down."""
    table = TABLES[name]
    ours = {one.key: one.default for one in run_keys()}
    for key, value in table.defaults.items():
        rule = table.rules[key]
        found = rule.translate(value)
        assert not isinstance(found, Fate)
        assert rule.to in KINDS or ours.get(str(rule.to)) != str(found), key


@pytest.mark.parametrize(
    ("rule", "given", "found"),
    [
        (Rule("a"), 3, 3),
        (Rule("a", values={"x": "y"}), "x", "y"),
        (Rule("a", values={"x": "y"}), ["x"], "y"),
        (Rule("a", values={"x": "y"}), "z", Fate.REFUSED),
        (Rule("a", values={"x": "y"}), {"x": 1}, Fate.REFUSED),
        (Rule("a", values={"x": None}), "x", Fate.NOTHING),
        (Rule("a", values={-1: None}, other=True), 7, 7),
        (Rule("a", values={True: "on"}), "yes", "on"),
        (Rule("a", values={"no": "never"}), "no", "never"),
        (Rule("a", values={"no": "never", False: "off"}), "no", "off"),
        (Rule("a", listed=True), "x, y", ["x", "y"]),
        (Rule("a", values={"all": "auto"}, other=True, listed=True), "all", "auto"),
        (Rule("a", listed=True), ["x"], ["x"]),
        (Rule("a", only="share"), 0.1, 0.1),
        (Rule("a", only="share"), 10, Fate.REFUSED),
        (Rule("a", only="whole"), 0.1, Fate.REFUSED),
        (Rule("a", only="whole"), 10, 10),
        (Rule("a", only="whole"), True, Fate.REFUSED),
        (Rule("a", implied="wandb"), "mine", "wandb"),
        (Rule("a", implied="wandb"), "", Fate.NOTHING),
        (Rule(because="why"), "wandb", Fate.REFUSED),
        (Rule(because="why"), "none", Fate.NOTHING),
        (Rule(because="why"), False, Fate.NOTHING),
        (Rule(because="why", needed=False), "wandb", Fate.NOTHING),
    ],
)
def test_a_rule_says_what_a_value_is_here(rule: Rule, given: object, found: object) -> None:
    assert rule.translate(given) == found


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ("wandb", ["wandb"]),
        ("wandb, comet_ml", ["wandb", "comet_ml"]),
        (["wandb", "wandb"], ["wandb"]),
        ("all", ["tensorboard", "mlflow"]),
        (["mlflow", "all"], ["mlflow", "tensorboard"]),
        ([], ["none"]),
        ([{}], [{}]),
        (True, [True]),
    ],
)
def test_trackers_are_carried_over_one_by_one(
    given: object, parts: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "installed_trackers", lambda: ["tensorboard", "mlflow"])
    assert Rule("a", trackers=True).parts(given) == parts
    assert Rule("a", listed=True).parts(given) == [given]


def test_a_table_inherits_and_wins_over_what_it_inherits() -> None:
    shared, own = read_table("training_arguments"), read_table("axolotl")
    assert own.rules["weight_decay"] == shared.rules["weight_decay"]
    assert own.rules["gradient_checkpointing"] != shared.rules["gradient_checkpointing"]
