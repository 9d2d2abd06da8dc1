"""A tokenizer with more tokens than its model has embeddings: refused, or given rows that train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import welltuned as wt
from faults import noted, refused
from support import make_config, make_tokenizer, tune
from welltuned.config import run_config_from
from welltuned.data.config import DataConfig
from welltuned.models.config import ModelConfig
from welltuned.models.vocabulary import add_rows, rows_needed, rows_of, with_rows
from welltuned.tasks import Classification, Generation
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.data_summary import summarise_data
from welltuned.training.preparation.prepare import check_run

NEW = ["wombat", "quokka", "numbat"]


def grown(folder: Path, kind: str, family: str, auto_class: str, **changes: Any) -> str:
    """A tiny model whose tokenizer has three words more than it knows."""
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, auto_class).from_config(make_config(family, **changes))
    model.save_pretrained(folder)
    tokenizer = make_tokenizer(kind, family)
    tokenizer.add_tokens(NEW)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("family", "tied"), [("llama", False), ("llama", True), ("gpt2", True), ("qwen2", False)]
)
def test_new_rows_are_the_mean_of_the_others_in_both_layers(family: str, tied: bool) -> None:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_config(make_config(family, tie_word_embeddings=tied))
    before = model.get_input_embeddings().weight.detach().clone()
    output = model.get_output_embeddings().weight.detach().clone()
    size = len(before)
    add_rows(model, size + 3)
    assert rows_of(model.config) == size + 3
    for layer, old in (
        (model.get_input_embeddings(), before),
        (model.get_output_embeddings(), output),
    ):
        assert torch.equal(layer.weight[:size], old)
        assert torch.allclose(layer.weight[size:], old.mean(0).expand(3, -1))
    shared = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert shared is tied
    assert model(torch.tensor([[size + 2]])).logits.shape[-1] == size + 3


def test_a_model_with_rows_to_spare_stays_as_it_is() -> None:
    config, tokenizer = make_config("bert", vocab_size=999), make_tokenizer("encoder", "bert")
    assert rows_needed(config, tokenizer) == rows_of(config) == 999
    assert with_rows(config, 999) is config


Model = tuple[str, str, str, dict[str, Any]]
ENCODER: Model = ("encoder", "bert", "AutoModel", {})
GENERATION = {"type": "generation", "max_length": 48, "decoding": {"max_new_tokens": 6}}
UNTIED: Model = ("decoder", "llama", "AutoModelForCausalLM", {"tie_word_embeddings": False})
TIED: Model = ("decoder", "gpt2", "AutoModelForCausalLM", {})


@pytest.mark.parametrize("model", [ENCODER, UNTIED], ids=["encoder", "decoder"])
def test_it_is_refused_before_weights_are_loaded_and_the_remedy_works(
    model: Any, sentiment: str, instructions: str, tmp_path: Path
) -> None:
    kind, family, auto_class, changes = model
    base = grown(tmp_path / "base", kind, family, auto_class, **changes)
    task = "classification" if kind == "encoder" else "generation"
    asked: dict[str, Any] = {"data": sentiment if kind == "encoder" else instructions, "task": task}
    (tmp_path / "base" / "model.safetensors").unlink()  # no weight is read
    with refused("model.vocabulary_too_small", new=3):
        check_run(run_config_from({**asked, "model": base}), DataCache())
    with refused("model.vocabulary_too_small", rows=rows_of(make_config(family))):
        summarise_data(
            DataConfig(train=asked["data"]),
            (Classification if kind == "encoder" else Generation)(),
            ModelConfig(name=base),
        )
    resized = {**asked, "model": {"name": base, "resize_embeddings": True}}
    checked = check_run(run_config_from(resized), DataCache())
    assert checked.model.pretrained.new_rows == 3
    with refused("strategy.embeddings_not_saved", strategy="lora", rows=3):
        check_run(run_config_from({**resized, "strategy": "lora"}), DataCache())


@pytest.mark.parametrize("model", [ENCODER, UNTIED, TIED], ids=["encoder", "untied", "tied"])
def test_added_rows_train_are_saved_and_are_loaded_again(
    model: Any, sentiment: str, instructions: str, tmp_path: Path
) -> None:
    import transformers

    kind, family, auto_class, changes = model
    base = grown(tmp_path / "base", kind, family, auto_class, **changes)
    run = tune(
        {"name": base, "resize_embeddings": True},
        sentiment if kind == "encoder" else instructions,
        {"type": "full"},
        tmp_path / "run",
        task="classification" if kind == "encoder" else GENERATION,
    )
    assert "model.embeddings_added rows=3" in noted(run.read("data.json")["notes"])
    plain_class = "AutoModelForSequenceClassification" if kind == "encoder" else auto_class
    plain: Any = getattr(transformers, plain_class).from_pretrained(
        run.model, trust_remote_code=True
    )
    size = rows_of(make_config(family))
    weight = plain.get_input_embeddings().weight
    assert len(weight) == size + 3
    ours: Any = wt.load(run)
    assert torch.equal(ours.model.get_input_embeddings().weight, weight)
    assert len(ours.predict(["a wombat and a quokka"])) == 1
    start = transformers.AutoModel.from_pretrained(base)
    moved = (weight[:size] - start.get_input_embeddings().weight).abs().max()
    assert moved > 0
    if plain.get_output_embeddings() is not None:
        assert len(plain.get_output_embeddings().weight) == size + 3
