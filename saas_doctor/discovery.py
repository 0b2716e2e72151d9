"""Reads from a platform's files what its configuration does not say: services, ports, parts.

Only small, known files are looked at, as text or YAML; nothing of the platform is run. What is
found here is what `saas-doctor init` writes down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COMPOSE_FILES = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
)  # in the order of Compose's own preference
VITE_CONFIGS = tuple(f"vite.config.{end}" for end in ("js", "mjs", "ts", "cjs", "mts", "cts"))
PLUGIN_FOLDERS = ("examples/plugins", "plugins")
FRONTEND_FOLDERS = ("frontend", "web", "ui", "client", ".")
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
_SCRIPT_PORT = re.compile(rb'"dev"\s*:\s*"[^"]*\bvite\b[^"]*--port[ =](\d+)')
_PORT_ARGUMENT = re.compile(rb"(?:port\s*=\s*|--port[\"',\s=]+(?:default\s*=\s*)?)(\d{2,5})\b")


def discover(root: Path, table: dict[str, Any]) -> dict[str, Any]:
    """The configuration's keys as the files tell them; keys already in `table` are left out."""
    found: dict[str, Any] = {}
    backend = table.get("backend") or ("backend" if (root / "backend").is_dir() else ".")
    prefix = "" if backend == "." else f"{backend}/"
    found["backend"] = backend
    found["environment"] = (
        _first(root, f"{prefix}.venv", f"{prefix}venv", ".venv") or f"{prefix}.venv"
    )
    found["requirements"] = [
        _first(root, f"{prefix}requirements.txt", "requirements.txt") or f"{prefix}requirements.txt"
    ]
    found["env-file"] = _first(root, f"{prefix}.env", ".env") or f"{prefix}.env"
    found["env-example"] = (
        _first(root, f"{prefix}.env.example", ".env.example") or f"{prefix}.env.example"
    )
    compose = _first(root, *COMPOSE_FILES)
    if compose:
        found["compose-file"] = compose
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
    frontend = next((f for f in FRONTEND_FOLDERS if _first(root / f, *VITE_CONFIGS)), None)
    if frontend:
        found["frontend"] = {"directory": frontend, "origins": _origins(root / frontend)}
    return {key: value for key, value in found.items() if key not in table}


def _origins(frontend: Path) -> list[str]:
    """Where Vite's dev server is opened: at the port its configuration or its script names, or 5173.

    Empty where the port is computed or comes from elsewhere: nothing is then demanded for it.
    """
    config = _first(frontend, *VITE_CONFIGS)
    text = _COMMENT.sub(b"", _read(frontend / config)) if config else b""
    server = _VITE_SERVER.search(text)
    body = _braces(text, server.end()) if server else b""
    if _HTTPS.search(body):
        return []
    script = _SCRIPT_PORT.search(_read(frontend / "package.json"))
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
    return next((name for name in names if (root / name).exists()), None)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()[:1_000_000] if file.is_file() else b""
    except OSError:
        return b""


def _services(
    root: Path, backend: str, compose: str | None, env_text: bytes
) -> Iterator[tuple[str, dict[str, Any]]]:
    published: dict[str, int] | None = None
    named = {n.decode().lower(): int(p) for n, p in _PORT_VARIABLE.findall(env_text)}
    settings = _read(root / backend / "shared" / "config.py")
    defaults = {n.decode().lower(): int(p) for n, p in _PORT_DEFAULT.findall(settings)}
    for folder in _service_folders(root, backend):
        name = folder.name
        variable = name.lower().replace("-", "_")
        port = named.get(variable) or defaults.get(variable) or _port_in_code(folder)
        if port is None:
            if published is None:  # only now: it takes a YAML parser
                published = _published(_read(root / compose)) if compose else {}
            port = published.get(name) or KNOWN_PORTS.get(name)
        if port and port <= 65535:
            service = {"directory": folder.relative_to(root).as_posix(), "port": port}
            if variable in named or variable in defaults:
                service["port-variable"] = f"{variable.upper()}_PORT"
            yield name, service


def _service_folders(root: Path, backend: str) -> Iterator[Path]:
    """The folders that can be started: those with a `run.py`, or a `main.py` with an app."""
    for parent in (root / backend, *(root / p for p in PLUGIN_FOLDERS)):
        try:
            folders = sorted(parent.iterdir())
        except OSError:
            continue
        for folder in folders:
            main = folder / "main.py"
            if ((folder / "run.py").is_file() and main.is_file()) or (
                main.is_file() and b"FastAPI(" in _read(main)
            ):
                yield folder


def _port_in_code(folder: Path) -> int | None:
    for name in ("run.py", "main.py"):
        found = _PORT_ARGUMENT.search(_read(folder / name))
        if found:
            return int(found.group(1))
    return None


def _published(compose: bytes) -> dict[str, int]:
    """Each compose service's first published port, read from text: `"127.0.0.1:8001:8001"`."""
    import yaml

    try:
        model = yaml.load(compose, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except yaml.YAMLError:
        return {}  # a check says so; here it only tells nothing
    services = model.get("services") if isinstance(model, dict) else None
    ports: dict[str, int] = {}
    for name, service in (services or {}).items() if isinstance(services, dict) else ():
        for entry in (service.get("ports") or []) if isinstance(service, dict) else []:
            text = str(entry.get("published", "")) if isinstance(entry, dict) else str(entry)
            numbers = text.split("/")[0].split(":")
            number = numbers[-2] if len(numbers) > 1 else numbers[0]
            if number.isdigit():
                ports.setdefault(str(name), int(number))
    return ports
