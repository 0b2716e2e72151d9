"""Turns text into syntax trees, one thread at a time.

CPython 3.11 keeps the depth of the tree it is making in one place for all threads, and ends in
`AST constructor recursion depth mismatch` where two make one; packaging makes one for every quoted
text in a marker.
"""

from __future__ import annotations

import ast
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from packaging.requirements import Requirement

_NO_PARTS = {str, int, type(None), ast.Load, ast.Store, ast.Del}
_ONE = threading.Lock()


@contextmanager
def compiling() -> Iterator[None]:
    """Alone, and without warnings: of the platform's own escapes, not for its user."""
    with _ONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parse(data: bytes, name: str = "<edited>") -> ast.Module:
    """The tree of a Python file; raises what `ast.parse` raises."""
    with compiling():
        return ast.parse(data, name)


def parse_requirement(text: str) -> Requirement:
    """One requirement; raises packaging's InvalidRequirement."""
    with _ONE:
        return Requirement(text)


def parts(node: ast.AST) -> list[ast.AST]:
    """The nodes directly below one, but for contexts (`ast.Load`, ...): quick, as it is asked often."""
    found: list[ast.AST] = []
    for field in node._fields:
        value = getattr(node, field, None)
        if value.__class__ in _NO_PARTS:
            continue
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found
