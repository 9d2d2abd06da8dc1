"""What does not go together with sharded weights is refused before any is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import welltuned as wt
from support import config_values
from welltuned.config import run_config_from
from welltuned.errors import InputError
from welltuned.rlhf.stage_config import SftStage
from welltuned.training.preparation.prepare import prepare


def asked(tiny: Any, few: str, folder: Path, **parts: Any) -> dict[str, Any]:
    training = {"sharding": "fsdp2", **parts.pop("training", {})}
    parts = {"task": {"pooling": "mean"}, **parts, "training": training}
    return config_values(tiny("bert"), few, parts.pop("strategy", "full"), folder, **parts)


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        (
            {"training": {"per_device_train_batch_size": "auto"}},
            "per_device_train_batch_size: auto",
        ),
        ({"engine": "support.fit"}, "'engine'"),
        ({"protection": "l2sp"}, "'protection: l2sp'"),
        ({"protection": ["wise_ft", {"type": "ewc"}]}, "'protection: ewc'"),
    ],
)
def test_what_one_process_would_have_to_do(
    parts: dict[str, Any], key: str, tiny: Any, few: str, tmp_path: Path
) -> None:
    config = run_config_from(asked(tiny, few, tmp_path / "run", **parts))
    with pytest.raises(InputError, match="sharding_unsupported") as refused:
        prepare(config)
    [fault] = refused.value.faults
    assert key in str(fault)


def test_protections_of_data_or_of_the_end_are_welcome(tiny: Any, few: str, tmp_path: Path) -> None:
    values = asked(tiny, few, tmp_path / "run", protection=["lp_ft", "wise_ft"])
    assert prepare(run_config_from(values)).config.training.sharding == "fsdp2"


def test_one_process_has_nobody_to_share_with(tiny: Any, few: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"only one.*torchrun.*sharding_alone"):
        wt.train(asked(tiny, few, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_pipeline_has_one_process() -> None:
    with pytest.raises(ValueError, match="one token after another"):
        SftStage.model_validate({"training": {"sharding": "fsdp2"}})
