"""Turns text into syntax trees, one thread at a time.

CPython 3.11 counts the depth of the trees that it makes for all threads together, and packaging
makes one for every quoted text in a marker.
"""

from __future__ import annotations

import ast
import threading
import warnings

from packaging.requirements import Requirement

_ONE = threading.Lock()


def parse_python(data: bytes, name: str) -> ast.Module:
    """The tree of a Python file; raises as ast.parse does. Its warnings are not for our user."""
    with _ONE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(data, name)


def parse_requirement(text: str) -> Requirement:
    """One requirement; raises packaging's InvalidRequirement."""
    with _ONE:
        return Requirement(text)
