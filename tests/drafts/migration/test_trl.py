"""TRL's configs of `trl sft` and `trl dpo`."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import refused
from migrating import found, loaded, migrated

SFT = """\
    model_name_or_path: some/model
    dataset_name: org/chats
    dataset_config: small
    dataset_train_split: train
    learning_rate: 1.0e-4
    max_length: 256
    packing: true
    assistant_only_loss: true
    use_peft: true
    lora_r: 4
    lora_target_modules: all-linear
    eval_strategy: steps
    eval_steps: 50
    warmup_steps: 10
    max_steps: 200
    num_train_epochs: 2
    bf16: true
    report_to: wandb
    load_in_4bit: true
"""
DPO = """\
    model_name_or_path: some/model
    dataset_name: ./pairs.jsonl
    beta: 0.2
    loss_type: [ipo]
    max_prompt_length: 128
    per_device_train_batch_size: 2
"""


def test_supervised_fine_tuning_is_carried_over(tmp_path: Path) -> None:
    migration = migrated(tmp_path, SFT)
    config = loaded(tmp_path, migration)
    assert migration.library == "TRL"
    assert (config.data.train, config.data.subset) == ("hub:org/chats", "small")
    task, strategy = config.task.model_dump(), config.strategy.model_dump()
    assert (task["type"], task["max_length"], task["packing"]) == ("generation", 256, True)
    assert task["train_on"] == "assistant"
    assert (strategy["type"], strategy["r"], strategy["lora_alpha"]) == ("lora", 4, 32)
    assert strategy["target_modules"] == "auto" and strategy["lora_dropout"] == 0.05
    training = config.training
    assert (training.eval_strategy, training.eval_steps) == ("steps", 50)
    assert (training.max_steps, training.num_train_epochs) == (200, "auto")


def test_what_differs_is_told(tmp_path: Path) -> None:
    migration = migrated(tmp_path, SFT)
    assert found(migration, "num_train_epochs").note == "max_steps counts"
    assert "share of all steps" in found(migration, "warmup_steps").note
    assert "warmup_ratio" not in migration.values["training"], "its default would be another one"
    for key in ("report_to", "load_in_4bit"):
        assert found(migration, key).outcome == "left"
    assert "no example" in found(migration, "packing").note


def test_the_task_is_told_by_the_keys_and_may_be_given(tmp_path: Path) -> None:
    migration = migrated(tmp_path, DPO)
    config = loaded(tmp_path, migration)
    task = config.task.model_dump()
    assert (task["type"], task["beta"], task["loss"]) == ("preference", 0.2, "ipo")
    assert config.training.learning_rate == 1e-6 and config.data.train == "./pairs.jsonl"
    assert config.strategy.type == "full", "as where use_peft is not given"
    short = "model_name_or_path: m\ndataset_name: a/b\n"
    assert loaded(tmp_path, migrated(tmp_path, short)).task.type == "generation"
    given = migrated(tmp_path, short, "task=preference")
    assert loaded(tmp_path, given).task.type == "preference"
    assert loaded(tmp_path, given).training.learning_rate == 1e-6


def test_losses_and_thumbs_are_ours(tmp_path: Path) -> None:
    text = "model_name_or_path: m\ndataset_name: a/b\n"
    kto = migrated(tmp_path, f"{text}beta: 0.3\nundesirable_weight: 1.5\nloss_type: kto\n")
    config = loaded(tmp_path, kto)
    task = config.task.model_dump()
    assert (task["type"], task["beta"], task["desirable_weight"]) == ("kto", 0.3, 1)
    assert task["undesirable_weight"] == 1.5 and config.training.learning_rate == 1e-6
    text += "loss_type: simpo\nsimpo_gamma: 0.7\n"
    task = loaded(tmp_path, migrated(tmp_path, text)).task.model_dump()
    assert (task["loss"], task["simpo_gamma"], task["beta"]) == ("simpo", 0.7, 0.1)


def test_options_of_lora_are_left_without_it(tmp_path: Path) -> None:
    migration = migrated(tmp_path, "model_name_or_path: m\ndataset_name: a/b\nlora_r: 8\n")
    assert found(migration, "lora_r").note == "full has no such option"
    assert loaded(tmp_path, migration).strategy.type == "full"


def test_a_loss_that_is_not_here_is_refused(tmp_path: Path) -> None:
    with refused("migrate.kind_unsupported", key="loss_type"):
        migrated(tmp_path, "model_name_or_path: m\ndataset_name: a/b\nbeta: 1\nloss_type: hinge\n")


@pytest.mark.parametrize(
    ("datasets", "train", "codes"),
    [
        ("[{path: a/b, name: c, split: train}]", "hub:a/b", []),
        ("[{path: json, data_files: mine.jsonl}]", "mine.jsonl", []),
        ("[{path: a/b}, {path: c/d}]", "hub:a/b", ["migrate.several_datasets"]),
    ],
)
def test_a_mixture_is_its_first_data_set(
    datasets: str, train: str, codes: list[str], tmp_path: Path
) -> None:
    migration = migrated(tmp_path, f"model_name_or_path: m\ndatasets: {datasets}\nuse_peft: true\n")
    assert migration.values["data"]["train"] == train
    assert [fault.code for fault in migration.missing] == codes


def test_without_data_or_model_what_is_missing_is_told(tmp_path: Path) -> None:
    migration = migrated(tmp_path, "use_peft: true\nmax_length: 64\n", library="trl")
    assert [fault.code for fault in migration.missing] == ["migrate.nothing_named"] * 2
    assert "# MISSING:" in migration.text
    given = migrated(tmp_path, "use_peft: true\n", "model=m", "data=d.csv", library="trl")
    assert loaded(tmp_path, given).model.name == "m"
