"""What a model has forgotten: nothing when it is as before, and what was destroyed in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from support import build, make_rows
from welltuned.data.records import Records
from welltuned.evaluation import retention
from welltuned.evaluation.eval_model import EvalModel
from welltuned.evaluation.retention import BaseAnswers, headline
from welltuned.evaluation.retention_sets import LabelledSet, RetentionSets, TextSet
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_tokenizer

ROWS = make_rows(90, seed=8)
CLASSES = np.array([int(row["label"] == "positive") for row in ROWS])


def plain_records(texts: list[str]) -> Records:
    return Records("here", {"text": texts}, list(range(1, len(texts) + 1)), ("text",))


def spoken_records(texts: list[str]) -> Records:
    nothing: list[Any] = [None] * len(texts)
    columns = {"text": texts, "messages": nothing, "prompt": [""] * len(texts), "completion": texts}
    return Records("here", columns, list(range(1, len(texts) + 1)), ("text",))


def sets(has_lm_head: bool = False) -> RetentionSets:
    texts = [row["text"] for row in ROWS]
    labelled = LabelledSet("opinions", plain_records(texts), CLASSES, ("negative", "positive"))
    records = spoken_records(texts[:20]) if has_lm_head else plain_records(texts[:20])
    return RetentionSets((labelled,), (TextSet("texts", records),))


@pytest.fixture
def reader(tiny: Any) -> EvalModel:
    model, anatomy, _ = build(tiny("bert"), {"type": "full"})
    tokenizer = read_tokenizer(ModelConfig(name=tiny("bert")))
    return EvalModel(model, anatomy, tokenizer, 0, 64, 16, has_lm_head=False)


@pytest.fixture
def speaker(causal: Callable[..., str]) -> EvalModel:
    from transformers import AutoConfig, AutoModelForCausalLM

    from welltuned.models.anatomy import examine_anatomy
    from welltuned.models.loading import Head, build_skeleton

    folder = causal("llama")
    head = Head(AutoModelForCausalLM, AutoConfig.from_pretrained(folder), new=False)
    anatomy = examine_anatomy(build_skeleton(head), new_head=False)
    tokenizer = read_tokenizer(ModelConfig(name=folder))
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    return EvalModel(model, anatomy, tokenizer, tokenizer.pad_token_id, 64, 8, has_lm_head=True)


def remember(subject: EvalModel) -> BaseAnswers:
    trains = {id(parameter) for parameter in subject.model.parameters()}
    return BaseAnswers.of(subject, sets(subject.has_lm_head), own_examples(subject), trains)


def own_examples(subject: EvalModel) -> Any:
    from welltuned.evaluation.retention import as_examples

    texts = [row["text"] for row in make_rows(10, seed=30)]
    if not subject.has_lm_head:
        return None
    return as_examples(subject, TextSet("own", spoken_records(texts)))[1]


def stir(subject: EvalModel, share: float) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in subject.model.parameters():
            parameter.add_(share * parameter.std().nan_to_num(0) * torch.randn_like(parameter))


@pytest.mark.parametrize("which", ["reader", "speaker"])
def test_an_unchanged_model_has_forgotten_nothing(
    which: str, request: pytest.FixtureRequest
) -> None:
    subject = request.getfixturevalue(which)
    found = remember(subject).compared(subject)
    entries = {name: entry for name, entry in found.items() if isinstance(entry, dict)}
    expected = {
        "reader": {"probe_opinions": "probe", "cka_texts": "cka"},
        "speaker": {
            "probe_opinions": "probe",
            "loss_texts": "loss",
            "kl_texts": "kl",
            "kl_validation": "kl",
        },
    }[which]
    assert {name: entry["kind"] for name, entry in entries.items()} == expected
    for entry in entries.values():
        assert entry["kept"] == pytest.approx(1, abs=1e-6)
        assert set(entry) >= {"before", "after", "kept", "why", "source", "examples"}
    assert found["kept"] == pytest.approx(1, abs=1e-6)
    assert found["kept_ci95"] == pytest.approx([1, 1], abs=1e-5)


def test_a_reader_whose_weights_were_destroyed_has_forgotten(reader: EvalModel) -> None:
    """What is measured falls with what is left, and the headline is that of the ability."""
    memory = remember(reader)
    assert memory.compared(reader)["probe_opinions"]["before"] > 0.8
    stir(reader, 0.5)
    some = memory.compared(reader)
    stir(reader, 20.0)
    more = memory.compared(reader)
    assert 1 > some["cka_texts"]["kept"] > more["cka_texts"]["kept"] + 0.1
    probe = more["probe_opinions"]
    assert probe["after"] < probe["before"] and probe["kept"] < 0.95
    assert probe["kept"] == pytest.approx(probe["after"] / probe["before"])
    assert more["kept"] == probe["kept"] and more["decided_by"] == "probe_opinions"
    low, high = probe["kept_ci95"]
    assert low < probe["kept"] < high < low + 0.6


def test_the_probe_is_scored_on_texts_it_was_not_fitted_on(reader: EvalModel) -> None:
    """Labels that say nothing of the texts cannot be read off."""
    random = np.random.default_rng(0)
    [labelled] = sets().labelled
    shuffled = replace(labelled, classes=random.permutation(CLASSES))
    memory = BaseAnswers.of(reader, RetentionSets((shuffled,)), None, set())  # type: ignore[arg-type]
    assert memory.compared(reader)["probe_opinions"]["before"] < 0.7


def test_a_speaker_is_asked_for_its_loss_and_its_divergence(speaker: EvalModel) -> None:
    memory = remember(speaker)
    stir(speaker, 0.3)
    found = memory.compared(speaker)
    loss = found["loss_texts"]
    assert loss["kept"] == pytest.approx(math.exp(loss["before"] - loss["after"]))
    assert loss["after"] == pytest.approx(mean_loss(speaker), rel=1e-5) != loss["before"]
    for name in ("kl_texts", "kl_validation"):
        entry = found[name]
        assert entry["before"] == 0 and entry["after"] > 1e-3
        assert entry["kept"] == pytest.approx(math.exp(-entry["after"]))
    assert found["kl_texts"]["after"] != found["kl_validation"]["after"]
    assert found["decided_by"] in ("loss_texts", "probe_opinions")


def test_a_speaker_reads_each_text_once(
    speaker: EvalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss and divergence come of one pass, and are what two passes find."""
    own, trains = own_examples(speaker), {id(weight) for weight in speaker.model.parameters()}
    texts = RetentionSets(texts=sets(has_lm_head=True).texts)
    together = BaseAnswers.of(speaker, texts, own, trains)
    with monkeypatch.context() as limited:  # to fewer texts than there are
        limited.setattr(retention, "_MOST_TEXTS", 19)
        apart = BaseAnswers.of(speaker, texts, own, trains)
    before = mean_loss(speaker)
    stir(speaker, 0.3)
    two = apart.compared(speaker)
    rows: list[int] = []
    trunk: Any = speaker.model.model
    read = trunk.forward

    def counted(**inputs: Any) -> Any:
        rows.append(len(inputs["input_ids"]))
        return read(**inputs)

    monkeypatch.setattr(trunk, "forward", counted)
    one = together.compared(speaker)
    assert sum(rows) == len(texts.texts[0].texts) + len(own)
    assert one["loss_texts"]["before"] == pytest.approx(before, rel=1e-5)
    for name in ("before", "after", "kept", "kept_ci95"):
        assert one["loss_texts"][name] == pytest.approx(two["loss_texts"][name], rel=1e-5)
    assert one["kl_validation"] == two["kl_validation"]
    assert {*one} == {*two} and two["kl_texts"]["examples"] == 19


def mean_loss(subject: EvalModel) -> float:
    """The loss of a token by transformers' own count, on the same texts, one by one."""
    total = tokens = 0.0
    for row in ROWS[:20]:
        ids = subject.tokenizer(row["text"] + "[EOS]", return_tensors="pt")["input_ids"]
        with torch.no_grad():
            mean = float(subject.model(input_ids=ids, labels=ids).loss)
        total += mean * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
    return total / tokens


def entry(kind: str, kept: float, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "kept": kept, "kept_ci95": [kept, kept], "before": 0.9, **more}


def test_the_headline_is_the_least_ability_and_drift_does_not_count() -> None:
    entries = {
        "a": entry("probe", 0.97, chance=0.5, examples=100),
        "b": entry("loss", 0.95),
        "c": entry("cka", 0.2),
        "d": entry("kl", 0.1),
    }
    assert headline(entries) == {"kept": 0.95, "kept_ci95": [0.95, 0.95], "decided_by": "b"}
    assert headline({"c": entries["c"]}) == {}


def test_a_probe_that_knew_nothing_cannot_have_forgotten() -> None:
    """Unless there is nothing else to go by: the headline is never empty then."""
    ignorant = entry("probe", 0.5, chance=0.5, examples=100) | {"before": 0.55}
    able = entry("probe", 0.9, chance=0.5, examples=100)
    assert headline({"a": ignorant, "b": able})["decided_by"] == "b"
    assert headline({"a": ignorant})["decided_by"] == "a"
    many = {"chance": 0.5, "examples": 10_000}
    for before, decides in ((0.66, "a"), (0.64, "b")):  # three errors are 0.15
        assert headline({"a": ignorant | {"before": before}, "b": able})["decided_by"] == decides
    for before, decides in ((0.61, "a"), (0.59, "b")):  # three errors are 0.015
        found = {"a": ignorant | many | {"before": before}, "b": able}
        assert headline(found)["decided_by"] == decides


def test_asking_for_the_headline_alone_gives_the_same(reader: EvalModel) -> None:
    memory = remember(reader)
    stir(reader, 3.0)
    assert memory.kept(reader) == memory.compared(reader)["kept"]
    assert BaseAnswers(()).kept(reader) is None
