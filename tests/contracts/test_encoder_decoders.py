"""Every strategy on encoder-decoders: text is written as full forwards would have it, and labels
are read by the family's own head.
"""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

import welltuned as wt
from contracts.test_generation import stir
from exporting import require_alike
from support import (
    ENCODER_DECODERS,
    STRATEGIES,
    loaded_for,
    make_rows,
    require_prefix,
    short_tune,
    strategy_of,
)
from welltuned.artifact.save_load import load_artifact
from welltuned.data.tokens.encoding import Encoded
from welltuned.deployment.export.run_export import export_run
from welltuned.models.anatomy import examine_anatomy
from welltuned.models.config import ModelConfig
from welltuned.models.loading import Head, build_skeleton, load_model, read_tokenizer
from welltuned.strategies import Context
from welltuned.tasks.generation.seq2seq_decoding import Seq2SeqDecoder

WHOLE = ("full", "partial", "gradual")
ROWS = [[7, 8, 9, 10, 11, 12, 13, 14, 3], [15, 3], [16, 17, 18, 3]]
NEW = 6
OPTIONS: dict[str, Any] = {
    "do_sample": False, "max_new_tokens": NEW, "min_new_tokens": NEW, "pad_token_id": 0,
    "eos_token_id": [3], "no_repeat_ngram_size": 1,
}  # fmt: skip
QUICK = {
    ("lora", "t5"), ("prompt", "bart"), ("prefix", "t5"),
}  # fmt: skip
"""Of what generates; `make test-slow` tries the others."""
QUICK_RUNS = {("lora", "bart")}
"""Of what classifies."""


def pairs(quick: set[tuple[str, str]], *without: str) -> pytest.MarkDecorator:
    every = product((name for name in STRATEGIES if name not in without), ENCODER_DECODERS)
    slow = pytest.mark.slow
    return pytest.mark.parametrize(
        ("strategy", "family"),
        [
            pytest.param(*pair, id="-".join(pair), marks=() if pair in quick else slow)
            for pair in every
        ],
    )


writes = pairs(QUICK, "head")
reads = pairs(QUICK_RUNS)


@pytest.fixture(scope="module")
def tuned(two_sided: Any) -> Any:
    """`tuned(strategy, family)`: a model as if trained, and its strategy. Not to be changed."""

    @cache
    def make(strategy: str, family: str) -> tuple[Any, Any]:
        from transformers import AutoConfig, AutoModelForSeq2SeqLM

        if strategy == "prefix":
            require_prefix(family)
        folder = two_sided(family)
        named, config = ModelConfig(name=folder), AutoConfig.from_pretrained(folder)
        head = Head(AutoModelForSeq2SeqLM, config, new=False)
        anatomy = examine_anatomy(build_skeleton(head), new_head=False)
        context = Context(anatomy, read_tokenizer(named), folder, "SEQ_2_SEQ_LM", 0, ROWS)
        chosen = strategy_of(STRATEGIES[strategy])
        assert not list(chosen.check(anatomy))
        model = chosen.prepare(load_model(named, head, anatomy, 0).model, context)
        return stir(model).eval(), chosen

    return make


def answers(model: Any, rows: list[list[int]], budget: int = 1000) -> list[list[int]]:
    return Seq2SeqDecoder(model, OPTIONS).answer(Encoded.of(rows, [False] * len(rows)), budget)


@torch.no_grad()
def recompute(model: Any, row: list[int]) -> list[int]:
    """The likeliest new token, again and again, each by a forward over the whole answer."""
    said = torch.tensor([[model.config.decoder_start_token_id]])
    for _ in range(NEW):
        found = model(input_ids=torch.tensor([row]), decoder_input_ids=said, use_cache=False)
        fresh = found.logits[0, -1].index_fill(0, torch.cat([said[0], torch.tensor([3])]), -1e9)
        said = torch.cat([said, fresh.argmax()[None, None]], dim=1)
    return said[0, 1:].tolist()


@writes
def test_greedy_text_from_a_cache_is_that_of_full_forwards(
    strategy: str, family: str, tuned: Any
) -> None:
    """Whatever the batch; and not that of the untuned model."""
    model, _ = tuned(strategy, family)
    found = answers(model, ROWS)
    wanted = [recompute(model, row) for row in ROWS]
    # BART's own generation config makes the last token that there is room for an end.
    assert [row[:-1] for row in found] == [row[:-1] for row in wanted]
    if strategy not in WHOLE:
        given = {"input_ids": torch.tensor(ROWS[:1]), "decoder_input_ids": torch.tensor([[3, 20]])}
        with torch.no_grad():
            after = model(**given).logits
            with model.disable_adapter():
                assert (model(**given).logits - after).abs().max() > 1e-4


@writes
def test_every_trainable_weight_gets_a_gradient(strategy: str, family: str, tuned: Any) -> None:
    model = deepcopy(tuned(strategy, family)[0])
    given = {"input_ids": torch.tensor(ROWS[:1]), "labels": torch.tensor([[19, 20, 3]])}
    model(**given).loss.backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


@writes
def test_saved_and_loaded_it_writes_the_same_text(
    strategy: str, family: str, tuned: Any, tmp_path: Path
) -> None:
    from peft import AutoPeftModelForSeq2SeqLM
    from transformers import AutoModelForSeq2SeqLM

    model, chosen = tuned(strategy, family)
    finished = deepcopy(model) if strategy == "projected" else model  # it drops its projection
    chosen.finish(finished)
    chosen.save(finished, tmp_path)
    auto = AutoModelForSeq2SeqLM if strategy in WHOLE else AutoPeftModelForSeq2SeqLM
    assert answers(auto.from_pretrained(str(tmp_path)).eval(), ROWS) == answers(model, ROWS)


def test_merged_it_writes_the_same_text(tuned: Any) -> None:
    model, chosen = tuned("lora", "t5")
    merged = chosen.merge(deepcopy(model))
    assert type(merged).__module__.startswith("transformers.")
    assert answers(merged, ROWS) == answers(model, ROWS)


def test_a_t5_that_does_not_scale_its_outputs_stays_so(two_sided: Any, tmp_path: Path) -> None:
    """A config says so by a key that means something else in every other family."""
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    folder = two_sided("t5", tie_word_embeddings=False)
    config = AutoConfig.from_pretrained(folder)
    assert config.scale_decoder_outputs is False
    head = Head(AutoModelForSeq2SeqLM, config, new=False)
    anatomy = examine_anatomy(build_skeleton(head), new_head=False)
    model = load_model(ModelConfig(name=folder), head, anatomy, 0).model
    model.save_pretrained(tmp_path)
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert model.config.scale_decoder_outputs is again.config.scale_decoder_outputs is False


# --- Labels ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tiny: Any, few: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`run(strategy, family)`: a short run, made once."""

    @cache
    def make(strategy: str, family: str) -> Any:
        folder = tmp_path_factory.mktemp(f"{strategy}-{family}") / "run"
        task = {"pooling": "auto"}
        return short_tune(tiny(family), few, STRATEGIES[strategy], folder, task=task)

    return make


@reads
def test_a_run_proves_what_it_promises(strategy: str, family: str, run: Any) -> None:
    made = run(strategy, family)
    proof = made.results["proof"]
    assert made.state == "finished" and made.read("config.yaml")["task"]["pooling"] == "model"
    assert proof["frozen_moved"] == 0 and proof["all_finite"]
    assert proof["trainable_moved"] == proof["trainable_weights"] > 0
    assert (proof["frozen_weights"] == 0) == (strategy == "full")
    assert proof["reloaded_difference"] <= 1e-5


@reads
def test_padding_changes_no_label(strategy: str, family: str, run: Any) -> None:
    artifact = load_artifact(run(strategy, family).model)
    texts = [row["text"] for row in make_rows(6, seed=9)]

    def logits(asked: list[str]) -> torch.Tensor:
        batch = artifact.tokenizer(asked, padding=True, return_tensors="pt")
        with torch.no_grad():
            found: torch.Tensor = artifact.model(**batch).logits
        return found

    alone = torch.cat([logits([text]) for text in texts])
    torch.testing.assert_close(alone, logits(texts), atol=2e-5, rtol=1e-4)


def labels_by(folder: Path) -> torch.Tensor:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = [row["text"] for row in make_rows(6, seed=9)]
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        found: torch.Tensor = model(**batch).logits
    return found


@pytest.mark.parametrize("family", [pytest.param("t5", marks=pytest.mark.slow), "bart"])
def test_a_plain_export_gives_the_same_labels(family: str, run: Any, tmp_path: Path) -> None:
    made = run("lora", family)
    alone = labels_by(export_run(made.folder, "plain", tmp_path / "plain"))
    tuned: Any = load_artifact(made.model).merged()
    tuned.model.save_pretrained(tmp_path / "merged")
    tuned.tokenizer.save_pretrained(tmp_path / "merged")
    torch.testing.assert_close(alone, labels_by(tmp_path / "merged"), atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino"])
@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_a_graph_gives_the_same_labels(family: str, format: str, run: Any, tmp_path: Path) -> None:
    made = run("lora", family)
    target = export_run(made.folder, format, tmp_path / format, "fp32", drop=100)
    texts = [row["text"] for row in make_rows(7, seed=9)]
    require_alike(wt.load(target).predict(texts), wt.load(made).predict(texts))


# --- What was saved is opened again -------------------------------------------------

TASKS: dict[str, dict[str, Any]] = {
    "classification": {"pooling": "auto"},
    "generation": {"type": "generation", "decoding": {"max_new_tokens": 4}, "scored_examples": 2},
}
PREDICT = """
import json, sys, welltuned as wt
print(json.dumps(wt.load(sys.argv[1]).predict(sys.argv[2:])))
"""


@pytest.fixture(scope="module")
def saved(tiny: Any, two_sided: Any, few: str, instructions: str, tmp_path_factory: Any) -> Any:
    """`saved(task, strategy, family)`: a short run, made once."""

    @cache
    def make(task: str, strategy: str, family: str) -> Any:
        base, data = (tiny, few) if task == "classification" else (two_sided, instructions)
        folder = tmp_path_factory.mktemp(f"{task}-{strategy}-{family}") / "run"
        return short_tune(base(family), data, STRATEGIES[strategy], folder, task=TASKS[task])

    return make


each_saved = pytest.mark.parametrize(
    ("task", "strategy", "family"), list(product(TASKS, ("full", "lora"), ENCODER_DECODERS))
)


@pytest.mark.slow
@each_saved
def test_another_process_gives_the_same_answers(
    task: str, strategy: str, family: str, saved: Any
) -> None:
    made = saved(task, strategy, family)
    texts = [row["text"] for row in make_rows(3, seed=9)]
    command = [sys.executable, "-c", PREDICT, str(made.folder), *texts]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    require_alike(json.loads(told), wt.load(made).predict(texts))


@pytest.mark.slow
@each_saved
def test_a_run_goes_on_from_another(
    task: str, strategy: str, family: str, saved: Any, few: str, instructions: str
) -> None:
    """From its very weights, an adapter's merged into them."""
    made = saved(task, strategy, family)
    data = few if task == "classification" else instructions
    begun = loaded_for(str(made.folder), data, "full", task=TASKS[task]).model
    weights = load_artifact(made.model).merged().model.state_dict()
    for name, weight in begun.state_dict().items():
        torch.testing.assert_close(weight, weights[name], atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_a_plain_export_writes_the_same_text(family: str, saved: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM

    made = saved("generation", "lora", family)
    target = export_run(made.folder, "plain", tmp_path / "plain")
    alone = AutoModelForSeq2SeqLM.from_pretrained(target).eval()
    assert answers(alone, ROWS) == answers(load_artifact(made.model).model, ROWS)
