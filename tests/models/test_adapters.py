"""Adapters as models to start from: merged into their base models, or refused with words."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faults import noted, refused
from support import STRATEGIES, config_values, hashed_anew, loaded_for, tune
from welltuned.config import run_config_from
from welltuned.models.adapters import AdapterFolder
from welltuned.runs import Run
from welltuned.tasks.generation.problem import GenerationProblem
from welltuned.tasks.generation.seq2seq import Seq2SeqProblem
from welltuned.tasks.masked_language_modelling.problem import MaskedLanguageModellingProblem
from welltuned.tasks.token_classification.problem import TokenClassificationProblem
from welltuned.training.preparation.prepare import prepare

HEAD = {"type": "partial", "num_blocks": 0}


def about_the_base(messages: Any) -> list[str]:
    return [one for one in noted(messages) if one.startswith("model.")]


@pytest.mark.parametrize("kind", ["prompt", "prefix", "adapter"])
def test_an_adapter_that_no_weights_can_hold_is_refused(
    kind: str, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """Before any weight is loaded; the base that the remedy names is one to start from."""
    strategy = STRATEGIES["houlsby" if kind == "adapter" else kind]
    run = tune(tiny("bert"), sentiment, strategy, tmp_path / "run", task={"pooling": "mean"})
    with refused("model.adapter_cannot_merge") as caught:
        prepare(run_config_from(config_values(str(run.folder), sentiment, HEAD, tmp_path / "n")))
    named = str(caught.value.faults[0].values["base"])
    assert prepare(run_config_from(config_values(named, sentiment, HEAD, tmp_path / "n")))


@pytest.mark.parametrize("head", [True, False])
def test_an_adapter_that_peft_has_saved_is_merged(
    head: bool, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """Without a config or tokenizer of its own: both are its base's. Its head has no names."""
    import peft
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification

    auto = AutoModelForSequenceClassification if head else AutoModel
    torch.manual_seed(0)
    more = {"num_labels": 3} if head else {}
    options: dict[str, Any] = {"task_type": "SEQ_CLS"} if head else {}
    config = peft.LoraConfig(r=2, target_modules=["query"], init_lora_weights=False, **options)
    tuned = peft.get_peft_model(auto.from_pretrained(tiny("bert"), **more), config)
    tuned.save_pretrained(str(tmp_path / "adapter"))
    before = loaded_for(str(tmp_path / "adapter"), sentiment, HEAD)
    name = "encoder.layer.0.attention.self.query.weight"
    merged = dict(before.model.named_parameters())[f"bert.{name}"]
    plain = AutoModel.from_pretrained(tiny("bert")).get_parameter(name)
    assert not torch.allclose(merged, plain)
    inner = tuned.merge_and_unload()
    assert torch.allclose(merged, inner.get_parameter(f"bert.{name}" if head else name), atol=1e-6)
    codes = [one.split()[0] for one in about_the_base(before.prepared.data.facts.notes)]
    assert codes[0] == "model.adapter_merged" and len(codes) == (2 if head else 1)


def test_an_adapter_of_another_base_is_refused(
    adapted: Run, sentiment: str, tmp_path: Path
) -> None:
    """A base whose weights have changed since, and an adapter that names none."""
    folder = tmp_path / "adapter"
    shutil.copytree(adapted.model, folder)
    manifest = json.loads((folder / "welltuned.json").read_text(encoding="utf-8"))
    manifest["base"]["fingerprint"] = "0" * 32
    (folder / "welltuned.json").write_text(json.dumps(manifest), encoding="utf-8")
    with refused("model.adapter_base_changed"):
        loaded_for(str(hashed_anew(folder)), sentiment, HEAD)
    (folder / "welltuned.json").unlink()
    (folder / "adapter_config.json").write_text("{}")
    with refused("model.adapter_unreadable"):
        loaded_for(str(folder), sentiment, HEAD)


@pytest.mark.parametrize("problem", [GenerationProblem, Seq2SeqProblem, TokenClassificationProblem])
def test_an_adapter_goes_into_the_class_that_it_was_tuned_in(problem: Any) -> None:
    """Into another, its base would have other weights than those it was tuned on."""
    settings = {"task_type": problem.peft_task_type}
    assert AdapterFolder(Path(), settings, "base", {}).class_name == problem.auto_class


def test_of_ours_the_one_without_a_name_foretells_hidden_words() -> None:
    settings = {"task_type": MaskedLanguageModellingProblem.peft_task_type}
    own = AdapterFolder(Path(), settings, "base", {"name": "base"}).class_name
    assert own == MaskedLanguageModellingProblem.auto_class
    assert AdapterFolder(Path(), settings, "base", {}).class_name == "AutoModel"


@pytest.mark.slow
def test_an_adapter_may_be_the_first_that_asks_for_peft() -> None:
    """In a process that has just begun: our own methods are registered in the midst of it."""
    code = (
        "from pathlib import Path; import welltuned; from welltuned.models import adapters; "
        "one = adapters.AdapterFolder(Path('.'), {'peft_type': 'LORA'}, 'base', {}); "
        "one.require_mergeable()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
