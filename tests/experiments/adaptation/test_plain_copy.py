"""An adapted model's folder has all that its base came with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors.torch import load_file

from support import make_config
from welltuned.experiments.adaptation.plain_copy import copy_plainly
from welltuned.models.config import ModelConfig


def test_the_pooler_and_the_way_of_pooling_come_along(masked: str, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification

    base, tuned = tmp_path / "base", tmp_path / "tuned"
    shutil.copytree(masked, base)
    (base / "1_Pooling").mkdir()
    (base / "modules.json").write_text("[]")
    (base / "1_Pooling/config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    AutoModelForMaskedLM.from_pretrained(masked).save_pretrained(tuned)
    (tuned / "welltuned.json").write_text("{}")
    copy_plainly(tuned, ModelConfig(name=str(base)), tmp_path / "copy")
    before = load_file(base / "model.safetensors")
    after = load_file(tmp_path / "copy/model.safetensors")
    assert after["bert.pooler.dense.weight"].equal(before["bert.pooler.dense.weight"])
    assert (tmp_path / "copy/1_Pooling/config.json").exists()
    assert not (tmp_path / "copy/welltuned.json").exists()
    _, report = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "copy", output_loading_info=True
    )
    assert set(report["missing_keys"]) == {"classifier.weight", "classifier.bias"}


def test_a_base_without_a_pooler_gives_none(tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    base = tmp_path / "base"
    AutoModelForMaskedLM.from_config(make_config("roberta")).save_pretrained(base)
    copy_plainly(base, ModelConfig(name=str(base)), tmp_path / "copy")
    before, after = (load_file(f / "model.safetensors") for f in (base, tmp_path / "copy"))
    assert set(before) == set(after)
