"""The pooled classifier: its sums by hand, and its folder in the hands of the plain libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel

from plain import ask
from support import DECODERS, build, encode, logits, make_config, make_rows, short_tune
from welltuned.artifact.save_load import load_artifact
from welltuned.models.modeling_pooled import PooledConfig, PooledForSequenceClassification, pool

TEXTS = [row["text"] for row in make_rows(6, seed=5)]
sides = pytest.mark.parametrize("side", ["right", "left"])


def by_hand(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    rows = []
    for states, real in zip(hidden, mask.bool(), strict=True):
        tokens = states[real]
        rows.append({"mean": tokens.mean(0), "first": tokens[0], "last": tokens[-1]}[pooling])
    return torch.stack(rows)


@sides
@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_pooling_reads_real_tokens_only(pooling: str, side: str) -> None:
    """(S5) On whichever side the padding stands."""
    torch.manual_seed(0)
    hidden = torch.randn(4, 6, 3)
    lengths = torch.tensor([1, 3, 5, 6]).unsqueeze(1)
    places = torch.arange(6)
    mask = (places < lengths if side == "right" else places >= 6 - lengths).long()
    torch.testing.assert_close(pool(hidden, mask, pooling), by_hand(hidden, mask, pooling))


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_without_a_mask_every_token_is_real(pooling: str) -> None:
    """(S5) As transformers has it."""
    hidden = torch.randn(2, 5, 3)
    assert torch.equal(
        pool(hidden, None, pooling), pool(hidden, torch.ones(2, 5, dtype=torch.long), pooling)
    )


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown pooling 'max'; choose first, mean or last"):
        pool(torch.zeros(1, 1, 1), None, "max")


@sides
@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
@pytest.mark.parametrize("family", ["distilbert", "llama"])
def test_logits_are_a_linear_layer_on_the_pooled_state(
    family: str, pooling: str, side: str, tiny: Any
) -> None:
    """(S5) The trunk's own hidden states, pooled by hand."""
    model, _, _ = build(tiny(family), {"type": "full"}, pooling, labels=3)
    batch = encode(tiny(family), TEXTS, side)
    trunk = AutoModel.from_pretrained(tiny(family)).eval()
    with torch.no_grad():
        hidden = trunk(**batch).last_hidden_state
        pooled = by_hand(hidden, batch["attention_mask"], pooling)
        wanted = pooled @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(logits(model, batch), wanted, atol=1e-5, rtol=1e-4)


def test_a_real_end_token_is_read_though_padding_looks_the_same(tiny: Any) -> None:
    """(S4) The mask tells them apart, and not the token's number."""
    model, _, _ = build(tiny("llama"), {"type": "full"}, "last")
    text, end = [6, 24, 13], 5
    assert model.config.pad_token_id == end
    alone = {"input_ids": torch.tensor([[*text, end]]), "attention_mask": torch.ones(1, 4).long()}
    padded = {
        "input_ids": torch.tensor([[*text, end, end, end]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 0, 0]]),
    }
    without = {"input_ids": torch.tensor([text]), "attention_mask": torch.ones(1, 3).long()}
    torch.testing.assert_close(logits(model, alone), logits(model, padded))
    assert (logits(model, alone) - logits(model, without)).abs().max() > 1e-3


@pytest.mark.parametrize("family", DECODERS)
def test_r2_both_padding_sides_give_equal_scores(family: str, tiny: Any) -> None:
    """(R2) Also where positions are counted: padding on the left takes none."""
    model, _, _ = build(tiny(family), {"type": "full"}, "last", labels=1)
    texts = [TEXTS[0].split()[0], *TEXTS]
    right, left = (logits(model, encode(tiny(family), texts, side)) for side in ("right", "left"))
    torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-4)
    alone = torch.cat([logits(model, encode(tiny(family), [text])) for text in texts])
    torch.testing.assert_close(alone, right, atol=1e-5, rtol=1e-4)


def test_positions_that_are_given_are_kept(tiny: Any) -> None:
    model, _, _ = build(tiny("gpt2"), {"type": "full"}, "last")
    batch = encode(tiny("gpt2"), TEXTS, "left")
    numbers = torch.arange(batch["input_ids"].shape[1]).expand_as(batch["input_ids"])
    own, given = logits(model, batch), logits(model, {**batch, "position_ids": numbers})
    assert not torch.allclose(own, given, atol=1e-3)


def test_a_pooler_that_is_never_read_is_not_there(tiny: Any) -> None:
    """A weight that trains on nothing would mislead."""
    model, anatomy, _ = build(tiny("bert"), {"type": "full"}, "mean")
    assert not any("pooler" in name for name in model.state_dict())
    assert anatomy.pooler == ()


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_the_trunk_keeps_its_familys_name(family: str, tiny: Any) -> None:
    """So its checkpoint loads as it does into the family's own classifier."""
    model, _, _ = build(tiny(family), {"type": "full"}, "mean")
    trunk = AutoModel.from_pretrained(tiny(family))
    ours = model.base_model.state_dict()
    for name, tensor in trunk.state_dict().items():
        assert "pooler" in name or torch.equal(ours[name], tensor), name


def test_dropout_falls_on_the_pooled_state() -> None:
    """The trunk's own rate, unless the config gives one."""
    for given, wanted in ((None, 0.25), (0.5, 0.5)):
        config = PooledConfig(make_config("bert", hidden_dropout_prob=0.25), "mean", given)
        assert PooledForSequenceClassification(config).dropout.p == wanted


def test_its_loss_is_the_plain_libraries_own(tiny: Any) -> None:
    """Cross entropy of the logits, for whoever trains it further."""
    model, _, _ = build(tiny("bert"), {"type": "full"}, "mean", labels=3)
    batch = encode(tiny("bert"), TEXTS)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    loss = model.eval()(**batch, labels=labels).loss
    wanted = torch.nn.functional.cross_entropy(logits(model, batch), labels)
    torch.testing.assert_close(loss.detach(), wanted)


def test_its_config_survives_being_written(tmp_path: Path) -> None:
    config = PooledConfig(make_config("llama", pad_token_id=5), "last", 0.1, num_labels=3)
    config.save_pretrained(tmp_path)
    again = PooledConfig.from_pretrained(tmp_path)
    assert again.trunk.to_dict() == config.trunk.to_dict()
    assert (again.pooling, again.classifier_dropout, again.num_labels) == ("last", 0.1, 3)
    assert again.pad_token_id == 5
    assert again.get_text_config() is again.trunk


@pytest.fixture(scope="module")
def folders(tiny: Any, sentiment: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The model folders of runs whose heads pool in our way."""
    wanted = {"mean": "bert", "first": "modernbert", "last": "llama"}
    root = tmp_path_factory.mktemp("pooled")
    return {
        pooling: short_tune(
            tiny(family),
            sentiment,
            {"type": "partial", "num_blocks": 1},
            root / pooling,
            task={"pooling": pooling},
        ).model
        for pooling, family in wanted.items()
    }


def test_with_trust_the_folder_loads_where_welltuned_does_not_exist(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """Through the file beside the weights, by transformers alone."""
    jobs = {
        name: {"folder": str(folder), "texts": TEXTS, "trust": True}
        for name, folder in folders.items()
    }
    answers = ask(jobs, tmp_path, import_welltuned=False)
    for name, folder in folders.items():
        artifact = load_artifact(folder)
        batch = dict(artifact.tokenizer(TEXTS, padding=True, return_tensors="pt"))
        torch.testing.assert_close(
            torch.tensor(answers[name]), logits(artifact.model, batch), atol=1e-5, rtol=1e-5
        )


def test_without_trust_it_is_refused_there(folders: dict[str, Path]) -> None:
    """Nobody's code runs unasked."""
    code = (
        "import sys; sys.modules['welltuned'] = None\n"
        "from transformers import AutoModelForSequenceClassification as Auto\n"
        f"Auto.from_pretrained({str(folders['mean'])!r}, trust_remote_code=False)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "trust_remote_code=True" in done.stderr


def test_its_file_needs_nothing_but_torch_and_transformers(folders: dict[str, Path]) -> None:
    """It is a copy of the one that trained."""
    source = (folders["mean"] / "modeling_pooled.py").read_text(encoding="utf-8")
    lines = [line.split() for line in source.splitlines()]
    roots = {line[1].split(".")[0] for line in lines if line and line[0] in ("import", "from")}
    assert roots == {"__future__", "typing", "torch", "transformers"}
    settings = json.loads((folders["mean"] / "config.json").read_text(encoding="utf-8"))
    assert settings["auto_map"]["AutoConfig"] == "modeling_pooled.PooledConfig"
    assert settings["pooling"] == "mean"
