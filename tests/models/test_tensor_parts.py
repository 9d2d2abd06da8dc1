"""Tensors of which each process holds a part, in a group of one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import distributed

from welltuned.models.tensor_parts import as_held, is_part, on_main, own_part, put_together

WHOLE = torch.arange(6.0).reshape(3, 2)


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Iterator[torch.Tensor]:
    """`WHOLE` as sharded weights hold it."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    where = f"file://{tmp_path_factory.mktemp('group')}/store"
    distributed.init_process_group("gloo", init_method=where, rank=0, world_size=1)
    yield distribute_tensor(WHOLE, init_device_mesh("cpu", (1,)), [Shard(0)])
    distributed.destroy_process_group()


def test_of_a_whole_tensor_each_gives_the_tensor_itself() -> None:
    other = torch.zeros(3, 2)
    assert not is_part(WHOLE)
    assert put_together(WHOLE) is own_part(WHOLE) is as_held(WHOLE, other) is WHOLE
    assert on_main({"w": WHOLE})["w"] is WHOLE


def test_a_part_is_told_from_a_whole_and_put_together(part: torch.Tensor) -> None:
    assert is_part(part)
    for found in (own_part(part), put_together(part), on_main({"w": part})["w"]):
        assert not is_part(found) and torch.equal(found, WHOLE)


def test_what_is_written_into_ones_own_part_is_in_the_tensor(part: torch.Tensor) -> None:
    copy = as_held(WHOLE.clone(), part)
    own_part(copy).add_(1)
    assert torch.equal(put_together(copy), WHOLE + 1)


def test_a_tensor_is_held_as_the_weight_beside_it_where_it_has_its_shape(
    part: torch.Tensor,
) -> None:
    held = as_held(2 * WHOLE, part)
    assert is_part(held) and torch.equal(put_together(held), 2 * WHOLE)
    step = torch.tensor(3.0)  # what optimizers keep of a weight beside its moments
    assert as_held(step, part) is step
