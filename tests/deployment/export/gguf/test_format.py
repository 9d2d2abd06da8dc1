"""A GGUF file, read back by transformers, is the model that was written; else there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from faults import refused
from llamas import LLAMA3_ROPE, artifact_of, pieces_tokenizer, speaking
from support import make_tokenizer, strategy_of
from talking import CHATML
from welltuned.deployment.export.base import ExportJob
from welltuned.deployment.export.gguf.format import WEIGHTS, GgufFormat
from welltuned.deployment.export.gguf.modelfile import MODELFILE
from welltuned.errors import InputError
from welltuned.models.available import find_available
from welltuned.models.config import ModelConfig
from welltuned.tasks.classification import Labels, SingleLabel

MODELS: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama-tied": {"tie_word_embeddings": True},
    "llama-biased": {"attention_bias": True, "mlp_bias": True},
    "llama-3": {"rope_parameters": LLAMA3_ROPE},
    "mistral": {},
    "qwen2": {},
    "qwen3": {},
}


def export(artifact: Any, folder: Path, precision: str = "fp32") -> Any:
    job = ExportJob(folder, None, folder, precision, 0.5, lambda words: None)
    return GgufFormat().write(artifact, job)


@pytest.mark.parametrize("name", MODELS)
def test_a_conversation_is_the_same_token_by_token(name: str, tmp_path: Path) -> None:
    artifact = speaking("llama" if name.startswith("llama") else name, **MODELS[name])
    assert GgufFormat().holds(artifact) is None
    written = export(artifact, tmp_path)
    talk = written.told["conversation"]
    assert talk["same_tokens"] == talk["tokens"] > 10 and talk["logits_difference"] < 1e-4
    assert written.files == (WEIGHTS,) and written.proof is None


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_less_precision_is_near_and_smaller(precision: str, tmp_path: Path) -> None:
    sizes, apart = {}, {}
    for one in ("fp32", precision):
        (tmp_path / one).mkdir()
        talk = export(speaking(hidden_size=64), tmp_path / one, one).told["conversation"]
        sizes[one] = (tmp_path / one / WEIGHTS).stat().st_size
        apart[one] = talk["logits_difference"]
    assert sizes[precision] < 0.8 * sizes["fp32"]
    assert apart["fp32"] < apart[precision] < 1.0


def test_what_was_written_is_opened_as_a_model(tmp_path: Path) -> None:
    artifact = speaking(rope_parameters=LLAMA3_ROPE)
    told: Any = export(artifact, tmp_path).told
    model = GgufFormat().open(tmp_path, told)
    ids_1T = torch.tensor([[5, 9, 200, 31, 7]])
    with torch.inference_mode():
        one, other = (each(input_ids=ids_1T).logits for each in (artifact.model, model))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_template_and_tokenizer_are_in_the_file(tmp_path: Path) -> None:
    export(speaking(), tmp_path)
    read = AutoTokenizer.from_pretrained(tmp_path, gguf_file=WEIGHTS)
    assert read.chat_template == CHATML and read.eos_token == "<|im_end|>"
    fields = gguf.GGUFReader(str(tmp_path / WEIGHTS)).fields
    assert fields["tokenizer.ggml.pre"].contents() == "gpt-2"
    assert fields["llama.context_length"].contents() == 128
    assert fields["llama.attention.head_count_kv"].contents() == 2


def test_a_window_of_attention_limits_the_context(tmp_path: Path) -> None:
    export(speaking("mistral", sliding_window=96), tmp_path)
    fields = gguf.GGUFReader(str(tmp_path / WEIGHTS)).fields
    assert fields["llama.context_length"].contents() == 96


def test_plain_texts_and_pieces_go_too(tmp_path: Path) -> None:
    artifact = speaking(tokenizer=pieces_tokenizer(), style="plain")
    talk = export(artifact, tmp_path).told["conversation"]
    assert talk["same_tokens"] == talk["tokens"]
    assert 'TEMPLATE """{{ .Prompt }}"""' in (tmp_path / MODELFILE).read_text()


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("gpt2", {}),
        ("gemma", {}),
        ("llama", {"hidden_act": "gelu"}),
    ],
)
def test_networks_that_llama_cpp_would_compute_otherwise_are_refused(
    family: str, changes: dict[str, Any]
) -> None:
    fault = GgufFormat().holds(speaking(family, **changes))
    assert fault is not None and fault.code == "export.cannot_hold"


def test_what_writes_no_text_is_refused() -> None:
    artifact, names = speaking(), ("bad", "good")
    problem = SingleLabel(Labels("single_label", names, names))
    labelling = replace(artifact, manifest=replace(artifact.manifest, problem=problem))
    fault = GgufFormat().holds(labelling)
    assert fault is not None and fault.code == "export.cannot_hold"


def test_strategies_that_no_weight_holds_are_refused() -> None:
    artifact = speaking()
    strategy = strategy_of({"type": "prefix", "num_virtual_tokens": 2})
    with refused("strategy.cannot_merge"):
        GgufFormat().holds(
            replace(artifact, manifest=replace(artifact.manifest, strategy=strategy))
        )


def test_a_tokenizer_of_words_is_refused_before_anything_is_written() -> None:
    fault = GgufFormat().holds(speaking(tokenizer=make_tokenizer("decoder", "llama")))
    assert fault is not None and fault.values["format"] == "gguf"


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GgufFormat, "packages", ("no_such_package",))
    with pytest.raises(InputError, match=r"welltuned\[gguf\]"):
        GgufFormat().require_packages()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_real_model_says_the_same(tmp_path: Path, precision: str) -> None:
    """With SmolLM2 in `$WELLTUNED_MODELS`, or its package."""
    here = find_available("HuggingFaceTB/SmolLM2-135M-Instruct")
    if here is None:
        pytest.skip("SmolLM2 is not here")
    folder = ModelConfig(name=here.name).location
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    artifact = artifact_of(model, AutoTokenizer.from_pretrained(folder), "chat")
    talk = export(artifact, tmp_path, precision).told["conversation"]
    assert talk["tokens"] == 48 and "sea" in talk["answer"]
    assert talk["same_tokens"] == 48 or precision == "int8"
    assert talk["logits_difference"] < (1e-3 if precision == "fp32" else 2.0)
    assert "You are a helpful AI assistant" in (tmp_path / MODELFILE).read_text()
