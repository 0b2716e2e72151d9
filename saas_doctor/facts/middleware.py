"""The order of an app's middlewares: which stand outside of another, and refuse requests by themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from msgspec import Struct

from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.scopes import Function
from saas_doctor.facts.source import Source
from saas_doctor.model import Place

CORS = {f"{package}.middleware.cors.CORSMiddleware" for package in ("fastapi", "starlette")}
_REFUSING = {
    "starlette.middleware.authentication.AuthenticationMiddleware",
    "fastapi.middleware.authentication.AuthenticationMiddleware",
}
# It refuses by itself what its limiter limits by default; by routes, their decorators do.
_LIMITING = {
    "slowapi.middleware.SlowAPIMiddleware",
    "slowapi.middleware.SlowAPIASGIMiddleware",
}
_LIMITERS = {"slowapi.Limiter", "slowapi.extension.Limiter"}
_RESPONSE = re.compile(r"(?:fastapi|starlette)(?:\.responses)?\.\w*Response")
_REFUSED = re.compile(r"\bHTTP_4\d\d_")


class Outer(Struct, frozen=True):
    """A middleware that answers by itself, at `refusal` (None: a known package's)."""

    name: str
    place: Place
    refusal: Place | None


def outside(source: Source, module: Module, node: ast.Call, app: str) -> Iterator[Outer]:
    """The middlewares outside of the one that a call makes, which refuse requests by themselves.

    `app.add_middleware` puts the new one around all that were added before; in a list of
    `Middleware(...)` the first is the outermost.
    """
    if app:
        later = _added_after(module, node, app)
        # Another one for CORS around them answers for them; so does one that the app is put into.
        again = [n for n, made in enumerate(later) if _is_cors(source, module, made)]
        calls = (n for n in module.nodes if isinstance(n, ast.Call))
        if any(_is_cors(source, module, call.func) for call in calls):
            return
        around_it = later[again[-1] + 1 if again else 0 :]
    else:
        lists = (n for n in module.nodes if isinstance(n, ast.List | ast.Tuple))
        before = next((g.elts[: g.elts.index(node)] for g in lists if node in g.elts), [])
        around_it = [e.args[0] for e in before if isinstance(e, ast.Call) and e.args]
    for made in around_it:
        yield from _refusing(source, module, made)


def _added_after(module: Module, node: ast.Call, app: str) -> list[ast.expr | Function]:
    """What the same function, or the top level, adds to the same app after a call, in that order."""
    functions = _functions(module, node)
    found: list[ast.expr | Function] = []
    for other in module.nodes:
        made = _added(other, app) if getattr(other, "lineno", 0) > node.lineno else None
        if made is not None and _functions(module, other) == functions:
            found.append(made)
    return sorted(found, key=lambda made: made.lineno)


def _functions(module: Module, node: ast.AST) -> list[ast.AST]:
    return [outer for outer in module.around(node) if isinstance(outer, Function)]


def _added(node: ast.AST, app: str) -> ast.expr | Function | None:
    """The middleware that a node adds to the app."""
    if isinstance(node, Function):
        return node if any(_is_http(d, app) for d in node.decorator_list) else None
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute) and node.func.attr == "add_middleware":
        first = node.args[0] if node.args else keyword(node, "middleware_class")
        return first if dotted_name(node.func.value) == app else None
    if _is_http(node.func, app):  # app.middleware("http")(function)
        return node.args[0] if len(node.args) == 1 else None
    return None


def _is_http(node: ast.expr, app: str) -> bool:
    """Whether it is `app.middleware("http")`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "middleware"
        and dotted_name(node.func.value) == app
    )


def keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in node.keywords if k.arg == name), None)


def full_name(source: Source, module: Module, node: ast.expr) -> str:
    name = dotted_name(node)
    return source.made_by(module, name) if name else ""


def _is_cors(source: Source, module: Module, made: ast.expr | Function) -> bool:
    return isinstance(made, ast.expr) and full_name(source, module, made) in CORS


def _refusing(source: Source, module: Module, made: ast.expr | Function) -> Iterator[Outer]:
    """The middleware where it is proven to refuse requests by itself, with nothing done for CORS."""
    place = module.place(made)
    if isinstance(made, Function):
        refusal = _refusal(source, module, made)
        if refusal:
            yield Outer(made.name, place, refusal)
        return
    name = dotted_name(made)
    known = full_name(source, module, made)
    if known in _REFUSING or (known in _LIMITING and _limits_by_default(source)):
        yield Outer(name, place, None)
        return
    found = source.definition(module, name) if name else None
    for node in found[0].body if found else ():
        if found and isinstance(node, Function | ast.ClassDef) and node.name == found[1]:
            refusal = _refusal(source, found[0], node)
            if refusal:
                yield Outer(name, place, refusal)


def _limits_by_default(source: Source) -> bool:
    return any(
        isinstance(node, ast.Call)
        and any(keyword(node, name) for name in ("default_limits", "application_limits"))
        and full_name(source, module, node.func) in _LIMITERS
        for module in source.mentioning("default_limits", "application_limits")
        for node in module.nodes
    )


def _refusal(source: Source, module: Module, node: ast.AST) -> Place | None:
    """Where a middleware returns or sends a response of its own with a status of 400 to 499."""
    for part in ast.walk(node):
        text = part.value if isinstance(part, ast.Constant) else ""
        name = dotted_name(part) if isinstance(part, ast.Name | ast.Attribute) else ""
        if (isinstance(text, str) and "access-control-" in text.lower()) or "cors" in name.lower():
            return None  # it looks after the headers itself
    named: dict[str, ast.Call] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.Call):
            named |= {t.id: part.value for t in part.targets if isinstance(t, ast.Name)}
    for part in ast.walk(node):
        sent = part.value if isinstance(part, ast.Return | ast.Await) else None
        if isinstance(part, ast.Await) and isinstance(sent, ast.Call):
            # `await response(scope, receive, send)`
            sent = sent.func if len(sent.args) == 3 else None
        if isinstance(sent, ast.Name):
            sent = named.get(sent.id)
        if isinstance(sent, ast.Call) and _refuses(source, module, sent):
            return module.place(sent)
    return None


def _refuses(source: Source, module: Module, call: ast.Call) -> bool:
    if not _RESPONSE.fullmatch(full_name(source, module, call.func)):
        return False
    status = keyword(call, "status_code") or (call.args[1] if len(call.args) > 1 else None)
    if isinstance(status, ast.Constant):
        return isinstance(status.value, int) and 400 <= status.value < 500
    return status is not None and bool(_REFUSED.search(dotted_name(status)))
