"""Graphs in the place of a torch module."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from exporting import summing_graph
from welltuned.deployment.graphs import ONNX, Graph, GraphModel, OnnxGraph, OpenVinoGraph

IDS = torch.tensor([[2, 7, 3], [2, 3, 0]])
MASK = torch.tensor([[1, 1, 1], [1, 1, 0]])


class Remembering(Graph):
    """Gives the ids back, and remembers what it was given."""

    def run(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        self.given = dict(batch)
        return batch["input_ids"].astype(np.float32)


def test_segments_that_nobody_tells_apart_are_the_first() -> None:
    graph = Remembering()
    model = GraphModel(graph, ["input_ids", "attention_mask", "token_type_ids"])
    logits = model(input_ids=IDS, attention_mask=MASK).logits
    assert torch.equal(logits, IDS.float())
    assert np.array_equal(graph.given["token_type_ids"], np.zeros((2, 3), np.int64))
    assert graph.given["token_type_ids"].dtype == np.int64
    assert np.array_equal(graph.given["attention_mask"], MASK.numpy())


def test_segments_that_are_told_apart_stay_so() -> None:
    graph = Remembering()
    model = GraphModel(graph, ["input_ids", "token_type_ids"])
    model(input_ids=IDS, attention_mask=MASK, token_type_ids=MASK)
    assert set(graph.given) == {"input_ids", "token_type_ids"}, "what it does not read is left out"
    assert np.array_equal(graph.given["token_type_ids"], MASK.numpy())


def test_it_has_no_parameters_and_so_computes_on_the_cpu() -> None:
    assert list(GraphModel(Remembering(), ["input_ids"]).parameters()) == []


@pytest.mark.parametrize("runtime", [OnnxGraph, OpenVinoGraph])
def test_inputs_go_by_their_names_and_lengths_are_open(
    runtime: type[OnnxGraph | OpenVinoGraph], tmp_path: Path
) -> None:
    file = summing_graph(tmp_path / ONNX, "input_ids", "attention_mask")
    model = GraphModel(runtime(file, threads=1), ["attention_mask", "input_ids"])
    first = model(attention_mask=MASK, input_ids=IDS).logits
    short = model(attention_mask=MASK[:1, :2], input_ids=IDS[:1, :2]).logits
    assert first.tolist() == [[3012.0], [2005.0]], "nor is it overwritten by the next"
    assert short.tolist() == [[2009.0]]
