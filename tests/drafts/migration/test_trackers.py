"""Whom a run reports to, in the three libraries' words."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrating import found, loaded, migrated
from welltuned.drafts.migration import rules

TRL = "model_name_or_path: m\ndataset_name: a/b\n"
LLAMA_FACTORY = "model_name_or_path: m\nstage: sft\ndataset: a/b\ndataset_dir: ONLINE\n"
AXOLOTL = "base_model: m\nsequence_len: 8\ndatasets: [{path: a/b}]\n"


@pytest.mark.parametrize(
    ("text", "trackers"),
    [
        (TRL + "report_to: tensorboard\n", ["tensorboard"]),
        (TRL + "report_to: [wandb, mlflow]\n", ["wandb", "mlflow"]),
        (TRL + "report_to: all\n", ["tensorboard", "swanlab"]),
        (TRL + "report_to: none\n", []),
        (TRL, []),
        (LLAMA_FACTORY + "report_to: wandb\nuse_swanlab: true\n", ["wandb", "swanlab"]),
        (LLAMA_FACTORY + "report_to: none\nuse_swanlab: false\n", []),
        (AXOLOTL + "wandb_project: mine\nuse_tensorboard: true\n", ["wandb", "tensorboard"]),
        (AXOLOTL + "wandb_project:\nmlflow_experiment_name: ''\n", []),
        (AXOLOTL + "use_wandb: true\nwandb_project: mine\n", ["wandb"]),
    ],
)
def test_trackers_are_carried_over(
    text: str, trackers: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "installed_trackers", lambda: ["tensorboard", "swanlab"])
    assert list(loaded(tmp_path, migrated(tmp_path, text)).training.report_to) == trackers


def test_one_that_is_not_known_here_is_told_beside_those_that_are(tmp_path: Path) -> None:
    migration = migrated(tmp_path, TRL + "report_to: [comet_ml, wandb]\n")
    left, carried = (one for one in migration.findings if one.key == "report_to")
    assert (left.value, left.outcome) == ("comet_ml", "left")
    assert "training.trainer={report_to: [comet_ml]}" in left.note
    assert (carried.value, carried.outcome, carried.ours) == ("wandb", "carried", "wandb")
    assert migration.values["training"]["report_to"] == "wandb"


def test_settings_of_trackers_stay_their_own(tmp_path: Path) -> None:
    migration = migrated(tmp_path, AXOLOTL + "wandb_project: mine\nwandb_entity: us\n")
    assert "WANDB_PROJECT" in found(migration, "wandb_project").note
    assert found(migration, "wandb_entity").outcome == "left"
    assert "WANDB_ENTITY" in found(migration, "wandb_entity").note


def test_what_is_given_on_the_line_counts(tmp_path: Path) -> None:
    text = AXOLOTL + "use_wandb: true\nuse_mlflow: true\n"
    migration = migrated(tmp_path, text, "training.report_to=[trackio]")
    assert loaded(tmp_path, migration).training.report_to == ("trackio",)
    for key in ("use_wandb", "use_mlflow"):
        assert found(migration, key).note == "training.report_to on the line counts"
