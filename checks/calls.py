"""How the source calls httpx, and how it starts its servers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from packaging.version import Version

from saas_doctor.facts.applications import import_string, is_application
from saas_doctor.facts.clients import Clients, InternalCalls
from saas_doctor.facts.importstrings import ImportStrings, Missing
from saas_doctor.facts.memory import Kept, Memory
from saas_doctor.facts.module import Module
from saas_doctor.facts.proxies import Proxies
from saas_doctor.facts.requirements import RequirementLine
from saas_doctor.facts.servers import Servers, Start
from saas_doctor.facts.source import Source
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Finding, Severity, Undecided
from saas_doctor.rules import check

_BEFORE_0_28 = ("0.27.2", "0.27.0", "0.26.0", "0.25.2", "0.24.1", "0.23.3", "0.22.0")


@check(
    "SRC230",
    symptoms=(
        r"(?:Async)?Client\.__init__\(\) got an unexpected keyword argument 'proxies'",
        r"__init__\(\) got an unexpected keyword argument 'proxies'",
        r"(?:get|post|put|patch|delete|head|options|request|stream)\(\) got an unexpected keyword argument 'proxies'",
        r"The 'proxies' argument is now deprecated",
    ),
)
def httpx_proxies(clients: Clients, versions: Versions) -> Iterator[Finding | Undecided]:
    """httpx is given `proxies=`, which it no longer takes.

    From 0.28 on it is a `TypeError` whenever the line runs. `proxies=None` never kept a proxy out,
    in no version: it means "as the environment says". `proxies={}` did up to 0.25; in 0.26 and 0.27
    it does nothing any more, without a word. What keeps proxy variables out is `trust_env=False`.

    **Detected** in calls proven to be httpx's: its clients and functions, under any name, through
    `functools.partial` and classes derived from its clients. An error where httpx 0.28 is installed
    or nothing older is allowed; a warning where a fresh installation would bring it; with 0.26 and
    0.27 a warning, and a note for `None`.
    **Fixed** for `proxies=None`, by taking it out: the meaning stays; `undo` restores the bytes.
    For an address write `proxy=`, for several `mounts=`; for `{}` the choice is yours.
    **Silent** before httpx 0.26, for requests, aiohttp and others that do have `proxies=`, and where
    the code itself sees to the version (in a `try` for TypeError, under a test of the version). An
    older package that passes `proxies=` on to httpx (openai before 1.55.3) ends in the same text.
    """
    if not clients.proxies:
        return
    severity, version = _of_httpx(versions)
    if severity is None:
        if version:
            yield Undecided(f"{clients.proxies[0].place}: no version of httpx is known")
        return
    for argument in clients.proxies:
        own = severity
        if own is Severity.INFO and argument.kind != "none":
            own = Severity.WARNING
        fixable = argument.kind == "none" and bool(argument.edits)
        yield Finding(
            f"{argument.name} is given `{argument.text}`, which {version}",
            looked_at=f"{argument.place}; {versions.where('httpx')}",
            found=argument.text,
            wanted=_WANTED[argument.kind],
            target=argument.target,
            place=argument.place,
            severity=own,
            next_step="saas-doctor fix --select SRC230 takes it out"
            if fixable
            else f"{argument.place}: write {_WANTED[argument.kind]}",
            data={"argument": argument, "no_fix": not fixable},
        )


_WANTED = {
    "none": "no `proxies`: None means what leaving it out means",
    "empty": "`trust_env=False`, which keeps proxy variables out (and SSL_CERT_FILE and .netrc), "
    "or nothing",
    "given": "`proxy=` for one address, `mounts=` for one a scheme",
}


def _of_httpx(versions: Versions) -> tuple[Severity | None, str]:
    """How bad `proxies=None` is with the platform's httpx, and what that makes of the argument.

    No severity: it is an old one, or, with a text, not known.
    """
    from_28 = versions.at_least("httpx", "0.28")
    if from_28 is None:
        return None, "unknown"
    installed = versions.installed("httpx")
    if installed is not None:
        if installed >= Version("0.28"):
            return Severity.ERROR, f"httpx {installed} does not know"
        if installed >= Version("0.26"):
            return Severity.INFO, f"httpx {installed} only takes until 0.28"
        return None, ""
    said = versions.where("httpx")
    if from_28:
        older = [v for line in versions.required("httpx") for v in _allowed_before_28(line)]
        if older:
            return Severity.WARNING, "httpx 0.28, which a fresh installation brings, does not know"
        return Severity.ERROR, f"{said} does not know"
    if versions.at_least("httpx", "0.26"):
        return Severity.INFO, f"{said} only takes until 0.28"
    return None, ""


def _allowed_before_28(line: RequirementLine) -> list[str]:
    return [v for v in _BEFORE_0_28 if line.requirement.specifier.contains(v)]


@check("SRC231", severity=Severity.INFO)
def internal_calls_obey_proxies(calls: InternalCalls, proxies: Proxies) -> Iterator[Finding]:
    """Calls between the services would go through a proxy, as soon as a variable names one.

    httpx obeys HTTP_PROXY, ALL_PROXY and their like also for `localhost` and for services beside it.
    A desktop or a company's shell that sets one makes every call fail with `Connection refused`
    or 502, as though the service were down. `trust_env=False` settles it for good.

    **Detected** in httpx clients and calls whose address is proven to be this machine's or a
    service's (written out, from a setting, its default or `.env`). A note, one a file.
    **To mend** give the client `trust_env=False` (SSL_CERT_FILE and .netrc are then not read either).
    **Silent** for calls of other hosts and of addresses that can't be told, for clients with
    `trust_env=False`, a transport or a proxy of their own, in tests, and where a proxy variable is
    set: NET402 and NET403 then tell whether it does harm.
    """
    if proxies.scopes:
        return
    modules = {call.module.name: call.module for call in calls.found}
    for name in modules:
        found = [call for call in calls.found if call.module.name == name]
        places = ", ".join(str(call.place) for call in found)
        yield Finding(
            f"{name} calls {found[0].url.rstrip('/')} by a client that obeys proxy variables",
            looked_at=places,
            found="; ".join(dict.fromkeys(call.url for call in found))
            + ", without trust_env=False",
            wanted="trust_env=False for calls between the services",
            target=name,
            place=found[0].place,
            next_step=f"add trust_env=False at {places}",
            data={"no_fix": True},
        )


@check(
    "SRC240",
    symptoms=(
        r"You must pass the application as an import string to enable 'reload' or 'workers'",
    ),
)
def object_cannot_be_reloaded(servers: Servers, source: Source) -> Iterator[Finding]:
    """uvicorn is given the application itself, and is to reload it or to run it in several processes.

    It then starts nothing: each process imports the application anew, and needs to be told from
    where. It prints `You must pass the application as an import string to enable 'reload' or
    'workers'` and ends.

    **Detected** in calls of `uvicorn.run` with an argument proven to be an application, and `reload`
    or `workers` above 1: written there, or what the setting comes to.
    **Fixed** by the import string in place of the object, where it is certain from what the file
    itself imports, and where nothing is done to the application first; `undo` restores the bytes.
    **Silent** without reloading and with one worker, and for arguments that can't be told.
    """
    for start in servers.starts:
        several = start.workers is not None and start.workers > 1
        if start.module is None or start.call is None or start.given is None or start.app:
            continue
        if not (start.reload or several) or not is_application(source, start.module, start.given):
            continue
        text = import_string(source, start.module, start.call, start.given)
        what = "reload" if start.reload else f"run it in {start.workers} workers"
        yield Finding(
            f"{start.module.name} gives uvicorn the application itself, and wants it to {what}",
            looked_at=str(start.place),
            found=start.text,
            wanted=f'"{text}" as the first argument' if text else 'an import string: "main:app"',
            target=start.target,
            place=start.place,
            next_step="saas-doctor fix --select SRC240 writes the import string"
            if text
            else _by_hand(start.module, ast.unparse(start.given)),
            data={"start": start, "text": text, "no_fix": text is None},
        )


def _by_hand(module: Module, name: str) -> str:
    file, name = module.path.name, name if name.isidentifier() else "app"
    as_file = f'"{module.path.stem}:{name}" where it is started as `python {file}`'
    if "." not in module.dotted:
        return f"{module.name}: write {as_file}"
    as_module = f'"{module.dotted}:{name}" where as `python -m {module.dotted}`'
    return f"{module.name}: write {as_file}, {as_module}"


@check(
    "SRC241",
    severity=Severity.WARNING,
    symptoms=(r'"workers" flag is ignored when reloading is enabled',),
)
def workers_beside_reload(servers: Servers) -> Iterator[Finding]:
    """uvicorn is to reload and to run several workers, and runs one.

    Reloading wins: `"workers" flag is ignored when reloading is enabled`. What is taken for four
    processes is one, which also watches every file.

    **Detected** in `uvicorn.run`, and in commands of uvicorn in Dockerfiles, the compose file, the
    Procfile, the Makefile, package.json and shell scripts.
    **To mend** leave out `--reload` where it serves others, `--workers` where you develop.
    **Silent** for `--workers 1`, for gunicorn, which does both, and where a value can't be told.
    """
    for start in servers.starts:
        if start.how not in ("uvicorn", "uvicorn.run", "fastapi") or not start.reload:
            continue
        # With the application itself it does not start at all, which is told as such.
        is_object = start.how == "uvicorn.run" and not start.app
        if start.workers is None or start.workers < 2 or is_object:
            continue
        yield Finding(
            f"{start.place.path} asks for {start.workers} workers and for reloading: there is one",
            looked_at=str(start.place),
            found=start.text,
            wanted="either workers or reloading",
            target=start.target,
            place=start.place,
            next_step=f"{start.place}: leave out reload where it serves others, workers elsewhere",
            data={"no_fix": True},
        )


@check("SRC242", severity=Severity.WARNING)
def memory_is_split(servers: Servers, memory: Memory) -> Iterator[Finding]:
    """A service keeps its state in memory and runs in several workers, each with its own.

    What one worker was told, the next one does not know: a service is registered and then is not,
    as the system deals out the requests. Each worker also runs the start-up itself.

    **Detected** where a container at the top of a module, or of an instance made there, is added to
    by a route that writes (POST, PUT, PATCH) and read by one that reads (GET), and the application
    is started with several workers.
    **To mend** run it with one worker, or keep the state in Redis or in the database.
    **Silent** with one worker, for what is a cache, a counter or the like by its name, and where it
    is not certain which application a command starts.
    """
    for start in servers.starts:
        if start.workers is None or start.workers < 2 or (start.reload and start.how != "gunicorn"):
            continue
        application = servers.application(start)
        found = memory.of(application) if application else []
        if application and found:
            yield _split(start, application.name, found)


def _split(start: Start, application: str, found: list[Kept]) -> Finding:
    first = found[0]
    return Finding(
        f"{application} keeps `{first.name}` in memory, and {start.place.path} runs "
        f"{start.workers} workers of it",
        looked_at=f"{start.place}; {first.place}",
        found=f"{start.text}; {first.name} is added to at {first.written} and read at {first.read}",
        wanted="one worker, or the state in Redis or the database",
        target=start.target,
        place=start.place,
        next_step=f"{start.place}: run one worker, or keep `{first.name}` outside the process",
        data={"no_fix": True},
        more={
            "kept in memory": ", ".join(f"{kept.name} ({kept.place})" for kept in found),
            "start-up": f"runs {start.workers} times: as many registrations, and tables that are "
            "created side by side can fail with `already exists`",
        },
    )


@check(
    "SRC243",
    symptoms=(
        r'Could not import module "(?P<module>[\w./]+)"',
        r'Attribute "(?P<name>[\w.()]+)" not found in module "(?P<module>[\w.]+)"',
        r'Import string "[^"]*" must be in format "<module>:<attribute>"',
    ),
)
def import_string_leads_nowhere(strings: ImportStrings) -> Iterator[Finding]:
    """uvicorn is told to import an application that is not there.

    It ends at once, with `Could not import module` or `Attribute ... not found in module`.

    **Detected** in `uvicorn.run`, from where the file lies, and in commands where only one module of
    that name is there: the module, the name at its top level, and the form `module:name`.
    **To mend** the name that was likely meant is given.
    **Silent** for modules that may come from elsewhere (the environment, a folder above), for names
    that may be made when the module runs (`from ... import *`, `globals()`), and for templates.
    """
    for missing in strings.missing:
        start = missing.start
        yield Finding(
            _lacks(missing),
            looked_at=f"{start.place}" + (f"; {missing.module.name}" if missing.module else ""),
            found=start.text,
            wanted=f'"{missing.instead}"' if missing.instead else "the application's import string",
            target=start.target,
            place=start.place,
            severity=None if missing.sure else Severity.WARNING,
            next_step=f'{start.place}: write "{missing.instead}"'
            if missing.instead
            else f"{start.place}: correct the import string",
            data={"no_fix": True},
        )


def _lacks(missing: Missing) -> str:
    path = missing.start.place.path
    if missing.kind == "form":
        return f'{path} starts "{missing.text}", which is not "module:name"'
    if missing.kind == "module":
        return f"{path} starts {missing.start.app}, and there is no module {missing.text}"
    assert missing.module
    return f"{path} starts {missing.start.app}, and {missing.module.name} has no `{missing.text}`"
