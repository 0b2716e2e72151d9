"""What is common to the constructs of Pydantic 1 in the source: their place, their name, and doubt."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.edits import Edit
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.scopes import Function
from saas_doctor.model import Place

# A module that asks which Pydantic there is, or which methods: written for either version. The
# text is searched in lower case; each expression begins with plain letters, which is quick.
_FOR_BOTH = (
    re.compile(
        rb"pydantic(?:_?(?:is_)?_?v[12]\b|[._](?:version|__version__)|[.\w]* import [^\n]*\bversion\b)"
    ),
    re.compile(rb"is_pydantic"),
    re.compile(rb"hasattr\([^)\n]*[\"']model_"),
)
_CAUGHT = {"ImportError", "ModuleNotFoundError", "AttributeError", "TypeError", "NameError"} | {
    "PydanticUserError",
    "PydanticImportError",
}
_EXPECTED = {"raises", "assertRaises", "assertRaisesRegex", "suppress", "warns", "deprecated_call"}
_SKIPPED = re.compile(r"\b(?:skip|skipif|skipIf|skipUnless|xfail|expectedFailure)\b")
_ASKS = re.compile(r"(?i)pydantic|version|(?:\b|_)v[12]\b|hasattr|TYPE_CHECKING")


class Construct(Struct, frozen=True):
    """A construct of Pydantic 1: what it is, in which class or function, and what is wanted instead.

    `edits` turn it into what Pydantic 2 takes; none where that is not certain. `needs_settings`:
    whether the package pydantic-settings is needed then.
    """

    module: Module
    place: Place
    kind: str
    what: str
    where: str
    wanted: str
    edits: tuple[Edit, ...] = ()
    needs_settings: bool = False
    number: int = 1

    @property
    def target(self) -> str:
        number = f"#{self.number}" if self.number > 1 else ""
        return f"{self.module.name}:{self.where or 'module'}:{self.kind}{number}"


def construct(
    module: Module,
    node: ast.expr | ast.stmt | ast.keyword | ast.alias,
    kind: str,
    what: str,
    wanted: str,
    edits: Iterable[Edit] = (),
    *,
    needs_settings: bool = False,
) -> Construct:
    """The construct at a node, in the class or function that the node stands in."""
    place = Place(module.name, node.lineno, node.col_offset + 1)
    where = scope_name(module, node)
    return Construct(module, place, kind, what, where, wanted, tuple(edits), needs_settings)


def numbered(constructs: Iterable[Construct]) -> tuple[Construct, ...]:
    """The constructs with those of the same name told apart."""
    seen: Counter[str] = Counter()
    found: list[Construct] = []
    for construct in constructs:
        seen[construct.target] += 1
        found.append(replace(construct, number=seen[construct.target]))
    return tuple(found)


def is_for_both(module: Module) -> bool:
    """Whether a module is written for either version of Pydantic."""
    text = module.data.lower()
    return any(sign.search(text) for sign in _FOR_BOTH)


def in_branch_of_both(module: Module, node: ast.AST) -> bool:
    """Whether a node stands in a branch of a module that is written for either version."""
    branches = any(isinstance(o, ast.If | ast.Try) for o in module.around(node))
    return branches and is_for_both(module)


def in_doubt(module: Module, node: ast.AST) -> bool:
    """Whether a node may not run with this version, or is expected to fail."""
    return any(_doubtful(module, outer, node) for outer in module.around(node))


def _doubtful(module: Module, outer: ast.AST, node: ast.AST) -> bool:
    if isinstance(outer, ast.Try):
        inside = any(isinstance(o, Function) for o in module.around(outer))
        return any(_catches(handler, everything=not inside) for handler in outer.handlers)
    if isinstance(outer, ast.With | ast.AsyncWith):
        calls = (i.context_expr for i in outer.items if isinstance(i.context_expr, ast.Call))
        return any(dotted_name(c.func).rpartition(".")[2] in _EXPECTED for c in calls)
    if isinstance(outer, ast.If | ast.IfExp):
        return _ASKS.search(ast.unparse(outer.test)) is not None
    if isinstance(outer, Function | ast.ClassDef) and outer is not node:
        return any(_SKIPPED.search(ast.unparse(d)) for d in outer.decorator_list)
    return False


def _catches(handler: ast.ExceptHandler, *, everything: bool) -> bool:
    if handler.type is None:
        return everything
    names = {n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)}
    names |= {n.attr for n in ast.walk(handler.type) if isinstance(n, ast.Attribute)}
    return bool(names & _CAUGHT) or (everything and bool(names & {"Exception", "BaseException"}))


def scope_name(module: Module, node: ast.AST) -> str:
    """The class, function and field that a node stands in: `UserCreate.name`."""
    names: list[str] = []
    for outer in (node, *module.around(node)):
        if isinstance(outer, Function | ast.ClassDef):
            names.append(outer.name)
        elif isinstance(outer, ast.AnnAssign | ast.Assign):
            target = outer.target if isinstance(outer, ast.AnnAssign) else outer.targets[0]
            if not names and isinstance(target, ast.Name):
                names.append(target.id)
    return ".".join(reversed(names))
