"""Reads from a platform's files what its configuration does not say: services, ports, parts.

Only small, known files are looked at, as text or YAML; nothing of the platform is run. What is
found here is what `saas-doctor init` writes down.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saas_doctor.compose.files import NAMES
from saas_doctor.reading import read_head

COMPOSE_FILES = NAMES
VITE_CONFIGS = tuple(f"vite.config.{end}" for end in ("js", "mjs", "ts", "cjs", "mts", "cts"))
PLUGIN_FOLDERS = ("examples/plugins", "plugins")
SERVICE_FOLDERS = ("services", "apps", "packages", "src", "backend/services", "backend/apps")
FRONTEND_FOLDERS = ("frontend", "web", "ui", "client", ".")
COMPOSE_FOLDERS = ("", "{backend}/", "docker/")
PROJECT_FILES = ("pyproject.toml", "requirements.txt", "setup.py", "setup.cfg", "Pipfile")
LEFT_OUT = {
    "__pycache__",
    "build",
    "dist",
    "env",
    "logs",
    "node_modules",
    "site-packages",
    "venv",
}
"""Folders that hold nothing that somebody wrote."""
VENDORED = {
    "_vendor",
    "_vendored",
    "third-party",
    "third_party",
    "thirdparty",
    "vendor",
    "vendored",
}
"""Folders that hold what others wrote."""
_INNER = ("app", "src")
"""How the folder of a service's code is called, inside the service's own."""
_NO_SERVICE = {"docs", "docs_src", "example", "examples", "test", "tests"}
_ENV_EXAMPLES = tuple(
    f".env{end}" for end in (".example", ".sample", ".template", ".dist", "-dist")
)
_REQUIREMENTS = (
    "requirements.txt",
    "requirements/base.txt",
    "requirements/prod.txt",
    "requirements/production.txt",
    "requirements/main.txt",
)
PROJECT_REQUIREMENTS = (*_REQUIREMENTS, "pyproject.toml")
_HOST_OF = ("API", "APP", "BIND", "LISTEN", "SERVER")
"""Before `_HOST`, in the names of keys that say where a service listens."""
KNOWN_PORTS = {"registry": 8001, "gateway": 8000, "core": 8002, "demo-service": 8003}

_PORT_VARIABLE = re.compile(
    rb"^(?:export[ \t]+)?([A-Z][A-Z0-9_]*)_PORT[ \t]*=[ \t]*[\"']?(\d+)", re.M
)
_PORT_DEFAULT = re.compile(
    rb"\b([A-Za-z][A-Za-z0-9_]*)_PORT\s*:\s*int\s*=\s*(?:Field\(\s*)?(\d+)", re.I
)
_COMMENT = re.compile(rb"(?<!:)//[^\n]*|/\*.*?\*/", re.S)
_VITE_SERVER = re.compile(rb"[\"']?\bserver\b[\"']?\s*:\s*\{")
_VITE_PORT = re.compile(rb"\bport\b[\"']?\s*(?::\s*([\w.]+))?")
_HTTPS = re.compile(rb"\bhttps\b(?!\s*:\s*false)")
# A Vite configuration whose `server` is not written out: a variable, or made elsewhere.
_ELSEWHERE = re.compile(rb"\bserver\b|export\s+default\s+[a-z]\w*\s*;?\s*\Z")
SCRIPT_PORT = re.compile(rb'"dev"\s*:\s*"[^"]*\bvite\b[^"]*--port[ =](\d+)')
APP = re.compile(rb"(?m)^[ \t]*\w+(?:[ \t]*:[ \t]*[\w.]+)?[ \t]*=[ \t]*(?:\w+\.)?FastAPI\(")
_DEPENDENCIES = re.compile(
    rb"(?m)^(?:project\.)?dependencies\s*=|^\[tool\.(?:poetry\.dependencies|setuptools\.dynamic)"
)
# Where code that runs uvicorn is told its host: `host=settings.HOST`, `"--host", default=...`.
_HOST_TAKEN = re.compile(
    rb"""(?i:\bhost)["']?\s*[=,][^\n]*?(?:(?i:settings|config)(?:\(\))?\.|["'])"""
    rb"((?:[A-Z][A-Z0-9]*_)*HOST|host)\b"
)
_HOST_DEFAULT = re.compile(rb"""\bhost\s*:\s*str\s*=\s*(?:Field\(\s*)?["']([^"'\s]+)["']""", re.I)
_HOST_ARGUMENT = re.compile(rb"""\buvicorn\.run\([^)]*?\bhost\s*=\s*["']([\w.:]+)["']""")
_PORT_ARGUMENT = re.compile(rb"(?:port\s*=\s*|--port[\"',\s=]+(?:default\s*=\s*)?)(\d{2,5})\b")


def discover(root: Path, table: dict[str, Any], home: Path | None = None) -> dict[str, Any]:
    """The configuration's keys as the files tell them; keys already in `table` are left out.

    `home`: the user's home, where some tools keep the environments of projects.
    """
    found: dict[str, Any] = {}
    backend = table.get("backend") or _backend(root)
    inside = [""] if backend == "." else [f"{backend}/", ""]

    def nearest(*names: str) -> str:
        """The first that is there, in the back end's folder or the root; else the usual one."""
        there = _first(root, *(prefix + name for prefix in inside for name in names))
        return there or inside[0] + names[0]

    found["backend"] = backend
    found["source-roots"] = _source_roots(root, backend)
    environment = nearest(".venv", "venv")
    if home and not os.path.exists(root / environment):
        environment = _kept_elsewhere(root / backend, home) or environment
    found["environment"] = environment
    found["requirements"] = [_requirements(root, inside) or nearest(*_REQUIREMENTS)]
    found["env-example"] = nearest(*_ENV_EXAMPLES)
    # One that is to come lies beside its example.
    beside = os.path.dirname(found["env-example"])
    found["env-file"] = _first(root, *(f"{p}.env" for p in inside)) or os.path.join(beside, ".env")
    folders = [folder.format(backend=backend) for folder in COMPOSE_FOLDERS]
    compose = _first(root, *(folder + name for folder in folders for name in COMPOSE_FILES))
    if compose:
        found["compose-file"] = os.path.normpath(compose)
    env_text = b"".join(
        _read(root / name)
        for name in (
            table.get("env-example", found["env-example"]),
            table.get("env-file", found["env-file"]),
        )
    )
    if "services" not in table:
        found["services"] = dict(_services(root, backend, compose, env_text))
    if re.search(rb"^(?:export\s+)?DATABASE_URL\s*=", env_text, re.M):
        found["database"] = {}
    if re.search(rb"^(?:export\s+)?REDIS_URL\s*=", env_text, re.M):
        found["redis"] = {}
    frontend = _frontend(root)
    if frontend:
        found["frontend"] = {"directory": frontend, "origins": _origins(root / frontend)}
    return {key: value for key, value in found.items() if key not in table}


def _requirements(root: Path, inside: list[str]) -> str | None:
    """The project file that lists the platform's packages, where no file of pip's does."""
    if _first(root, *(prefix + name for prefix in inside for name in _REQUIREMENTS)):
        return None
    projects = (f"{prefix}pyproject.toml" for prefix in inside)
    return next((p for p in projects if _DEPENDENCIES.search(_read(root / p))), None)


def _frontend(root: Path) -> str | None:
    """The folder of the Vite front end: one of the usual, else the only one within four levels.

    Else one of the usual that is closed: that there is none can't be told.
    """
    usual = next((f for f in FRONTEND_FOLDERS if _first(root / f, *VITE_CONFIGS)), None)
    if usual:
        return usual
    others = [f for f in _below(root, 4) if _first(f, *VITE_CONFIGS)]
    if len(others) == 1:
        return others[0].relative_to(root).as_posix()
    return next((f for f in FRONTEND_FOLDERS if _is_closed(root / f)), None)


def _is_closed(folder: Path) -> bool:
    """Whether a folder is there whose files nobody else may look at."""
    try:
        os.stat(os.path.join(folder, "."))
    except PermissionError:
        return os.path.isdir(folder)
    except OSError:
        pass
    return False


def _backend(root: Path) -> str:
    """The folder of the back end: `backend`, else the one project there is, else the root itself."""
    backend = root / "backend"
    own = _is_project(root)
    if _is_project(backend) or (_has_python(backend) and not (own and _holds_app(root))):
        return "backend"
    if own:
        return "."
    projects = [f.name for f in _children(root) if _is_fastapi_project(f)]
    if len(projects) == 1:
        return projects[0]
    return "backend" if os.path.isdir(backend) else "."


def _holds_app(root: Path) -> bool:
    """Whether an app stands at the usual places of a root that is the back end itself."""
    return any(_starts(folder) for folder in (root, *(root / name for name in _INNER)))


def _is_project(folder: Path) -> bool:
    """Whether a Python project begins in this folder."""
    there = [name for name in PROJECT_FILES if os.path.isfile(folder / name)]
    # A module may be called `setup` too.
    return bool(there) and (there != ["setup.py"] or b"setup(" in _read(folder / "setup.py"))


def _is_fastapi_project(folder: Path) -> bool:
    return any(b"fastapi" in _read(folder / name).lower() for name in PROJECT_FILES)


def looks_like_project(folder: Path) -> bool:
    """Whether a FastAPI project lies in this folder, or below a compose file that lies in it."""
    if _is_fastapi_project(folder):
        return True
    compose = _first(folder, *COMPOSE_FILES)
    return bool(compose) and holds_project(folder)


def holds_project(folder: Path) -> bool:
    """Whether a FastAPI project lies in this folder or within three levels below."""
    return any(_is_fastapi_project(f) or _starts(f) for f in (folder, *_below(folder, 3)))


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """The folders below, down to a depth."""
    for child in _children(folder):
        yield child
        if depth > 1:
            yield from _below(child, depth - 1)


def _children(folder: Path) -> list[Path]:
    """The folders in a folder, without environments, caches and what is hidden."""
    try:
        with os.scandir(folder) as entries:
            found = [e.path for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [Path(p) for p in sorted(found) if not is_left_out(p) and _is_plain(p, folder)]


def _is_plain(path: str, folder: Path) -> bool:
    """Whether its own name can be written in a configuration, and be imported."""
    return path[len(str(folder)) :].isprintable()


def is_left_out(folder: str) -> bool:
    """Whether a folder holds no source of the platform: caches, environments, what is built."""
    name = os.path.basename(folder)
    return (
        name in LEFT_OUT
        or name.startswith((".", "{{"))  # hidden, or a template's
        or os.path.exists(os.path.join(folder, "pyvenv.cfg"))
        or os.path.isdir(os.path.join(folder, "conda-meta"))
    )


def is_vendored(folder: str) -> bool:
    """Whether a folder holds what others wrote, by its name or as a repository of its own.

    A service of the platform may lie in one all the same: the configuration names its folder.
    """
    in_git = os.path.lexists(os.path.join(folder, ".git"))
    return in_git or os.path.basename(folder) in VENDORED


def repository(root: Path) -> Path | None:
    """The nearest folder with a `.git`, from this one up."""
    return next((f for f in (root, *root.parents) if os.path.lexists(f / ".git")), None)


def _has_python(folder: Path, depth: int = 2) -> bool:
    if any(folder.glob("*.py")) or _is_project(folder):
        return True
    return depth > 0 and any(_has_python(child, depth - 1) for child in _children(folder))


def _source_roots(root: Path, backend: str) -> list[str]:
    """The folders that imports begin at: the back end's `src` or itself, then projects below.

    Of roots inside each other, a module belongs to the innermost.
    """
    found: dict[Path, None] = {}
    for folder in (root / backend, *_projects(root / backend, depth=3)):
        source = folder / "src"
        if os.path.isdir(source) and _has_python(source) and not _is_imported(source):
            found[source] = None
        if folder != root and os.path.exists(folder / "__init__.py") and _is_imported(folder):
            found[folder.parent] = None
        else:
            found[folder] = None
    return [folder.relative_to(root).as_posix() for folder in found]


def _is_imported(folder: Path) -> bool:
    """Whether its own modules import from it by its name: imports then begin above it."""
    pattern = re.compile(
        rb"(?m)^(?:from|import)[ \t]+" + re.escape(os.fsencode(folder.name)) + rb"\b"
    )
    files = (*folder.glob("*.py"), *folder.glob("*/*.py"))
    return any(pattern.search(_read(file)) for file in sorted(files)[:200])


def _projects(folder: Path, depth: int) -> Iterator[Path]:
    """The folders below that are Python projects of their own: none that lies in a package."""
    for child in _children(folder):
        if os.path.exists(child / "__init__.py") or is_vendored(str(child)):
            continue
        if _is_project(child):
            yield child
        if depth > 1:
            yield from _projects(child, depth - 1)


def _kept_elsewhere(project: Path, home: Path) -> str | None:
    """The environment that Poetry or Pipenv keeps in the user's home, where it is the only one."""
    text = _read(project / "pyproject.toml")
    folders: list[Path] = []
    if b"[tool.poetry" in text:
        name = re.search(rb"^name\s*=\s*[\"']([^\"']+)", text, re.M)
        # Poetry puts a hash of the place and the Python's version after the name.
        wanted = f"{name.group(1).decode().lower()}-????????-py3*" if name else ""
        caches = (".cache/pypoetry/virtualenvs", "Library/Caches/pypoetry/virtualenvs")
        folders += [f for cache in caches if wanted for f in (home / cache).glob(wanted)]
    if os.path.isfile(project / "Pipfile"):
        folders += (home / ".local/share/virtualenvs").glob(f"{project.resolve().name}-????????")
    return str(folders[0]) if len(folders) == 1 else None


def _origins(frontend: Path) -> list[str]:
    """Where Vite's dev server is opened: at the port its configuration or its script names, or 5173.

    Empty where the port is computed, comes from elsewhere or can't be read: nothing is then
    demanded for it.
    """
    config = _first(frontend, *VITE_CONFIGS)
    if config is None:  # in a folder that is closed
        return []
    text = _COMMENT.sub(b"", _read(frontend / config))
    server = _VITE_SERVER.search(text)
    body = _braces(text, server.end()) if server else b""
    if _HTTPS.search(body):
        return []
    script = SCRIPT_PORT.search(_read(frontend / "package.json"))
    port = script or _VITE_PORT.search(body)
    unclear = b"..." in body or b"mergeConfig" in text or (not server and _ELSEWHERE.search(text))
    told = (port.group(1) or b"") if port else b"" if unclear else b"5173"
    return [f"http://localhost:{told.decode()}"] if told.isdigit() else []


def _braces(text: bytes, start: int) -> bytes:
    """What stands in braces that opened before `start`, without what is in further braces."""
    depth, kept = 1, bytearray()
    for byte in text[start:]:
        depth += (byte == ord("{")) - (byte == ord("}"))
        if depth == 0:
            break
        if depth == 1:
            kept.append(byte)
    return bytes(kept)


def _first(root: Path, *names: str) -> str | None:
    return next((name for name in names if os.path.exists(root / name)), None)


def _read(file: Path) -> bytes:
    try:
        return read_head(file, 1_000_000)
    except OSError:
        return b""


def _services(
    root: Path, backend: str, compose: str | None, env_text: bytes
) -> Iterator[tuple[str, dict[str, Any]]]:
    published: dict[str, int] | None = None
    named = {n.decode().lower(): int(p) for n, p in _PORT_VARIABLE.findall(env_text)}
    settings = _read(root / backend / "shared" / "config.py")
    defaults = {n.decode().lower(): int(p) for n, p in _PORT_DEFAULT.findall(settings)}
    for name, folder in _service_folders(root, backend):
        variable = name.lower().replace("-", "_")
        port = named.get(variable) or defaults.get(variable) or _port_in_code(folder)
        if port is None:
            if published is None:  # only now: it takes a YAML parser
                published = _published(root / compose) if compose else {}
            port = published.get(name) or KNOWN_PORTS.get(name)
        if port and port <= 65535:
            service = {"directory": folder.relative_to(root).as_posix(), "port": port}
            if variable in named or variable in defaults:
                service["port-variable"] = f"{variable.upper()}_PORT"
            yield name, service | _host(root / backend / "shared", folder, variable.upper())


def _host(shared: Path, folder: Path, name: str) -> dict[str, str]:
    """Where the code that starts a service listens: the key that says it, and what it is without."""
    own = [_read(folder / file) for file in ("run.py", "main.py")]
    texts = [
        text for text in (*own, *map(_read, sorted(shared.glob("*.py")))) if b"uvicorn" in text
    ]
    known = {b"HOST", b"host", *(f"{n}_HOST".encode() for n in (name, *_HOST_OF))}
    keys = (key for text in texts for key in _HOST_TAKEN.findall(text) if key in known)
    key = next(keys, b"").decode().upper()
    if not key:
        found = next(filter(None, map(_HOST_ARGUMENT.search, own)), None)
        # What opens a container to its network is not asked of this machine.
        return {"host": found.group(1).decode()} if found and found.group(1) != b"0.0.0.0" else {}
    default = _HOST_DEFAULT.search(_read(shared / "config.py")) if key == "HOST" else None
    return {"host-variable": key} | ({"host": default.group(1).decode()} if default else {})


def _service_folders(root: Path, backend: str) -> Iterator[tuple[str, Path]]:
    """The folders that can be started, by name: those with a `run.py`, or a `main.py` with an app."""
    parents = dict.fromkeys((backend, *PLUGIN_FOLDERS, *SERVICE_FOLDERS))
    seen: set[str] = set()
    for parent in parents:
        for folder in _children(root / parent):
            for inner in (folder, *(folder / name for name in _INNER)):
                if folder.name not in seen and folder.name not in _NO_SERVICE and _starts(inner):
                    seen.add(folder.name)
                    yield folder.name, inner


def _starts(folder: Path) -> bool:
    main = folder / "main.py"
    return os.path.isfile(main) and (
        os.path.isfile(folder / "run.py") or bool(APP.search(_read(main)))
    )


def _port_in_code(folder: Path) -> int | None:
    for name in ("run.py", "main.py"):
        found = _PORT_ARGUMENT.search(_read(folder / name))
        if found:
            return int(found.group(1))
    return None


def _published(compose: Path) -> dict[str, int]:
    """Each compose service's first port of this machine."""
    from saas_doctor.compose.files import chosen, load
    from saas_doctor.compose.model import Project
    from saas_doctor.compose.nodes import Broken

    try:
        services = Project(load(chosen(compose, {}), {})).services.values()
    except (OSError, Broken):
        return {}  # a check says so; here it only tells nothing
    ports = {s.name: [n for port in s.ports for n in port.numbers] for s in services}
    return {name: numbers[0] for name, numbers in ports.items() if numbers}
