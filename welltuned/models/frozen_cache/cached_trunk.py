"""A trunk whose frozen blocks run once for each row of tokens.

It stands in place of the trunk's own forward pass, so tasks, strategies and engines know nothing of
it. A batch is taken apart into its rows; the states of rows that were seen before are put together
again, padded with zeros, and the pass begins above the frozen blocks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from welltuned.models.anatomy import Anatomy, unwrapped
from welltuned.models.compat.torch_api import uncounted
from welltuned.models.freezing import in_eval_mode
from welltuned.models.frozen_cache.exactness import LEAST, MOST, refusal, rows_agree
from welltuned.models.frozen_cache.frozen_part import FrozenPart
from welltuned.models.frozen_cache.lower_blocks import LowerBlocks
from welltuned.models.frozen_cache.row_store import STORE, RowStore
from welltuned.models.frozen_cache.token_rows import MASK, TRACKS, TokenRows
from welltuned.runs.user_cache import remembered


class CachedTrunk:
    """What runs in place of a trunk's own forward pass, until `detach`."""

    def __init__(
        self,
        model: nn.Module,
        anatomy: Anatomy,
        lowest: int | None = None,
        store: RowStore | None = STORE,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`lowest`: fewer and fewer blocks will be frozen, down to so many, so their states are
        kept as well. Without a `store` nothing is kept, and everything computed the same way.
        """
        self._trunk: Any = unwrapped(model).get_submodule(anatomy.trunk)
        self._own = self._trunk.forward
        self._names = [*inspect.signature(self._own).parameters]
        self._part = FrozenPart(model, anatomy)
        self._blocks = LowerBlocks.of(model, anatomy)
        self._lowest = lowest
        self._store = store
        self._tell = tell
        self._spare = int(not self._blocks.fill_vectors)
        self._together: dict[bool, bool] = {}
        self._refused = False
        self.computed = 0
        """Rows that ran through frozen blocks, those repeated to fill a batch not counted."""
        self.found = 0
        """Rows whose states were there already."""
        self._trunk.forward = self._forward

    def detach(self) -> None:
        """The trunk's own forward pass comes back."""
        vars(self._trunk).pop("forward", None)

    @property
    def depth(self) -> int:
        """How many blocks are frozen now, and run once; 0 where that was refused."""
        return 0 if self._refused else self._part.depth()

    def _forward(self, *args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(self._names, args, strict=False)), **kwargs}
        depth = self.depth
        if not depth or self._blocks.train(depth) or self._asks_for_more(given):
            return self._own(*args, **kwargs)
        rows = TokenRows.of(given)
        if rows is None:
            return self._own(*args, **kwargs)
        if "use_cache" in self._names:
            given["use_cache"] = False  # keys and values of blocks that are stepped over
        if not self._may_keep(depth, rows, given):
            return self._own(*args, **kwargs)
        states_BTH = self._states(depth, rows)
        with self._blocks.skipped(depth, states_BTH):
            return self._own(**given)

    def _asks_for_more(self, given: dict[str, Any]) -> bool:
        """Whether a pass is asked for anything that the blocks' last states do not tell."""
        ordinary = {*TRACKS, MASK, "return_dict"}
        config = self._trunk.config
        return (
            any(
                value is not None and value is not False
                for name, value in given.items()
                if name not in ordinary
            )
            or config.output_hidden_states
            or bool(getattr(config, "output_attentions", False))
        )

    def _may_keep(self, depth: int, rows: TokenRows, given: dict[str, Any]) -> bool:
        """Try once for each precision whether keeping states changes nothing."""
        half = torch.is_autocast_enabled(self._device.type)
        if half in self._together:
            return True

        def whole() -> torch.Tensor:
            output: torch.Tensor = self._own(**given)[0]
            return output

        def compute(rows: TokenRows, chosen: np.ndarray) -> torch.Tensor:
            filled = np.append(chosen, chosen[:1]) if self._spare else chosen
            return self._run(rows, filled, [depth])[depth][: len(chosen)]

        with in_eval_mode(self._trunk), uncounted(), torch.no_grad():
            why = refusal(self._blocks, depth, rows, compute, whole)
            if why is not None:
                self._refused = True
                self._tell(f"frozen blocks run anew for each batch: {why}")
                return False
            known = f"rows agree: {self._part.fingerprint(depth)}"
            self._together[half] = bool(remembered(known, lambda: float(rows_agree(rows, compute))))
        return True

    @property
    def _device(self) -> torch.device:
        return next(self._trunk.parameters()).device

    def _states(self, depth: int, rows: TokenRows) -> torch.Tensor:
        """The states (B, T, H) above the frozen blocks, with zeros for padding."""
        fingerprint = self._part.fingerprint(depth)
        known = self._find(fingerprint, rows.keys)
        missing = {key: row for row, key in enumerate(rows.keys) if key not in known}
        self.found += len(rows) - len(missing)
        self.computed += len(missing)
        if missing:
            known |= self._compute(depth, rows, missing.values())
        first = next(iter(known.values()))
        states_BTH = first.new_zeros(len(rows), rows.width, first.shape[1])
        for row, key in enumerate(rows.keys):
            states_BTH[row, : rows.lengths_B[row]] = known[key]
        return states_BTH

    def _compute(
        self, depth: int, rows: TokenRows, missing: Collection[int]
    ) -> dict[bytes, torch.Tensor]:
        """Run these rows through the frozen blocks, and keep their states."""
        lowest = depth if self._lowest is None else min(depth, self._lowest)
        depths = range(lowest, depth + 1)
        found: dict[int, dict[bytes, torch.Tensor]] = {each: {} for each in depths}
        for some in self._batches(rows, missing):
            length = int(rows.lengths_B[some[0]])
            filled = np.resize(np.array(some), self._filled(len(some), length))
            for each, states_RTH in self._run(rows, filled, depths).items():
                own = states_RTH if len(filled) == len(some) else states_RTH[: len(some)].clone()
                found[each] |= {rows.keys[row]: own[i] for i, row in enumerate(some)}
        for each, states in found.items():
            self._keep(self._part.fingerprint(each), states)
        return found[depth]

    def _find(self, fingerprint: str, keys: list[bytes]) -> dict[bytes, torch.Tensor]:
        if self._store is None:
            return {}
        try:
            return self._store.find(fingerprint, keys)
        except OSError as error:
            self._leave_folder(error)
            return self._store.find(fingerprint, keys)

    def _keep(self, fingerprint: str, states: dict[bytes, torch.Tensor]) -> None:
        if self._store is None:
            return
        try:
            self._store.keep(fingerprint, states)
        except OSError as error:
            self._leave_folder(error)

    def _leave_folder(self, error: OSError) -> None:
        assert self._store is not None
        self._store.leave_folder()
        self._tell(f"states of frozen blocks are kept for this run alone: {error}")

    def _batches(self, rows: TokenRows, missing: Collection[int]) -> Iterator[list[int]]:
        """Rows that run together."""
        for length, members in rows.by_length(missing).items():
            size = max(1, MOST // length) if self._runs_together else 1
            yield from (members[start : start + size] for start in range(0, len(members), size))

    def _filled(self, number: int, length: int) -> int:
        """How many rows run in place of so many of a length; the first ones are repeated."""
        if not self._runs_together:
            return number
        return max(number + self._spare, -(-LEAST // length))

    @property
    def _runs_together(self) -> bool:
        return self._together[torch.is_autocast_enabled(self._device.type)]

    def _run(
        self, rows: TokenRows, chosen: np.ndarray, depths: Collection[int]
    ) -> dict[int, torch.Tensor]:
        """States (R, T, H) by depth, as tensors that later passes may have gradients with."""
        with uncounted(), torch.inference_mode(False), torch.no_grad():
            batch: dict[str, Any] = dict(rows.batch(chosen, self._device))
            if "use_cache" in self._names:
                batch["use_cache"] = False
            return self._blocks.run(lambda: self._own(**batch), depths)


def kept_depth(trunk: nn.Module) -> int:
    """How many frozen blocks of a trunk run once for each row now; 0 where its own pass runs."""
    cached = getattr(vars(trunk).get("forward"), "__self__", None)
    return cached.depth if isinstance(cached, CachedTrunk) else 0
