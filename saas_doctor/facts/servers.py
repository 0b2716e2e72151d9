"""How the services' servers are started: with which application, workers and reloading."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.facts import Fact
from saas_doctor.facts.applications import exported, nearest
from saas_doctor.facts.arguments import arguments
from saas_doctor.facts.commandlines import CommandLine, CommandLines
from saas_doctor.facts.module import Module, dotted_name
from saas_doctor.facts.source import Source
from saas_doctor.facts.values import Values
from saas_doctor.model import Place

_FASTAPI_DEFAULTS = ("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py")
_DEFAULT = re.compile(r"\$\{(\w+):?-(\d+)\}")
# Options without a value, of uvicorn, gunicorn, hypercorn and fastapi.
_FLAGS = {
    "--reload", "--no-reload", "--factory", "--access-log", "--no-access-log", "--use-colors",
    "--no-use-colors", "--proxy-headers", "--no-proxy-headers", "--server-header",
    "--no-server-header", "--date-header", "--no-date-header", "--reset-contextvars", "--preload",
    "--daemon", "-D", "--check-config", "--print-config", "--spew", "--capture-output",
    "--no-sendfile", "--enable-stdio-inheritance", "-R", "--proxy-protocol", "--log-syslog",
    "--disable-redirect-access-to-syslog", "--suppress-ragged-eofs", "--do-handshake-on-connect",
    "--debug", "--verbose", "-v",
}  # fmt: skip


class Start(Struct, frozen=True):
    """One way to start a server; `how` is the runner's name, or `uvicorn.run`.

    `app` is the import string (for `fastapi` a path), empty where it is an object or not told.
    None for workers or reloading means that it can't be told. `module`, `call` and `given` are
    those of a call of `uvicorn.run`: its file, itself, and what it is given as the application.
    """

    how: str
    place: Place
    folder: Path
    text: str
    app: str = ""
    workers: int | None = 1
    reload: bool | None = False
    service: str = ""
    replicas: int = 1
    has_app_dir: bool = False
    module: Module | None = None
    call: ast.Call | None = None
    given: ast.expr | None = None
    number: int = 1

    @property
    def target(self) -> str:
        """A name for it that stays when lines move: its file, and what of it is started."""
        name = self.service or self.app or (ast.unparse(self.given) if self.given else "")
        return f"{self.place.path}:{name}" + (f"#{self.number}" if self.number > 1 else "")


class Servers(Fact, frozen=True):
    """The ways in which the platform's files start servers."""

    source: Source
    values: Values
    lines: CommandLines

    limit = 20.0

    @classmethod
    def read(cls, source: Source, values: Values, lines: CommandLines) -> Servers:
        return cls(source, values, lines)

    @cached_property
    def starts(self) -> tuple[Start, ...]:
        found = [*_runs(self.source, self.values), *map(self._start, self.lines.found)]
        counts: dict[str, int] = {}
        for at, start in enumerate(found):
            counts[start.target] = number = counts.get(start.target, 0) + 1
            found[at] = replace(start, number=number)
        return tuple(found)

    def application(self, start: Start) -> Module | None:
        """The one module of the platform that a server's application is in, where that is certain."""
        dotted, _, name = start.app.partition(":")
        if start.how == "fastapi":
            dotted = start.app.removesuffix(".py").strip("./").replace("/", ".")
            files = (start.folder / file for file in _FASTAPI_DEFAULTS if not dotted)
            default = next((file for file in files if file.is_file()), None)
            if default:
                return next((m for m in self.source.modules if m.path == default), None)
        found = nearest(self.source, dotted, start.folder) if dotted else []
        if len(found) > 1 and name:
            found = [m for m in found if name.partition(".")[0] in (exported(m) or ())]
        return found[0] if len(found) == 1 else None

    def _start(self, line: CommandLine) -> Start:
        options, words = _parsed(line.words[1:] if line.runner == "fastapi" else line.words)
        counts = [options[key] for key in ("--workers", "-w") if key in options]
        workers = self._count(counts[-1]) if counts else 1
        if line.runner == "gunicorn" and not counts:
            workers = None  # a configuration file may say it
        reload = "--reload" in options or line.words[:1] == ("dev",)
        return Start(
            line.runner,
            line.place,
            line.folder,
            line.text,
            words[0] if words and "$" not in words[0] else "",
            workers,
            reload,
            line.service,
            line.replicas,
            has_app_dir=bool(options.keys() & {"--app-dir", "--chdir"}),
        )

    def _count(self, word: str) -> int | None:
        """A number as written; `${WORKERS:-4}` is 4 unless the variable is set."""
        if word.isdecimal():
            return int(word)
        default = _DEFAULT.fullmatch(word)
        variables = self.values.environment
        if default is None or variables.text([(default[1], True)], in_file=True).kind != "none":
            return None
        return int(default[2])


def _parsed(words: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """The options with their values, and the other words; what is redirected is left out."""
    options: dict[str, str] = {}
    others: list[str] = []
    waiting = ""
    for word in words:
        if word[:1] in ("<", ">"):
            break
        if waiting:
            options[waiting], waiting = word, ""
        elif word.startswith("-"):
            name, sign, value = word.partition("=")
            short = re.fullmatch(r"(-\w)(\d+)", word)
            if short:
                options[short[1]] = short[2]
            elif sign or name in _FLAGS:
                options[name] = value
            else:
                waiting = name
        else:
            others.append(word)
    return options, others


def _runs(source: Source, values: Values) -> Iterator[Start]:
    for module in source.mentioning("uvicorn"):
        if b"run" not in module.data:
            continue
        for node in module.nodes:
            name = dotted_name(node.func) if isinstance(node, ast.Call) else ""
            known = name.partition(".")[0] in {*module.imports, *module.values}
            if known and name.endswith("run") and source.made_by(module, name) == "uvicorn.run":
                assert isinstance(node, ast.Call)
                yield _run(source, values, module, node)


def _run(source: Source, values: Values, module: Module, call: ast.Call) -> Start:
    named, whole = arguments(source, module, call)
    app = call.args[0] if call.args else named.get("app")
    values = values.everywhere
    workers: int | None = 1 if whole else None
    reload: bool | None = False if whole else None
    if "workers" in named:
        count = values.of(module, named["workers"])
        number = count.plain or 1
        workers = number if count.known and isinstance(number, int) else None
    if "reload" in named:
        reload = values.of(module, named["reload"]).truth
    return Start(
        "uvicorn.run",
        module.place(call),
        module.path.parent,
        _shown(call),
        (values.of(module, app).text or "") if app else "",
        workers,
        reload,
        has_app_dir="app_dir" in named or not whole,
        module=module,
        call=call,
        given=app,
    )


def _shown(call: ast.Call) -> str:
    """The call with what matters of it."""
    parts = [ast.unparse(argument) for argument in call.args[:1]]
    parts += [ast.unparse(k) for k in call.keywords if k.arg in ("app", "reload", "workers")]
    return f"{dotted_name(call.func)}({', '.join(parts)})"
