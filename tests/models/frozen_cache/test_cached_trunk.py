"""Frozen blocks run once for each row of tokens, and nothing changes by a bit."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from support import DECODERS, FAMILIES, STRATEGIES, build, encode, logits, make_rows
from welltuned.models.frozen_cache.cached_trunk import CachedTrunk
from welltuned.models.frozen_cache.frozen_part import FrozenPart
from welltuned.models.frozen_cache.row_folder import RowFolder
from welltuned.models.frozen_cache.row_store import RowStore

TEXTS = [row["text"] for row in make_rows(24, seed=3)]


def trunk_of(model: Any, anatomy: Any, **options: Any) -> CachedTrunk:
    return CachedTrunk(model, anatomy, **{"store": RowStore(2**26), **options})


@pytest.mark.parametrize("family", FAMILIES)
def test_kept_states_give_what_computed_ones_give(family: str, tiny: Callable[..., str]) -> None:
    """In whatever batches they were computed."""
    folder = tiny(family)
    model, anatomy, _ = build(folder, STRATEGIES["partial"])
    plain = logits(model, encode(folder, TEXTS))
    trunk = trunk_of(model, anatomy)
    for start in range(0, 24, 7):
        logits(model, encode(folder, TEXTS[start : start + 7]))
    once = trunk.computed
    kept = logits(model, encode(folder, TEXTS))
    assert trunk.computed == once == len(set(TEXTS)) and trunk.found >= 24
    trunk.detach()
    trunk = trunk_of(model, anatomy, store=None)
    computed = logits(model, encode(folder, TEXTS))
    trunk.detach()
    assert torch.equal(kept, computed)
    torch.testing.assert_close(kept, plain, rtol=1e-4, atol=1e-6)
    assert torch.equal(logits(model, encode(folder, TEXTS)), plain)  # detached


def test_gradients_are_those_of_computed_states(tiny: Callable[..., str]) -> None:
    folder = tiny("bert")
    found = []
    for store in (None, RowStore(2**26)):
        model, anatomy, _ = build(folder, STRATEGIES["partial"])
        model.eval()
        trunk = trunk_of(model, anatomy, store=store)
        with torch.inference_mode():  # states of an evaluation serve training
            model(**encode(folder, TEXTS[:9]))
        model(**encode(folder, TEXTS[4:12])).logits.square().sum().backward()
        found.append([weight.grad for weight in model.parameters() if weight.grad is not None])
        assert trunk.found == (0 if store is None else 5)
    assert len(found[0]) > 4
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_states_that_will_be_needed_deeper_are_kept_too(tiny: Callable[..., str]) -> None:
    folder = tiny("bert")
    model, anatomy, _ = build(folder, STRATEGIES["head"])
    batch = encode(folder, TEXTS[:6])
    trunk = trunk_of(model, anatomy, lowest=2)
    logits(model, batch)
    for block in anatomy.blocks[:1:-1]:
        model.get_submodule(block.name).requires_grad_(True)
        logits(model, batch)
    assert trunk.computed == 6
    model.get_submodule(anatomy.blocks[1].name).requires_grad_(True)
    logits(model, batch)
    assert trunk.computed == 12


def test_other_weights_have_other_states(tiny: Callable[..., str]) -> None:
    folder = tiny("bert")
    model, anatomy, _ = build(folder, STRATEGIES["head"])
    batch = encode(folder, TEXTS[:6])
    trunk = trunk_of(model, anatomy)
    before = logits(model, batch)
    with torch.no_grad():
        model.get_submodule(anatomy.blocks[0].name).attention.output.dense.weight.mul_(3)
    after = logits(model, batch)
    assert trunk.computed == 12 and not torch.equal(before, after)


def test_a_model_that_computes_by_chance_is_left_alone(tiny: Callable[..., str]) -> None:
    folder = tiny("bert")
    model, anatomy, _ = build(folder, STRATEGIES["head"])
    model.get_submodule(anatomy.blocks[1].name).register_forward_hook(
        lambda module, inputs, output: output + torch.rand(1)
    )
    said: list[str] = []
    trunk = trunk_of(model, anatomy, tell=said.append)
    batch = encode(folder, TEXTS[:6])
    assert not torch.equal(logits(model, batch), logits(model, batch))
    assert len(said) == 1 and trunk.found == 0


def test_rows_that_do_not_agree_run_alone(
    tiny: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    for agree in (1.0, 0.0):
        monkeypatch.setattr(
            "welltuned.models.frozen_cache.cached_trunk.remembered", lambda *_, to=agree: to
        )
        model, anatomy, _ = build(tiny("bert"), STRATEGIES["head"])
        trunk = trunk_of(model, anatomy)
        batch = encode(tiny("bert"), TEXTS[:6])
        logits(model, {name: track[:1] for name, track in batch.items()})
        inside = model.get_submodule(anatomy.blocks[0].name).attention
        inside.register_forward_hook(lambda module, inputs, output: sizes.append(len(output[0])))
        logits(model, batch)
        if agree:
            assert min(sizes) > 1
            sizes.clear()
        assert trunk.computed == 6
    assert sizes == [1] * 5


@pytest.mark.parametrize("asked", ["output_hidden_states", "inputs_embeds", "train mode", "left"])
def test_what_is_not_the_states_alone_is_computed_as_ever(
    asked: str, tiny: Callable[..., str]
) -> None:
    folder = tiny("bert")
    model, anatomy, _ = build(folder, STRATEGIES["head"])
    trunk = trunk_of(model, anatomy)
    batch = encode(folder, TEXTS[:3], "left" if asked == "left" else "right")
    model.train(asked == "train mode")
    if asked == "output_hidden_states":
        found = model.base_model(**batch, output_hidden_states=True)
        assert len(found.hidden_states) == anatomy.num_blocks + 1
    elif asked == "inputs_embeds":
        model.base_model(inputs_embeds=torch.zeros(1, 3, 32), attention_mask=torch.ones(1, 3))
    else:
        model(**batch)
    assert trunk.computed == 0


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_generation_is_left_alone(family: str, causal: Callable[..., str]) -> None:
    from transformers import AutoModelForCausalLM

    from welltuned.models.anatomy import examine_anatomy

    assert family in DECODERS
    model = AutoModelForCausalLM.from_pretrained(causal(family)).eval().requires_grad_(False)
    with torch.device("meta"):
        skeleton = AutoModelForCausalLM.from_config(model.config)
    anatomy = examine_anatomy(skeleton, new_head=False)
    ids = torch.tensor([[7, 8, 9]])
    options = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 4, "do_sample": False}
    before = model.generate(ids, **options)
    trunk = trunk_of(model, anatomy)
    model(ids, use_cache=False)
    assert trunk.computed == 1
    assert torch.equal(model.generate(ids, **options), before)
    assert trunk.computed == 1


def test_what_has_no_room_is_computed_again(tiny: Callable[..., str]) -> None:
    folder = tiny("bert")
    model, anatomy, _ = build(folder, STRATEGIES["head"])
    trunk = trunk_of(model, anatomy, store=RowStore(0))
    batch = encode(folder, TEXTS[:6])
    assert torch.equal(logits(model, batch), logits(model, batch))
    assert trunk.computed == 12


def test_fingerprints_are_taken_once(
    tiny: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, anatomy, _ = build(tiny("bert"), STRATEGIES["head"])
    trunk_of(model, anatomy)
    hashed: list[int] = []
    own = FrozenPart._hash

    def counted(self: FrozenPart, depth: int, told: list[str]) -> str:
        hashed.append(depth)
        return own(self, depth, told)

    monkeypatch.setattr(FrozenPart, "_hash", counted)
    for _ in range(3):
        logits(model, encode(tiny("bert"), TEXTS[:2]))
    assert hashed == [4]


def test_a_folder_that_cannot_be_written_is_left(tiny: Callable[..., str], tmp_path: Path) -> None:
    folder = tiny("bert")
    model, anatomy, _ = build(folder, STRATEGIES["head"])
    blocked = tmp_path / "file"
    blocked.touch()  # no folder can be made here
    said: list[str] = []
    store = RowStore(2**26, lambda: RowFolder(blocked))
    trunk = trunk_of(model, anatomy, store=store, tell=said.append)
    batch = encode(folder, TEXTS[:6])
    assert torch.equal(logits(model, batch), logits(model, batch))
    assert len(said) == 1 and (trunk.computed, trunk.found) == (6, 6)


def test_a_later_process_finds_what_an_earlier_one_kept(
    tiny: Callable[..., str], tmp_path: Path
) -> None:
    folder, found = tiny("bert"), []
    for computed in (6, 0):
        model, anatomy, _ = build(folder, STRATEGIES["partial"])
        trunk = trunk_of(model, anatomy, store=RowStore(2**26, lambda: RowFolder(tmp_path)))
        found.append(logits(model, encode(folder, TEXTS[:6])))
        assert trunk.computed == computed
    assert torch.equal(*found)


def _flip_a_byte(folder: Path, patch: pytest.MonkeyPatch) -> None:
    file = next(folder.rglob("rows.bin"))
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)


def _cut_short(folder: Path, patch: pytest.MonkeyPatch) -> None:
    os.truncate(next(folder.rglob("rows.bin")), 100)


def _delete(folder: Path, patch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder)


def _forbid_writing(folder: Path, patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    patch.setattr("welltuned.models.frozen_cache.row_folder._append", refuse)


def _fill_the_disk(folder: Path, patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    patch.setattr("welltuned.models.frozen_cache.row_folder._append", refuse)


@pytest.mark.parametrize(
    ("happens", "lines"),
    [(_flip_a_byte, 0), (_cut_short, 0), (_delete, 1), (_forbid_writing, 1), (_fill_the_disk, 1)],
)
def test_whatever_becomes_of_the_folder_outputs_stay_and_one_line_says_so(
    happens: Callable[..., None],
    lines: int,
    tiny: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No memory holds states here, so that each is read from the folder."""
    folder = tiny("bert")
    model, anatomy, _ = build(folder, STRATEGIES["head"])
    said: list[str] = []
    store = RowStore(0, lambda: RowFolder(tmp_path / "frozen"))
    known, more = encode(folder, TEXTS[:6]), encode(folder, TEXTS[6:12])
    trunk = trunk_of(model, anatomy, store=None)
    wanted = logits(model, known), logits(model, more)
    trunk.detach()
    trunk_of(model, anatomy, store=store, tell=said.append)
    for _ in range(2):  # computed, and found
        logits(model, known)
    happens(tmp_path / "frozen", monkeypatch)
    for _ in range(2):
        assert torch.equal(logits(model, known), wanted[0])
        assert torch.equal(logits(model, more), wanted[1])
    assert len(said) == lines
