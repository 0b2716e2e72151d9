"""Makes the table of wheels anew from the package index: `python -m tests.testbed.wheels`.

pip, told to be verbose, names every file of a package that it looks at: one look-up a package.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from packaging.tags import Tag
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from saas_doctor.facts.wheels import TABLE
from tests.testbed.platforms import UV

# With code to compile, so that a wheel matters.
COMPILED = [
    "pydantic-core",
    "psycopg2-binary",
    "psycopg2",
    "psycopg-binary",
    "asyncpg",
    "greenlet",
    "cryptography",
    "cffi",
    "bcrypt",
    "orjson",
    "ujson",
    "uvloop",
    "httptools",
    "watchfiles",
    "pyyaml",
    "numpy",
    "pandas",
    "pillow",
    "lxml",
    "aiohttp",
    "hiredis",
    "grpcio",
    "psutil",
    "asyncmy",
    "mysqlclient",
    "argon2-cffi-bindings",
]
# Without, or with parts that they do without: only the Python that they require counts.
PLAIN = [
    "sqlalchemy",
    "msgpack",
    "markupsafe",
    "fastapi",
    "starlette",
    "uvicorn",
    "pydantic-settings",
    "email-validator",
    "redis",
    "alembic",
    "httpx",
    "python-multipart",
    "gunicorn",
    "celery",
]

MINORS = range(8, 16)
MACHINES = [f"{s}-{a}" for s in ("linux", "musl", "macos", "windows") for a in ("x86_64", "arm64")]
SYSTEMS = {
    "manylinux": "linux",
    "musllinux": "musl",
    "linux": "linux",
    "macosx": "macos",
    "win": "windows",
}
NAMES = {"amd64": ["x86_64"], "aarch64": ["arm64"], "universal2": ["x86_64", "arm64"]}
_FILE = re.compile(r"([A-Za-z0-9_.+-]+\.(?:whl|tar\.gz|zip))(?:#\S*)? \(from(.*)")


def log_of(name: str) -> str:
    """What pip says of every file while it looks for a version that is not there."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-vv",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]
    command += ["--python-version", "3.11", "--dest", "/nonexistent", f"{name}==99999"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def machines(platform: str) -> list[str]:
    if platform == "any":
        return MACHINES
    found = re.fullmatch(
        r"(manylinux|musllinux|linux|macosx|win)(?:.*_)?_?(x86_64|amd64|aarch64|arm64|universal2)",
        platform,
    )
    if not found:
        return []
    return [f"{SYSTEMS[found[1]]}-{arch}" for arch in NAMES.get(found[2], [found[2]])]


def minors(tag: Tag) -> set[int]:
    """The minor versions of CPython 3 that take a wheel of this tag."""
    found = re.fullmatch(r"(py|cp)3(\d*)", tag.interpreter)
    if not found:
        return set()
    own = int(found[2] or 0)
    if tag.abi == "abi3" or (tag.abi == "none" and not (found[1] == "cp" and found[2])):
        return {minor for minor in MINORS if minor >= own}
    return {own} & set(MINORS) if tag.abi in ("none", f"cp3{own}", f"cp3{own}m") else set()


def parsed(file: str) -> tuple[str, Version, frozenset[Tag]] | None:
    try:
        if file.endswith(".whl"):
            name, version, _, tags = parse_wheel_filename(file)
            return name, version, tags
        return *parse_sdist_filename(file), frozenset()
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None


def entry(name: str, log: str, *, compiled: bool) -> dict[str, Any]:
    """One package's row."""
    pythons: dict[Version, str] = {}
    wheels: dict[Version, set[tuple[str, int]]] = defaultdict(set)
    for file, rest in _FILE.findall(log):
        found = parsed(file)
        if found is None or found[0] != canonicalize_name(name) or found[1].is_prerelease:
            continue
        _, version, tags = found
        told = re.search(r"\(requires-python:([^)]*)\)", rest)
        pythons[version] = re.sub(r"\s", "", told[1]) if told else pythons.get(version, "")
        wheels[version] |= {
            (machine, minor)
            for tag in tags
            for minor in minors(tag)
            for machine in machines(tag.platform)
        }
    order = sorted(pythons)
    assert order, f"{name}: nothing found; {log[-500:]}"
    changes = [next(group) for _, group in groupby(order, key=lambda v: pythons[v])]
    table = {}
    if compiled:
        for machine in MACHINES:
            table[machine] = {
                str(minor): list(runs([(v, (machine, minor) in wheels[v]) for v in order]))
                for minor in MINORS
            }
    return {
        "versions": [str(order[0]), str(order[-1])],
        "python": [[str(v), pythons[v]] for v in changes],
        "wheels": together(table),
    }


def runs(there: list[tuple[Version, bool]]) -> Iterator[str]:
    """The versions at which having a wheel begins, ends, begins again."""
    had = False
    for version, has in there:
        if has != had:
            yield str(version)
        had = has


def together(table: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, list[str]]]:
    """Machines of one and the same row share it."""
    shared: dict[str, list[str]] = {}
    for machine, row in table.items():
        shared.setdefault(json.dumps(row), []).append(machine)
    return {" ".join(names): json.loads(row) for row, names in shared.items()}


def first_pydantic(minor: int) -> str:
    """The first Pydantic 2 whose pydantic-core has a wheel for this Python: it asks for one exactly."""
    command = [
        UV,
        "pip",
        "compile",
        "-q",
        "--no-header",
        "--no-annotate",
        "--resolution",
        "lowest-direct",
    ]
    command += ["--only-binary", ":all:", "--python-version", f"3.{minor}", "-"]
    done = subprocess.run(command, input="pydantic>=2", capture_output=True, text=True, check=True)
    (found,) = re.findall(r"^pydantic==(\S+)", done.stdout, re.M)
    return str(found)


def pydantic(log: str) -> dict[str, Any]:
    """Pydantic itself is without compiled code since 2, and as good as compiled."""
    row = entry("pydantic", log, compiled=False)
    firsts = {str(minor): first_pydantic(minor) for minor in MINORS}
    zero = row["versions"][0]
    table = {
        m: [zero] if Version(f) <= Version("2.0") else [zero, "2.0", f] for m, f in firsts.items()
    }
    return {**row, "wheels": {" ".join(MACHINES): table}}


def main() -> None:
    logs = Path(sys.argv[1]) if len(sys.argv) > 1 else None  # kept from a former run

    def log(name: str) -> str:
        return (logs / name).read_text(errors="replace") if logs else log_of(name)

    packages = {
        name: entry(name, log(name), compiled=name in COMPILED) for name in sorted(COMPILED + PLAIN)
    }
    packages["pydantic"] = pydantic(log("pydantic"))
    rows = ",\n".join(
        f'"{n}": {json.dumps(row, separators=(",", ":"))}' for n, row in sorted(packages.items())
    )
    TABLE.write_text(f'{{"made": "{date.today()}",\n"packages": {{\n{rows}\n}}}}\n')


if __name__ == "__main__":
    main()
