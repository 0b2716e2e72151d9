"""Asks the platform's installer beforehand which versions it would choose, or why it can't."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from saas_doctor.actions import Conflict
from saas_doctor.facts import locks
from saas_doctor.facts.requirements import installable
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes

LIMIT = 20.0
"""Seconds that a resolution may take; the plan is shown without it then."""

# What the installers say where no set of versions fits, or one of them can't be built.
_REFUSALS = re.compile(
    r"No solution found when resolving|Because .* your requirements are unsatisfiable"
    r"|ResolutionImpossible|conflicting dependencies|No matching distribution found"
    r"|Failed to build|metadata-generation-failed|subprocess-exited-with-error"
    r"|Couldn't parse requirement|Invalid requirement",
    re.S,
)
_UNREACHED = re.compile(
    r"Failed to fetch|error sending request|Could not connect|Retrying \(|network was disabled"
    r"|Temporary failure in name resolution|Connection (?:refused|error)|dns error",
    re.I,
)


class NotResolved(Exception):
    """It could not be told beforehand, with the reason; installing may succeed all the same."""


@contextmanager
def arguments(
    files: Sequence[Path],
    requirements: Sequence[str],
    edited: Mapping[Path, bytes] | None = None,
    root: Path | None = None,
) -> Iterator[list[str]]:
    """The words that tell an installer what to install; `edited` are contents not written yet.

    A pyproject.toml's dependencies are told one by one, since pip reads none from it; the versions
    of its lock file are constraints. Files that include others, of which one is edited, are read
    from a copy of them all.
    """
    edited = edited or {}
    with TemporaryDirectory(prefix="saas-doctor-") as folder:
        texts, constraints, words = list(requirements), list[str](), list[str]()
        for file in files:
            if file.suffix == ".toml":
                data = edited.get(file) or read_bytes(file)
                lock = locks.beside(file.parent, root or file.parent)
                held = locks.read(lock, lock.name) if lock else None
                texts += installable(data)
                constraints += held.constraints if held else ()
            elif root is not None and edited and file.is_relative_to(root):
                words += ["-r", str(Path(folder) / file.relative_to(root))]
            else:
                words += ["-r", str(file)]
        for path, data in edited.items():
            if root is not None and path.is_relative_to(root):
                copy = Path(folder) / path.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(data)
        for option, lines in (("-r", texts), ("-c", constraints)):
            if lines:
                asked = Path(folder) / f"asked{option}.txt"
                asked.write_text("\n".join(lines) + "\n", encoding="utf-8")
                words += [option, str(asked)]
        yield words


def resolve(command: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> str:
    """What the installer says it would do; Conflict with its sentence, or NotResolved."""
    try:
        done = subprocess.run(
            list(command),
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotResolved(f"no answer within {LIMIT:g} s") from None
    except OSError as error:
        raise NotResolved(f"{command[0]}: {error.strerror}") from None
    if done.returncode == 0:
        return done.stdout
    said = done.stdout.strip()
    if _UNREACHED.search(said):
        raise NotResolved("the package index is not reached")
    if _REFUSALS.search(said):
        raise Conflict(_sentence(said))
    raise NotResolved((said.splitlines() or ["it ended without a word"])[-1][:200])


def _sentence(said: str) -> str:
    """The resolver's own reason, on one line; of a long chain, the beginning and the conclusion."""
    text = re.sub(r"[\s\u2570\u2500\u25b6\u2502\u251c]+", " ", said)
    for start in (
        r"Because ",
        r"ERROR: (?:Cannot install|Could not find|No matching)",
        r"Failed to build",
    ):
        found = re.search(rf"{start}.*", text)
        if found:
            text = found.group()
            break
    text = text.removeprefix("ERROR: ").strip()
    return text if len(text) <= 400 else f"{text[:120]} ... {text[-270:]}"


def resolved_by_uv(
    uv: str, python: Path, words: Sequence[str], now: Mapping[str, Version], platform: Platform
) -> dict[str, Version]:
    """The versions that uv chooses; what is installed stays where it fits. Writes nothing there.

    `uv pip install --dry-run` would leave a lock in the environment.
    """
    sources = [word for word in words if word != "-r"]
    if not sources:
        return {}
    with TemporaryDirectory(prefix="saas-doctor-") as folder:
        output = Path(folder) / "resolved.txt"
        output.write_text("".join(f"{name}=={version}\n" for name, version in now.items()))
        command = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        command += ["--python", str(python), "--output-file", str(output)]
        resolve([*command, *sources], platform.root, clean_environment(platform.environ))
        said = output.read_text(encoding="utf-8")
    return _versions(re.findall(r"^([\w.-]+)==([^\s;]+)", said, re.M))


def resolved_by_pip(
    command: Sequence[str], words: Sequence[str], platform: Platform
) -> dict[str, Version]:
    """The versions that pip would install, of 22.2 or newer."""
    said = resolve(
        [*command, "--dry-run", *words], platform.root, clean_environment(platform.environ)
    )
    would = re.search(r"^Would install (.*)", said, re.M)
    found = would.group(1).split() if would else []
    return _versions(tuple(item.rpartition("-")[::2]) for item in found)


def _versions(pairs: Iterable[tuple[str, str]]) -> dict[str, Version]:
    found: dict[str, Version] = {}
    for name, version in pairs:
        with suppress(InvalidVersion):
            found[canonicalize_name(name)] = Version(version)
    return found


def changes(chosen: Mapping[str, Version], now: Mapping[str, Version]) -> str:
    """What would be another version than now, in words."""
    found = [
        f"{name} {now[name]} -> {version}" if name in now else f"{name} {version} (new)"
        for name, version in chosen.items()
        if now.get(name) != version
    ]
    return ", ".join(found) or "nothing"


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for an installer: none of another virtual environment's variables."""
    return {
        k: v for k, v in environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    }
