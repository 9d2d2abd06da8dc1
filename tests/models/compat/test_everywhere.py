"""Private and undocumented names of other libraries stand in `models/compat` and nowhere else."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import welltuned

PACKAGE = Path(welltuned.__file__).parent
COMPAT = PACKAGE / "models" / "compat"
UPSTREAM = {"torch", "transformers", "peft"}

DOCUMENTED = {
    "peft": set(),
    "torch": {
        "torch.distributed.device_mesh", "torch.distributed.fsdp", "torch.distributed.tensor",
        "torch.nn", "torch.nn.functional", "torch.optim", "torch.optim.lr_scheduler",
        "torch.overrides", "torch.utils.checkpoint", "torch.utils.data", "torch.utils.tensorboard",
    },
    "transformers": {"transformers.utils", "transformers.modeling_outputs"},
}  # fmt: skip
"""Modules of theirs that have a page in the documentation, beside the package itself."""

EXCEPTIONS = {
    ("os", "_exit"),  # documented, in spite of its name
    ("entity", "_asdict"),  # a named tuple's documented method
    # Files that travel with weights need nothing but torch and transformers:
    ("modeling_pooled.py", "transformers.models.auto.modeling_auto"),
}


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if COMPAT not in path.parents]


def imports(tree: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """(module, names) of every import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def undocumented(path: Path) -> Iterator[str]:
    """Imports of what another library does not document."""
    for module, names in imports(ast.parse(path.read_text(encoding="utf-8"))):
        root = module.split(".")[0]
        if root == "welltuned" or (path.name, module) in EXCEPTIONS:
            continue
        hidden = [part for part in (*module.split("."), *names) if private(part)]
        deep = root in UPSTREAM and module != root and module not in DOCUMENTED[root]
        if hidden or deep:
            yield f"{module}: {', '.join(names)}"


def reached_into(path: Path) -> Iterator[str]:
    """Private attributes of what is not one's own object."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and private(node.attr):
            owner = ast.unparse(node.value)
            if owner not in ("self", "cls", "super()") and (owner, node.attr) not in EXCEPTIONS:
                yield ast.unparse(node)


@pytest.mark.parametrize("rule", [undocumented, reached_into])
def test_names_that_upstream_may_change_stand_in_compat(rule: object) -> None:
    assert callable(rule)
    found = {str(path.relative_to(PACKAGE)): list(rule(path)) for path in modules()}
    assert not {name: uses for name, uses in found.items() if uses}


def test_the_rules_see_what_they_forbid(tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(
        "from torch._dynamo import reset\nfrom transformers.masking_utils import sdpa_mask\n"
        "from rich import _log\nmodel.config._attn_implementation\nself._own\n",
        encoding="utf-8",
    )
    assert len(list(undocumented(file))) == 3
    assert list(reached_into(file)) == ["model.config._attn_implementation"]


LEFT_OUT = ("welltuned.models.compat", "welltuned.models.modeling_pooled")


def loaded() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages([str(PACKAGE)], "welltuned."):
        if not found.name.startswith(LEFT_OUT) and not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def test_no_class_overrides_what_is_private_to_another_library() -> None:
    wrong = []
    for module in loaded():
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ != module.__name__:
                continue
            bases = [b for b in kind.__mro__[1:] if b.__module__.split(".")[0] in UPSTREAM]
            hidden = {attr for base in bases for attr in vars(base) if private(attr)}
            known = {"_abc_impl", "_is_protocol", "_backward_cls"}  # which a metaclass writes
            wrong += [f"{name}.{attr}" for attr in vars(kind) if attr in hidden - known]
    assert not wrong
