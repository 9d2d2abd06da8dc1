"""Templates: each is a config as it stands, and says what it is for."""

from __future__ import annotations

import pytest

from faults import refused
from welltuned.config import RunConfig, read_run_config
from welltuned.drafts.from_template import FOLDER, read_template, template_names
from welltuned.errors import Faults
from welltuned.rlhf.read_config import load_rlhf_config


def test_there_is_one_for_each_thing_that_init_offers() -> None:
    assert template_names() == ["entities", "generation", "pairs", "rlhf"]


@pytest.mark.parametrize(
    ("name", "task"),
    [("generation", "generation"), ("pairs", "preference"), ("entities", "token_classification")],
)
def test_a_template_is_a_config_of_a_run(name: str, task: str) -> None:
    faults = Faults()
    config, _ = read_run_config(FOLDER / f"{name}.yaml", [], faults)
    assert list(faults) == []
    assert isinstance(config, RunConfig) and config.task.type == task


def test_the_template_of_a_pipeline_is_one() -> None:
    config = load_rlhf_config(str(FOLDER / "rlhf.yaml"), [])
    assert config.rl.type == "ppo" and config.reward[0].kind == "trained"


def test_every_template_has_comments() -> None:
    for name in template_names():
        text = read_template(name)
        assert text.startswith("# ") and text.count("  # ") > 5


def test_an_unknown_one_proposes_the_nearest() -> None:
    with refused("draft.template_unknown", name="pair") as raised:
        read_template("pair")
    assert "'pairs'" in raised.value.faults[0].remedy
