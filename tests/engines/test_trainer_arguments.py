"""What `training.trainer` may not say."""

from __future__ import annotations

import pytest

from faults import codes
from welltuned.engines.config import TrainingConfig
from welltuned.engines.hf_trainer import check_trainer_arguments
from welltuned.errors import Faults


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"push_to_hub": True, "hub_model_id": "me/model"}, ["training.push_to_hub_refused"]),
        ({"push_to_hub": False, "hub_token": "hf_x"}, []),
        ({"seed": 1}, ["training.trainer_key_taken"]),
        ({"report_to": ["comet_ml"]}, []),
        ({"report_to": ["comet_ml", "wandb"]}, ["training.trackers_of_trainer"]),
        ({"report_to": "all"}, ["training.trackers_of_trainer"]),
    ],
)
def test_nothing_is_sent_away_unasked(given: dict[str, object], told: list[str]) -> None:
    faults = Faults()
    check_trainer_arguments(TrainingConfig(trainer=given), faults)
    assert codes(faults) == told
