"""Sharded weights compute as whole ones, whichever weights train and however they are put in."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import distributed, nn

from support import STRATEGIES, build, encode
from welltuned.errors import RunFailed
from welltuned.models.freezing import hash_weights
from welltuned.models.sharding import copy_whole, is_sharded, reading, shard, through
from welltuned.models.tensor_parts import as_held, is_part, on_main, own_part, put_together

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A group of one process: its part is the whole, and nothing has to be started."""
    where = f"file://{tmp_path_factory.mktemp('group')}/store"
    distributed.init_process_group("gloo", init_method=where, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def passed(model: nn.Module, batch: dict[str, Any]) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of a pass, and by name the gradients that it leaves."""
    model.eval()  # no dropout
    loss = through(model, lambda: model(**batch).logits.square().mean())
    loss.backward()
    named = model.named_parameters()
    return loss.item(), {name: put_together(p.grad) for name, p in named if p.grad is not None}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("family", ["bert", pytest.param("llama", marks=pytest.mark.slow)])
def test_loss_and_gradients_are_those_of_whole_weights(
    strategy: str, family: str, tiny: Any
) -> None:
    folder = tiny(family)
    batch = encode(folder, ["the film was very good", "it was dull"])
    expected, gradients = passed(build(folder, STRATEGIES[strategy])[0], batch)
    model, anatomy, chosen = build(folder, STRATEGIES[strategy])
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    shard(model, anatomy, CPU)
    loss, found = passed(model, batch)
    assert is_sharded(model) and all(is_part(weight) for weight in model.parameters())
    assert [name for name, weight in model.named_parameters() if weight.requires_grad] == trained
    assert loss == pytest.approx(expected, abs=1e-6)
    assert set(found) == set(gradients)
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-5)
    assert chosen.parameter_groups(model, anatomy)


def test_what_begins_to_train_later_has_gradients_then(tiny: Any) -> None:
    from welltuned.strategies.base import END

    model, anatomy, chosen = build(tiny("bert"), STRATEGIES["gradual"])
    batch = encode(tiny("bert"), ["the film was very good", "it was dull"])
    shard(model, anatomy, CPU)
    _, few = passed(model, batch)
    chosen.advance(model, anatomy, END)
    _, more = passed(model, batch)
    assert set(few) < set(more)
    with reading(model):
        through(model, lambda: model(**batch))
    _, again = passed(model, batch)  # what was read without gradients is learned from as before
    assert set(again) == set(more)


def test_tensors_are_put_back_where_they_were_taken_from(tiny: Any) -> None:
    model, anatomy, _ = build(tiny("bert"), STRATEGIES["full"])
    before = hash_weights(model.named_parameters())
    kept = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    other = copy.deepcopy(model)
    shard(model, anatomy, CPU)
    assert hash_weights(model.named_parameters()) == before
    gathered = on_main(dict(model.named_parameters()))
    assert all(torch.equal(gathered[name], weight) for name, weight in kept.items())
    with torch.no_grad():
        for weight in [*model.parameters(), *other.parameters()]:
            own_part(weight).zero_()
        assert not any(put_together(weight).any() for weight in model.parameters())
        for name, weight in model.named_parameters():
            weight.copy_(as_held(kept[name], weight))
    copy_whole(model, other)
    assert hash_weights(other.named_parameters()) == before


def test_a_weight_that_is_one_number_is_refused(tiny: Any) -> None:
    model, anatomy, _ = build(tiny("bert"), STRATEGIES["full"])
    model.scale = nn.Parameter(torch.tensor(1.0))
    with pytest.raises(RunFailed, match=r"'scale' is a single number.*sharding\.scalar_weight"):
        shard(model, anatomy, CPU)


def test_whole_weights_are_left_alone() -> None:
    linear = nn.Linear(2, 2)
    assert not is_sharded(linear)
    assert through(linear, lambda: 3) == 3
