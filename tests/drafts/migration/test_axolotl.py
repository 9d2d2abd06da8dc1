"""axolotl's configs."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import refused
from migrating import found, loaded, migrated

SFT = """\
    base_model: some/model
    load_in_8bit: false
    load_in_4bit: true
    datasets:
      - path: org/instructions
        type: alpaca
    val_set_size: 0.05
    output_dir: ./outputs/lora
    adapter: qlora
    lora_model_dir:
    sequence_len: 2048
    sample_packing: true
    lora_r: 16
    lora_alpha: 32
    lora_dropout: 0.05
    lora_target_linear: true
    gradient_accumulation_steps: 4
    micro_batch_size: 2
    num_epochs: 2
    optimizer: adamw_bnb_8bit
    lr_scheduler: cosine
    learning_rate: 0.0002
    bf16: auto
    gradient_checkpointing: true
    warmup_steps: 10
    saves_per_epoch: 1
    weight_decay: 0.0
    special_tokens:
      pad_token: "<|end|>"
"""
DPO = """\
    base_model: some/model
    rl: dpo
    datasets:
      - path: ./pairs.jsonl
        ds_type: json
        type: chat_template.default
        field_messages: conversation
        field_chosen: better
        message_property_mappings:
          role: from
          content: value
    micro_batch_size: 1
    learning_rate: 5.0e-6
"""


def test_supervised_fine_tuning_is_carried_over(tmp_path: Path) -> None:
    migration = migrated(tmp_path, SFT)
    config = loaded(tmp_path, migration)
    assert migration.library == "axolotl"
    assert config.data.train == "hub:org/instructions" and config.data.split.validation == 0.05
    task, strategy = config.task.model_dump(), config.strategy.model_dump()
    assert (task["type"], task["max_length"], task["packing"]) == ("generation", 2048, True)
    assert (strategy["type"], strategy["r"], strategy["target_modules"]) == ("lora", 16, "auto")
    training = config.training
    assert (training.learning_rate, training.optim, training.precision) == (2e-4, "adamw", "auto")
    assert training.examples_per_step == 8 and config.output_dir == "./outputs/lora"
    assert (training.weight_decay, training.warmup_ratio) == (0.0, "auto")


def test_what_differs_is_told(tmp_path: Path) -> None:
    migration = migrated(tmp_path, SFT)
    assert "float32" in found(migration, "adapter").note
    assert "float32" in found(migration, "optimizer").note
    for key in ("load_in_4bit", "special_tokens", "saves_per_epoch", "warmup_steps"):
        assert found(migration, key).outcome == "left", key
    for key in ("load_in_8bit", "lora_model_dir", "datasets.0.type"):
        assert found(migration, key).outcome == "nothing", key


def test_preferences_and_the_columns_of_their_data_are_carried_over(tmp_path: Path) -> None:
    config = loaded(tmp_path, migrated(tmp_path, DPO))
    assert config.task.type == "preference" and config.strategy.type == "full"
    assert config.data.columns == {"messages": "conversation", "chosen": "better"}
    assert config.training.lr_scheduler_type == "cosine", "its default"


def test_ipo_is_a_loss_of_ours(tmp_path: Path) -> None:
    config = loaded(tmp_path, migrated(tmp_path, DPO.replace("rl: dpo", "rl: ipo")))
    assert (config.task.type, config.task.model_dump()["loss"]) == ("preference", "ipo")


@pytest.mark.parametrize(
    ("lines", "task"),
    [
        ("rl: simpo\nsimpo_gamma: 0.9", {"type": "preference", "loss": "simpo", "beta": 0.1}),
        ("rl: orpo\norpo_alpha: 0.2", {"type": "preference", "loss": "orpo", "beta": 0.2}),
        ("rl: kto\nkto_desirable_weight: 0.5", {"type": "kto", "desirable_weight": 0.5}),
    ],
)
def test_losses_and_thumbs_are_ours(lines: str, task: dict[str, object], tmp_path: Path) -> None:
    text = f"base_model: m\nsequence_len: 8\ndatasets: [{{path: a.jsonl}}]\n{lines}\n"
    found = loaded(tmp_path, migrated(tmp_path, text)).task.model_dump()
    assert task.items() <= found.items()


@pytest.mark.parametrize("line", ["rl: grpo", "adapter: llama-adapter"])
def test_what_there_is_nothing_like_is_refused(line: str, tmp_path: Path) -> None:
    with refused("migrate.kind_unsupported", value=line.partition(": ")[2]):
        migrated(tmp_path, f"base_model: m\nsequence_len: 8\n{line}\n")


def test_columns_of_a_type_that_is_written_out_are_ours(tmp_path: Path) -> None:
    text = """\
        base_model: m
        datasets:
          - path: mine.jsonl
            data_files: [other.jsonl]
            type: {field_instruction: ask, field_output: say, format: "[INST] {instruction}"}
          - path: more.jsonl
        test_datasets: [{path: held.jsonl}]
        micro_batch_size: 1
    """
    migration = migrated(tmp_path, text)
    assert migration.values["data"] == {
        "train": "other.jsonl",
        "columns": {"instruction": "ask", "output": "say"},
        "validation": "held.jsonl",
    }
    assert [fault.code for fault in migration.missing] == ["migrate.several_datasets"]
    assert found(migration, "datasets.0.type.format").outcome == "left"


def test_turns_with_keys_of_their_own_are_told(tmp_path: Path) -> None:
    text = DPO.replace("role: from", "role: speaker")
    assert [fault.code for fault in migrated(tmp_path, text).missing] == [
        "migrate.turns_named_otherwise"
    ]
