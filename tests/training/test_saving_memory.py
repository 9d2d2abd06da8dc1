"""What saves memory, with the settings as they are now."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from welltuned.engines.config import TrainingConfig
from welltuned.training.saving_memory import saving_memory


def advice(max_length: int = 128, **training: Any) -> list[str]:
    config = SimpleNamespace(training=TrainingConfig(**training))
    prepared: Any = SimpleNamespace(config=config, max_length=max_length)
    return saving_memory(prepared)


def test_what_is_not_as_frugal_as_it_could_be_is_told_with_its_value() -> None:
    assert advice(precision="fp32") == [
        "lower task.max_length (now 128)",
        "set training.gradient_checkpointing=true (now false)",
        "set training.precision=bf16 (now fp32)",
    ]


def test_what_is_so_already_is_not_advised() -> None:
    told = advice(64, precision="bf16", gradient_checkpointing=True)
    assert told == ["lower task.max_length (now 64)"]


def test_micro_batches_are_ones_own_affair_where_weights_are_sharded_alone() -> None:
    told = advice(per_device_train_batch_size=4, sharding="fsdp2")
    assert told[0] == "lower training.per_device_train_batch_size (now 4)"
    assert not any("batch_size" in line for line in advice(per_device_train_batch_size=4))
