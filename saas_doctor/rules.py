"""Declares checks and fixes, and finds them: the two decorators and the loader behind them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from saas_doctor.model import Finding, Risk, Severity, Undecided

if TYPE_CHECKING:
    from saas_doctor.actions import Action

CheckFunction = TypeVar("CheckFunction", bound=Callable[..., Iterable[Finding | Undecided]])
FixFunction = TypeVar("FixFunction", bound="Callable[..., Iterable[Action]]")


class Check(Struct, frozen=True, dict=True):
    """A function from facts to findings; its parameters name the facts it gets."""

    code: str
    function: Callable[..., Iterable[Finding | Undecided]]
    severity: Severity
    needs: tuple[str, ...]
    texts: tuple[str, ...]
    """The error texts that lead here, as regular expressions."""

    @cached_property
    def symptoms(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(text, re.IGNORECASE) for text in self.texts)

    @property
    def title(self) -> str:
        return self.document.partition("\n")[0]

    @property
    def document(self) -> str:
        """The user's page: the docstring, as `explain` shows it."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @property
    def facts(self) -> dict[str, type]:
        return parameters(self.function)


class Fix(Struct, frozen=True):
    """A function from a finding (and facts) to the actions that end it."""

    code: str
    function: Callable[..., Iterable[Action]]
    risk: Risk

    @property
    def title(self) -> str:
        return inspect.cleandoc(self.function.__doc__ or "").partition("\n")[0].rstrip(".")

    @property
    def facts(self) -> dict[str, type]:
        return {n: t for n, t in parameters(self.function).items() if t is not Finding}


@cache
def parameters(function: Callable[..., Any]) -> dict[str, type]:
    """The parameter names of a check, fix or fact reader with the types they ask for."""
    # As `typing.get_type_hints` does, which takes ten times as long over what may be no plain name.
    names = getattr(function, "__globals__", {})
    texts = function.__annotations__.items()
    return {name: eval(text, names) for name, text in texts if name != "return"}


_checks: dict[str, Check] = {}
_fixes: dict[str, Fix] = {}
_others: dict[str, Fix] = {}


def check(
    code: str,
    *,
    severity: Severity = Severity.ERROR,
    needs: tuple[str, ...] = (),
    symptoms: tuple[str, ...] = (),
) -> Callable[[CheckFunction], CheckFunction]:
    """Declare a check. `needs`: the codes that must hold before this one says anything."""

    def declare(function: CheckFunction) -> CheckFunction:
        if code in _checks:
            raise ValueError(f"two checks are called {code}")
        _checks[code] = Check(code, function, severity, needs, symptoms)
        return function

    return declare


def fix(
    code: str, *, risk: Risk = Risk.SAFE, otherwise: bool = False
) -> Callable[[FixFunction], FixFunction]:
    """Declare the fix of the check with the same code; `risk` is the worst it may plan.

    `otherwise`: a second one, planned where the first is not possible or costs more than is allowed.
    """
    declared = _others if otherwise else _fixes

    def declare(function: FixFunction) -> FixFunction:
        if code in declared:
            raise ValueError(f"two fixes are called {code}")
        declared[code] = Fix(code, function, risk)
        return function

    return declare


def _load(package: str) -> None:
    # Named by text, so that type checkers and the import rule see no import of a rule package.
    module = import_module(f"saas_doctor.{package}")
    for info in iter_modules(module.__path__):
        import_module(f"{module.__name__}.{info.name}")


@cache
def checks() -> dict[str, Check]:
    """Every check by its code, in the order of the codes."""
    _load("checks")
    return dict(sorted(_checks.items()))


@cache
def fixes() -> dict[str, Fix]:
    """Every fix by its code."""
    _load("fixes")
    return dict(sorted(_fixes.items()))


@cache
def other_fixes() -> dict[str, Fix]:
    """By its code, what is done where the first fix is not possible or not allowed."""
    _load("fixes")
    return dict(sorted(_others.items()))


def matching(pattern: str) -> list[str]:
    """The codes that a selection word means: a code or the beginning of some (`DB`, `DB50`).

    An empty one means none: it is what a variable left that was not set.
    """
    return [code for code in checks() if pattern and code.startswith(pattern.upper())]
