"""The head of a base under the labels of a new task: rows follow names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from support import encode, logits
from welltuned.models.anatomy import examine_anatomy
from welltuned.models.config import ModelConfig
from welltuned.models.head_match import label_names, match_head, match_names
from welltuned.models.loading import Head, build_skeleton, load_model


@pytest.mark.parametrize(
    ("before", "labels", "rows"),
    [
        (("neg", "pos"), ("neg", "pos"), (0, 1)),
        (("neg", "pos"), ("pos", "neg"), (1, 0)),
        (("Negative", "POSITIVE"), ("negative", "positive"), (0, 1)),
        (("a", "A"), ("A", "a"), (1, 0)),
        (("a", "A"), ("Á", "á"), (None, None)),
        (("a", "A", "b"), ("a", "B"), (0, 2)),
        (("neg",), ("Neg", "NEG"), (None, None)),
        (("neg", "pos"), ("neg", "neutral", "pos"), (0, None, 1)),
        (("LABEL_0", "LABEL_1"), ("neg", "pos"), (None, None)),
        (("LABEL_0", "LABEL_1"), ("0", "1"), (None, None)),
        (("cafe\u0301",), ("caf\u00e9",), (0,)),
    ],
)
def test_rows_are_found_by_name(
    before: tuple[str, ...], labels: tuple[str, ...], rows: tuple[int | None, ...]
) -> None:
    """Case matters only where it tells two apart; a placeholder is the name of nothing else."""
    assert match_names(before, labels) == rows


def classifier(
    folder: str, target: Path, labels: list[str], kind: str = "Sequence", **more: Any
) -> str:
    """A classifier with these labels, saved beside its tokenizer."""
    import transformers

    auto = getattr(transformers, f"AutoModelFor{kind}Classification")
    torch.manual_seed(3)
    model = auto.from_pretrained(
        folder,
        id2label=dict(enumerate(labels)),
        num_labels=len(labels),
        label2id={name: i for i, name in enumerate(labels)},
        **more,
    )
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.normal_()
    model.save_pretrained(target)
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(target)
    return str(target)


def load(folder: str, labels: list[str], kind: str = "Sequence", seed: int = 0) -> Any:
    """The base with a head for other labels."""
    import transformers

    auto = getattr(transformers, f"AutoModelFor{kind}Classification")
    own = transformers.AutoConfig.from_pretrained(folder)
    names = dict(enumerate(labels))
    config = transformers.AutoConfig.from_pretrained(folder, id2label=names, num_labels=len(names))
    head = Head(auto, config)
    skeleton = build_skeleton(head)
    anatomy = examine_anatomy(skeleton)
    head = Head(auto, config, match=match_head(own, skeleton, anatomy))
    return head.match, load_model(ModelConfig(name=folder), head, anatomy, seed)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "modernbert"])
@pytest.mark.parametrize("kind", ["Sequence", "Token"])
def test_outputs_follow_their_names(family: str, kind: str, tiny: Any, tmp_path: Path) -> None:
    """Reordered, with one label more and one less, each kept label says what it said."""
    before, labels = ["a", "b", "c"], ["c", "new", "a"]
    folder = classifier(tiny(family), tmp_path / "base", before, kind)
    match, loaded = load(folder, labels, kind)
    _, old = load(folder, before, kind)
    batch = encode(folder, ["good film", "a cold meal and a slow phone"])
    said, expected = logits(loaded.model, batch), logits(old.model, batch)
    assert (match.outcome, match.kept, match.added, match.dropped) == (
        "extended",
        ("c", "a"),
        ("new",),
        ("b",),
    )
    assert torch.equal(said[..., 0], expected[..., 2])
    assert torch.equal(said[..., 2], expected[..., 0])
    assert not torch.allclose(said[..., 1], expected[..., 1], atol=1e-3)
    assert label_names(loaded.model.config) == ("c", "new", "a") and loaded.model.num_labels == 3
    assert loaded.new == tuple(sorted(f"{match.output}.{part}" for part in ("weight", "bias")))
    assert old.new == ()


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_head_of_other_labels_leaves_nothing(family: str, tiny: Any, tmp_path: Path) -> None:
    """Of the same size, which fitted without a word."""
    folder = classifier(tiny(family), tmp_path / "base", ["neg", "pos"])
    match, loaded = load(folder, ["fine", "terrible"])
    _, again = load(folder, ["fine", "terrible"])
    _, other = load(folder, ["fine", "terrible"], seed=1)
    weight = loaded.model.get_submodule(match.output).weight
    assert match.outcome == "new"
    assert weight.abs().max() < 0.2, "as the family initialises, not the normal(0, 1) of the base"
    assert torch.equal(weight, again.model.get_submodule(match.output).weight)
    assert not torch.equal(weight, other.model.get_submodule(match.output).weight)
    assert f"{match.output}.weight" in loaded.new


def test_a_head_of_another_task_leaves_nothing(tiny: Any, tmp_path: Path) -> None:
    """Labels of texts are none of tokens, whatever their names."""
    folder = classifier(tiny("bert"), tmp_path / "base", ["neg", "pos"])
    match, loaded = load(folder, ["neg", "pos"], kind="Token")
    assert (match.outcome, match.output) == ("new", None)
    assert loaded.new == ("classifier.bias", "classifier.weight")
    assert loaded.model.classifier.weight.abs().max() < 0.2


def test_a_number_is_no_label(tiny: Any, tmp_path: Path) -> None:
    """Nor is one number another, where both have names."""
    folder = classifier(tiny("bert"), tmp_path / "base", ["stars"], problem_type="regression")
    assert load(folder, ["Stars"])[0].outcome == "kept"
    assert load(folder, ["price"])[0].outcome == "new"
    unnamed = classifier(tiny("bert"), tmp_path / "other", ["LABEL_0"], problem_type="regression")
    assert load(unnamed, ["price"])[0].outcome == "kept"
    assert load(unnamed, ["LABEL_0", "b"])[0].outcome == "new"


def test_a_base_without_a_head_has_nothing_to_match(tiny: Any) -> None:
    match, loaded = load(tiny("bert"), ["a", "b"])
    assert match is None and loaded.new == ("classifier.bias", "classifier.weight")
