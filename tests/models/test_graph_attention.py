"""Graph-guided attention: as GraphCodeBERT computes it, in every kind of attention."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from coding import make_byte_tokenizer, make_code_config
from support import make_config
from welltuned.data.dataflow import graph_of
from welltuned.data.records import Records
from welltuned.errors import InputError
from welltuned.models.anatomy import Anatomy, examine_anatomy
from welltuned.models.compat.transformers_api import attends_as, attention_of
from welltuned.models.cpu_attention import NAME
from welltuned.models.graph_attention import (
    GRAPH,
    graph_faults,
    read_graphs,
    text_mask,
    with_tokens,
)
from welltuned.models.loading import Head, build_skeleton
from welltuned.tasks.dataflow import Dataflow
from welltuned.tasks.dataflow.encoding import encode_code
from welltuned.tasks.dataflow.examples import GraphExamples

SOURCES = [
    "int f(int a) { int b = a + 1; for (int i = 0; i < b; i++) { b += i; } return b; }",
    'String g(String s) { s = s + "x"; return s; }',
]
CLS, PAD, SEP, UNK = 0, 1, 2, 3


def classifier(attention: str = "sdpa", **changes: Any) -> Any:
    from transformers import RobertaForSequenceClassification

    torch.manual_seed(1)
    model = RobertaForSequenceClassification(make_code_config(num_labels=3, **changes)).eval()
    for parameter in model.parameters():  # those of a fresh model hardly tell one text from another
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    attends_as(model, attention)
    return model


def examples_of(sources: list[str], max_nodes: int = 128, max_length: int = 120) -> GraphExamples:
    records = Records("made", {"text": sources}, [*range(len(sources))], ("text",))
    encoding = Dataflow(language="java", max_nodes=max_nodes)
    read, graphs = encode_code(make_byte_tokenizer(), records, encoding, max_length)
    return GraphExamples(read, None, records, graphs)


def batch_of(sources: list[str]) -> dict[str, torch.Tensor]:
    examples = examples_of(sources)
    arrays = examples.padded(range(len(sources)), PAD)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def said(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    read_graphs(model)
    with torch.no_grad():
        return model(**batch).logits


# --- What the authors' model computes, derived anew from what is known of it ------------


def official_inputs(source: str, length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids (L), position numbers (L) and mask (L, L): nodes are `unk` at position 0."""
    tokenizer, graph = make_byte_tokenizer(), graph_of(source, "java")
    parts = [
        tokenizer.tokenize(token) if i == 0 else tokenizer.tokenize("@ " + token)[1:]
        for i, token in enumerate(graph.tokens)
    ]
    spans, end = [], 1
    for part in parts:
        spans.append((end, end + len(part)))
        end += len(part)
    ids = [CLS, *tokenizer.convert_tokens_to_ids([p for part in parts for p in part]), SEP]
    tokens, nodes = len(ids), len(graph.nodes)
    positions = [i + PAD + 1 for i in range(tokens)] + [0] * nodes
    padding = length - tokens - nodes
    mask = torch.zeros(length, length, dtype=torch.bool)
    mask[:tokens, :tokens] = True
    for i, number in enumerate(ids):
        if number in (CLS, SEP):
            mask[i, : tokens + nodes] = True
    for node, token in enumerate(graph.nodes):
        first, last = spans[token]
        mask[tokens + node, first:last] = mask[first:last, tokens + node] = True
        for origin in graph.sources[node]:
            mask[tokens + node, tokens + origin] = True
    ids += [UNK] * nodes + [PAD] * padding
    return torch.tensor(ids), torch.tensor(positions + [PAD] * padding), mask


def official_logits(model: Any, source: str, length: int) -> torch.Tensor:
    """By nothing but matrices: node embeddings by einsum, and a softmax over what is seen."""
    ids_L, positions_L, mask_LL = official_inputs(source, length)
    weights = {name: value.detach() for name, value in model.state_dict().items()}

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        shape, eps = x.shape[-1:], model.config.layer_norm_eps
        return functional.layer_norm(
            x, shape, weights[f"{name}.weight"], weights[f"{name}.bias"], eps
        )

    at = "roberta.embeddings"
    words_LH = weights[f"{at}.word_embeddings.weight"][ids_L]
    nodes_L, tokens_L = positions_L == 0, positions_L >= 2
    among_LL = (nodes_L[:, None] & tokens_L[None, :] & mask_LL).float()
    among_LL = among_LL / (among_LL.sum(-1) + 1e-10)[:, None]
    means_LH = torch.einsum("ab,bc->ac", among_LL, words_LH)
    words_LH = words_LH * (~nodes_L)[:, None] + means_LH * nodes_L[:, None]
    places_LH = weights[f"{at}.position_embeddings.weight"][positions_L]
    x = norm(
        words_LH + places_LH + weights[f"{at}.token_type_embeddings.weight"][0], f"{at}.LayerNorm"
    )
    heads = model.config.num_attention_heads
    for block in range(model.config.num_hidden_layers):
        at = f"roberta.encoder.layer.{block}"
        query, key, value = (
            linear(x, f"{at}.attention.self.{part}").unflatten(1, (heads, -1)).transpose(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
        seen = (scores + (1 - mask_LL.float()) * -1e9).softmax(-1) @ value
        x = norm(
            x + linear(seen.transpose(0, 1).flatten(1), f"{at}.attention.output.dense"),
            f"{at}.attention.output.LayerNorm",
        )
        inner = functional.gelu(linear(x, f"{at}.intermediate.dense"))
        x = norm(x + linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return linear(torch.tanh(linear(x[0], "classifier.dense")), "classifier.out_proj")


@pytest.mark.parametrize("attention", ["sdpa", "eager", NAME])
def test_logits_are_those_of_the_authors_model(attention: str) -> None:
    model, batch = classifier(attention), batch_of(SOURCES)
    assert attention_of(model) == attention
    width = batch["input_ids"].shape[1]
    expected = torch.stack([official_logits(model, source, width) for source in SOURCES])
    torch.testing.assert_close(said(model, batch), expected, atol=1e-5, rtol=1e-5)


def test_without_the_graph_the_logits_are_others() -> None:
    model, batch = classifier(), batch_of(SOURCES)
    graph = batch.pop(GRAPH)
    assert (said(model, batch) - said(model, {**batch, GRAPH: graph})).abs().max() > 1e-2


def test_in_eager_attention_true_would_mask_nothing() -> None:
    """Why the mask is made of numbers there: True is added to a score as 1."""
    model, batch = classifier("eager"), batch_of(SOURCES)
    read_graphs(model)
    given: dict[str, Any] = {}
    model.roberta.register_forward_pre_hook(
        lambda _, args, kwargs: given.update(kwargs), with_kwargs=True
    )
    right = said(model, batch)
    mask = given["attention_mask"]
    assert mask.is_floating_point() and mask.isfinite().all()
    with torch.no_grad():
        as_flags = model.classifier(model.roberta(**{**given, "attention_mask": mask == 0})[0])
    assert (as_flags - right).abs().max() > 1e-3


def test_padding_changes_nothing() -> None:
    model = classifier()
    together = said(model, batch_of(SOURCES))
    alone = torch.cat([said(model, batch_of([source])) for source in SOURCES])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_a_text_without_nodes_is_read_as_ever() -> None:
    model, batch = classifier(), batch_of(["{ ; }", "{ }"])
    assert int(batch[GRAPH].sum(dim=2).max()) == int(batch["attention_mask"].sum(dim=1).max())
    plain = {name: tensor for name, tensor in batch.items() if name != GRAPH}
    torch.testing.assert_close(said(model, batch), said(model, plain), atol=1e-5, rtol=1e-5)


def test_asked_twice_a_model_reads_graphs_once() -> None:
    model = classifier()
    read_graphs(model)
    read_graphs(model)
    assert len(model.roberta._forward_pre_hooks) == 1


def test_half_precision_hides_as_much() -> None:
    model, batch = classifier("eager").bfloat16(), batch_of(SOURCES)
    assert said(model, batch).isfinite().all()


def test_an_attention_without_masks_is_refused() -> None:
    model = classifier()
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(InputError, match="takes no mask of one's own"):
        said(model, batch_of(SOURCES[:1]))


def test_tokens_are_those_who_see_the_first() -> None:
    batch = batch_of(SOURCES)
    tokens = text_mask(batch[GRAPH])
    assert torch.equal(tokens, batch["attention_mask"].bool())
    assert torch.equal(text_mask(batch[GRAPH][:, None]), tokens)
    added = torch.zeros_like(batch[GRAPH], dtype=torch.float32).masked_fill(~batch[GRAPH], -1e9)
    assert torch.equal(text_mask(added[:, None]), tokens)


def test_more_tokens_see_and_are_seen_by_tokens_alone() -> None:
    mask = batch_of(SOURCES)[GRAPH]
    wide, width = with_tokens(mask, 2), mask.shape[1]
    tokens = text_mask(mask)
    assert torch.equal(wide[:, :width, :width], mask)
    for new in (width, width + 1):
        assert torch.equal(wide[:, new, :width], tokens)
        assert torch.equal(wide[:, :width, new], tokens)
    assert wide[:, width:, width:].all()


# --- Which models can -------------------------------------------------------------------


def anatomy_of(family: str) -> Anatomy:
    from transformers import AutoModelForSequenceClassification

    config = make_code_config() if family == "roberta" else make_config(family)
    return examine_anatomy(build_skeleton(Head(AutoModelForSequenceClassification, config)))


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        ("bert", "numbers tokens from 0"),
        ("modernbert", "turn queries and keys"),
        ("deberta-v2", "computes attention by itself"),
        ("gpt2", "from left to right"),
    ],
)
def test_other_families_are_refused_with_the_reason(family: str, reason: str) -> None:
    (fault,) = graph_faults(anatomy_of(family))
    assert reason in fault.what and fault.code == "task.graph_unsupported"


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "camembert", "data2vec-text"])
def test_what_is_like_roberta_hands_the_mask_to_its_trunk(family: str) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    values = make_code_config(num_labels=3).to_dict()
    del values["model_type"]
    config = AutoConfig.for_model(family, **values)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    anatomy = examine_anatomy(build_skeleton(Head(AutoModelForSequenceClassification, config)))
    assert not list(graph_faults(anatomy)) and anatomy.first_position == PAD + 1
    batch = batch_of(SOURCES)
    graph = batch.pop(GRAPH)
    assert not torch.allclose(said(model, batch), said(model, {**batch, GRAPH: graph}))
