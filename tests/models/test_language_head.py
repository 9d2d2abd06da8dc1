"""The cross-entropy without full logits: equal to the one with them, from less memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from support import DECODERS, STRATEGIES, make_config, make_tokenizer, strategy_of
from welltuned.data.tokens.encoding import IGNORED
from welltuned.models import language_head
from welltuned.models.compat.transformers_api import recompute_activations
from welltuned.models.language_head import (
    TokenLosses,
    check_head,
    default_chunk,
    predicted,
    token_losses,
    token_scores,
)

STILL = {"attention_dropout": 0.0}
STILL_GPT2 = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
INJECTED = ("lora", "prompt", "prefix", "projected", "houlsby", "pfeiffer", "parallel")
RESCALED: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma2": ("gemma2", {"final_logit_softcapping": 2.0}),
    "gemma3": ("gemma3_text", {"final_logit_softcapping": 2.0}),
    "granite": ("granite", {"logits_scaling": 8.0}),
    "cohere": ("cohere", {"logit_scale": 0.0625}),
}
"""Families that change their logits after the output layer, and how much."""

pytestmark = [
    pytest.mark.filterwarnings("ignore:`(is_)?gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False"),
]
families = pytest.mark.parametrize("family", DECODERS)
ties = pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])


def config_of(family: str, **changes: Any) -> Any:
    """A tiny config without dropout: the two computations would draw different masks."""
    return make_config(family, **{**(STILL_GPT2 if family == "gpt2" else STILL), **changes})


def make(family: str, **changes: Any) -> Any:
    """A tiny random language model in training mode."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config_of(family, **changes))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)  # random models start so small that nothing would show
    return model.train()


def with_lora(model: Any, targets: Any, dropout: float = 0.0) -> Any:
    """LoRA by PEFT with an effect from the start."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules=targets, lora_dropout=dropout,
        init_lora_weights=False,
    )  # fmt: skip
    return get_peft_model(model, config).train()


def prepared(family: str, strategy: str) -> Any:
    """A language model with one of our strategies on it."""
    from transformers import AutoModelForCausalLM

    from welltuned.models.anatomy import examine_anatomy
    from welltuned.models.loading import Head, build_skeleton
    from welltuned.strategies import Context

    skeleton = build_skeleton(Head(AutoModelForCausalLM, config_of(family), new=False))
    context = Context(
        examine_anatomy(skeleton, new_head=False), make_tokenizer("decoder", family), family,
        "CAUSAL_LM", 0, [[7, 8, 9, 10], [11, 12, 13]],
    )  # fmt: skip
    model = strategy_of(STRATEGIES[strategy]).prepare(make(family), context)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))  # fresh parts may do nothing
    return model.train()


def a_batch(side: str = "right", length: int = 12) -> dict[str, Any]:
    """Four rows: all labelled, the end labelled, no label at all, and the first token too."""
    generator = torch.Generator().manual_seed(1)
    ids_BT = torch.randint(6, 32, (4, length), generator=generator)
    lengths_B1 = torch.tensor([[length], [length - 3], [length - 2], [length - 5]])
    places_T = torch.arange(length)
    mask_BT = places_T < lengths_B1
    labels_BT = ids_BT.masked_fill(~mask_BT, IGNORED)
    labels_BT[1, :4] = IGNORED
    labels_BT[2] = IGNORED
    if side == "left":
        shift_BT = (places_T + lengths_B1) % length
        ids_BT, labels_BT, mask_BT = (
            track.gather(1, shift_BT) for track in (ids_BT, labels_BT, mask_BT)
        )
    return {"input_ids": ids_BT, "labels": labels_BT, "attention_mask": mask_BT.long()}


def reference(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses and hits by the book: all logits, shifted, and torch's cross-entropy."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    logits_BTV = model(**inputs, use_cache=False).logits.float()
    targets_BT = batch["labels"][:, 1:]
    losses_BT = functional.cross_entropy(
        logits_BTV[:, :-1].transpose(1, 2), targets_BT, ignore_index=IGNORED, reduction="none"
    )
    hits_BT = logits_BTV[:, :-1].argmax(-1) == targets_BT
    return losses_BT[targets_BT != IGNORED], hits_BT[targets_BT != IGNORED]


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradients of a loss by name, taken out of the model."""
    loss.backward()
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


def assert_equal_to_full(
    model: Any,
    batch: dict[str, Any],
    autocast: Callable[[], Any] = nullcontext,
    tolerance: float = 1e-6,
) -> None:
    """Losses, hits and gradients of the mean loss; gradients relative to their largest entry."""
    with autocast():
        losses_M, hits_M = reference(model, batch)
    expected = gradients(model, losses_M.mean())
    with autocast():
        ours = token_losses(model, **batch, chunk=3)
    found = gradients(model, ours.losses_M.mean())
    assert ours.losses_M.dtype == torch.float32
    torch.testing.assert_close(ours.losses_M, losses_M, atol=tolerance, rtol=tolerance)
    assert torch.equal(ours.hits_M, hits_M)
    assert found.keys() == expected.keys() != set()
    for name, gradient in expected.items():
        scale = max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(
            found[name],
            gradient,
            atol=tolerance * scale,
            rtol=0,
            msg=partial("{}: {}".format, name),
        )


# --- Equal to the full computation ---------------------------------------------


@ties
@families
def test_losses_and_gradients_are_those_of_the_full_computation(family: str, tied: bool) -> None:
    assert_equal_to_full(make(family, tie_word_embeddings=tied), a_batch())


@families
def test_the_padding_may_stand_on_the_left(family: str) -> None:
    assert_equal_to_full(make(family), a_batch("left"))


@pytest.mark.parametrize("name", RESCALED)
def test_what_a_family_does_after_its_output_layer_is_done(name: str) -> None:
    family, changes = RESCALED[name]
    model = make(family, **changes)
    assert_equal_to_full(model, a_batch())
    neutral = None if "final_logit_softcapping" in changes else 1.0
    plain = make(family, **dict.fromkeys(changes, neutral))
    with torch.no_grad():
        same, other = (reference(m, a_batch())[0] for m in (model, plain))
    assert not torch.allclose(same, other, atol=1e-2), "the change must show in this test"


@ties
@families
def test_lora_is_equal_too(family: str, tied: bool) -> None:
    assert_equal_to_full(with_lora(make(family, tie_word_embeddings=tied), "all-linear"), a_batch())


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
@ties
@families
def test_lora_on_the_output_layer_is_equal_and_trains(family: str, tied: bool) -> None:
    model = with_lora(make(family, tie_word_embeddings=tied), ["lm_head"])
    assert_equal_to_full(model, a_batch())
    found = gradients(model, token_losses(model, **a_batch()).losses_M.sum())
    assert sum("lm_head.lora_" in name for name in found) == 2
    assert all(gradient.any() for gradient in found.values())


@pytest.mark.parametrize("strategy", INJECTED)
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_what_our_strategies_put_into_the_model_takes_part(family: str, strategy: str) -> None:
    for side in ("right", "left"):
        assert_equal_to_full(prepared(family, strategy), a_batch(side))


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@families
def test_gradient_checkpointing_changes_nothing(family: str, lora: bool) -> None:
    model = with_lora(make(family), "all-linear") if lora else make(family)
    expected = gradients(model, token_losses(model, **a_batch()).losses_M.mean())
    recompute_activations(model)
    assert_equal_to_full(model, a_batch())
    found = gradients(model, token_losses(model, **a_batch()).losses_M.mean())
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-5)


@families
def test_autocast_to_half_precision_is_equal_up_to_its_rounding(family: str) -> None:
    half = lambda: torch.autocast("cpu", dtype=torch.bfloat16)  # noqa: E731
    assert_equal_to_full(make(family), a_batch(), half, tolerance=2e-2)


def test_under_autocast_chunks_are_summed_in_full_precision() -> None:
    """However many chunks there are, the output layer's gradient keeps its precision."""
    model, batch = make("llama"), a_batch(length=48)
    weight = "lm_head.weight"
    exact = gradients(model, token_losses(model, **batch).losses_M.sum())[weight]
    errors = []
    for chunk in (1000, 1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = token_losses(model, **batch, chunk=chunk).losses_M.sum()
        errors.append(float((gradients(model, loss)[weight] - exact).norm()))
    assert errors[1] < 1.2 * errors[0]


def test_a_second_pass_draws_the_dropout_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout in LoRA on the output layer is the only chance there is in this model."""
    model = with_lora(make("llama"), ["lm_head"], dropout=0.5)

    def run() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        torch.manual_seed(3)
        losses_M = token_losses(model, **a_batch(), chunk=3).losses_M
        return losses_M.detach(), gradients(model, losses_M.sum())

    losses_M, found = run()
    monkeypatch.setattr(language_head, "checkpoint", lambda f, *a, **_: f(*a))
    expected_M, expected = run()
    torch.testing.assert_close(losses_M, expected_M)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient)


@pytest.mark.parametrize("chunk", [1, 2, 7, 1000, None])
def test_the_size_of_chunks_is_of_no_account(chunk: int | None) -> None:
    model = make("llama")
    expected_M, _ = reference(model, a_batch())
    torch.testing.assert_close(token_losses(model, **a_batch(), chunk=chunk).losses_M, expected_M)


@pytest.mark.parametrize("strategy", ["full", "lora", "prompt"])
def test_the_fallback_asks_the_model_for_all_logits(strategy: str) -> None:
    model = make("llama") if strategy == "full" else prepared("llama", strategy)
    with torch.no_grad():
        ours, full = (token_losses(model, **a_batch(), full=choice) for choice in (False, True))
    for name in TokenLosses.__dataclass_fields__:
        torch.testing.assert_close(getattr(ours, name), getattr(full, name))


@pytest.mark.parametrize("full", [False, True])
def test_positions_are_handed_on_and_keep_packed_texts_apart(full: bool) -> None:
    """Two texts in one row, told apart by their positions alone, do not read each other."""
    model = make("llama").eval()
    ids = torch.randint(6, 32, (1, 11), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[0, 5] = IGNORED  # the first token of the second text
    positions = torch.tensor([[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5]])
    with torch.no_grad():
        packed = token_losses(model, ids, labels, position_ids=positions, full=full)
        alone = [token_losses(model, part, part) for part in (ids[:, :5], ids[:, 5:])]
    torch.testing.assert_close(packed.losses_M, torch.cat([part.losses_M for part in alone]))


# --- Which tokens are told of ---------------------------------------------------


def test_each_loss_knows_its_token() -> None:
    """A row's first token is labelled in two rows here, and never predicted."""
    batch = a_batch()
    found = token_losses(make("llama"), **batch)
    told = list(zip(found.rows_M.tolist(), found.positions_M.tolist(), strict=True))
    labelled = (batch["labels"] != IGNORED).nonzero().tolist()
    assert told == [(row, position) for row, position in labelled if position > 0]
    assert int(predicted(batch["labels"]).sum()) == len(told) == len(labelled) - 2


def test_hits_are_counted_where_the_likeliest_token_is_the_label() -> None:
    model, batch = make("llama"), a_batch()
    with torch.no_grad():
        best_BT = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits.argmax(
            -1
        )
    labels = batch["labels"].clone()
    labels[0, 1:] = best_BT[0, :-1]
    hits_M = token_losses(model, **{**batch, "labels": labels}).hits_M
    assert hits_M[:11].all()
    assert not hits_M[11:].all()


@pytest.mark.parametrize("full", [False, True], ids=["ours", "full"])
@pytest.mark.parametrize("kind", ["full", "lora", "lora on lm_head", "prompt"])
def test_a_batch_without_labels_has_a_loss_of_zero_and_gradients_of_zero(
    kind: str, full: bool
) -> None:
    models: dict[str, Callable[[], Any]] = {
        "full": lambda: make("llama"),
        "lora": lambda: with_lora(make("llama"), "all-linear"),
        "lora on lm_head": lambda: with_lora(make("llama"), ["lm_head"]),
        "prompt": lambda: prepared("llama", "prompt"),
    }
    model, batch = models[kind](), a_batch()
    batch["labels"] = torch.full_like(batch["labels"], IGNORED)
    loss = token_losses(model, **batch, full=full).losses_M.sum()
    assert loss.item() == 0.0
    found = gradients(model, loss)
    assert found.keys() == {n for n, p in model.named_parameters() if p.requires_grad}
    assert not any(gradient.any() for gradient in found.values())


def test_nothing_is_learned_where_gradients_are_off() -> None:
    with torch.no_grad():
        found = token_losses(make("llama"), **a_batch())
    assert not found.losses_M.requires_grad


# --- Memory ---------------------------------------------------------------------

VOCABULARY, LENGTH, CHUNK = 50_000, 512, 64


class Largest(TorchDispatchMode):
    """Notes the most numbers in any tensor that an operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor)]
        self.numel = max([self.numel, *sizes])
        return made


def long_batch() -> tuple[Any, dict[str, Any]]:
    model = make(
        "llama", vocab_size=VOCABULARY, max_position_embeddings=LENGTH, num_hidden_layers=1
    )
    ids = torch.randint(0, VOCABULARY, (1, LENGTH), generator=torch.Generator().manual_seed(0))
    return model, {"input_ids": ids, "labels": ids}


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_no_tensor_is_larger_than_the_logits_of_a_chunk(lora: bool) -> None:
    """In neither pass; the full computation makes one of all positions."""
    model, batch = long_batch()
    model = with_lora(model, ["q_proj", "lm_head"]) if lora else model
    with Largest() as ours:
        token_losses(model, **batch, chunk=CHUNK).losses_M.sum().backward()
    with Largest() as full:
        token_losses(model, **batch, full=True).losses_M.sum().backward()
    assert ours.numel == CHUNK * VOCABULARY
    assert full.numel == LENGTH * VOCABULARY


def test_the_logits_of_one_chunk_wait_for_the_backward_pass() -> None:
    """Between the passes the graph of the short cut holds hidden states, and the last chunk."""
    model, batch = long_batch()

    weights = {parameter.data_ptr() for parameter in model.parameters()}

    def held(**how: Any) -> int:
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.data_ptr() not in weights and tensor.shape[-1:] == (VOCABULARY,):
                kept[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            found = token_losses(model, **batch, **how)
        assert found.losses_M.requires_grad
        return sum(kept.values())

    last = (LENGTH - 1) % CHUNK
    assert held(chunk=CHUNK) == last * VOCABULARY
    assert held(full=True) == (LENGTH - 1) * VOCABULARY


@pytest.mark.parametrize("chunk", [3, 1000])
def test_only_what_cannot_wait_is_computed_twice(chunk: int) -> None:
    """A batch that fits into one chunk costs no second pass."""
    model, calls = make("llama"), list[int]()
    model.lm_head.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    losses_M = token_losses(model, **a_batch(), chunk=chunk).losses_M
    once = len(calls)
    losses_M.sum().backward()
    assert once == -(-len(losses_M) // chunk)
    assert len(calls) == 2 * once - 1


def test_a_default_chunk_has_64_mib_of_logits_at_most() -> None:
    for vocabulary in (50, 32_000, 151_936, 262_144):
        chunk = default_chunk(vocabulary)
        assert chunk * vocabulary * 4 <= 64 * 2**20 < (chunk + 1) * vocabulary * 4
    assert default_chunk(10**9) == 1


# --- Whether the short cut holds --------------------------------------------------


@pytest.mark.parametrize("family", dict.fromkeys((*DECODERS, *RESCALED)))
def test_the_check_says_yes_to_families_it_knows(family: str) -> None:
    name, changes = RESCALED.get(family, (family, {}))
    model, batch = make(name, **changes), a_batch("left")
    del batch["labels"]
    assert check_head(model, **batch)
    assert check_head(model.to(torch.bfloat16), **batch)


@pytest.mark.parametrize("strategy", INJECTED)
def test_the_check_says_yes_to_what_we_inject(strategy: str) -> None:
    batch = a_batch()
    assert check_head(prepared("llama", strategy), batch["input_ids"], batch["attention_mask"])


def test_the_check_says_no_where_logits_are_changed_in_another_way() -> None:
    """HyperCLOVA X multiplies by what Granite divides by."""
    model = make("hyperclovax", logits_scaling=8.0)
    assert not check_head(model, a_batch()["input_ids"])
    assert check_head(make("hyperclovax", logits_scaling=1.0), a_batch()["input_ids"])


@pytest.mark.parametrize("method", ["PromptTuningConfig", "PrefixTuningConfig"])
def test_the_check_says_no_to_what_peft_does_outside_the_trunk(method: str) -> None:
    import peft

    config = getattr(peft, method)(task_type="CAUSAL_LM", num_virtual_tokens=3)
    model = peft.get_peft_model(make("llama"), config)
    batch = a_batch()
    assert not check_head(model, batch["input_ids"], batch["attention_mask"])


def test_the_check_looks_at_real_tokens_only() -> None:
    """What a family computes for padding may be no number at all."""
    model, batch = make("llama"), a_batch()

    def spoil(module: nn.Module, inputs: Any, outputs: Any) -> None:
        outputs.last_hidden_state[batch["attention_mask"] == 0] = float("nan")

    model.model.register_forward_hook(spoil)
    assert check_head(model, batch["input_ids"], batch["attention_mask"])
    assert not check_head(model, batch["input_ids"], torch.ones_like(batch["attention_mask"]))


def test_the_check_leaves_modes_as_they_were() -> None:
    model = make("gpt2", attn_pdrop=0.5, resid_pdrop=0.5)
    model.transformer.h[0].eval()
    before = [module.training for module in model.modules()]
    assert check_head(model, a_batch()["input_ids"])
    assert [module.training for module in model.modules()] == before


def test_a_model_without_an_output_layer_is_refused() -> None:
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(config_of("llama", pad_token_id=0))
    assert not check_head(model, a_batch()["input_ids"])
    with pytest.raises(ValueError, match="LlamaForSequenceClassification has no trunk"):
        token_losses(model, **a_batch())


# --- Scores of a policy -----------------------------------------------------------


def judged_batch(seed: int = 3) -> dict[str, Any]:
    """Two rows padded on the left, their last four tokens to be judged."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(6, 40, (2, 9), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    labels = ids.clone()
    labels[:, :5] = IGNORED
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


@families
def test_scores_are_log_probabilities_of_the_tempered_logits(family: str) -> None:
    model, batch = make(family).eval(), judged_batch()
    for temperature in (1.0, 0.7):
        found = token_scores(model, **batch, temperature=temperature, entropy=True, chunk=3)
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        logprobs = (model(**inputs).logits / temperature).log_softmax(-1)[:, 4:8]
        expected = logprobs.gather(2, batch["input_ids"][:, 5:].unsqueeze(2))
        torch.testing.assert_close(found.logprobs_M, expected.flatten(), rtol=1e-4, atol=1e-5)
        entropies = -(logprobs.exp() * logprobs).sum(-1)
        assert found.entropies_M is not None
        torch.testing.assert_close(found.entropies_M, entropies.flatten(), rtol=1e-4, atol=1e-5)
        assert found.rows_M.tolist() == [0] * 4 + [1] * 4
        assert found.positions_M.tolist() == [5, 6, 7, 8] * 2
    plain = token_losses(model, **batch)
    torch.testing.assert_close(token_scores(model, **batch).logprobs_M, -plain.losses_M)
    assert token_scores(model, **batch).entropies_M is None


def test_scores_of_chunks_have_the_gradients_of_the_whole() -> None:
    batch, gradients = judged_batch(), []
    for chunk in (1, 100):
        model = make("llama").eval()
        found = token_scores(model, **batch, temperature=0.7, entropy=True, chunk=chunk)
        assert found.entropies_M is not None
        (found.logprobs_M.sum() + found.entropies_M.sum() + found.hidden_MH.sum()).backward()
        gradients.append([weight.grad for weight in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
