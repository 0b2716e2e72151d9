"""Actions on the platform's environment: install into it, or make it anew; undone exactly."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from saas_doctor import own_files, snapshot
from saas_doctor.actions import Action, Bench, Failed, NotApplied, Record, Refused, command
from saas_doctor.actions.resolving import (
    NotResolved,
    arguments,
    changes,
    clean_environment,
    resolved_by_pip,
    resolved_by_uv,
)
from saas_doctor.facts import Facts
from saas_doctor.facts.interpreter import Interpreter, python_in
from saas_doctor.facts.packages import Installed
from saas_doctor.facts.requirements import Requirements
from saas_doctor.model import Risk, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.syntax import parse_requirement


def installed_names(folder: Path) -> list[str]:
    """The installed distributions as their metadata folders are called (`bcrypt-4.0.1.dist-info`)."""
    patterns = ("lib/python*/site-packages/*.dist-info", "Lib/site-packages/*.dist-info")
    return sorted({path.name for pattern in patterns for path in folder.glob(pattern)})


def installer(python: Path, environ: Mapping[str, str]) -> list[str]:
    """The command that installs into this interpreter: uv where there is one, else its own pip.

    An environment made by uv has no pip, and `pip` on the path is then another Python's.
    """
    uv = shutil.which("uv", path=environ.get("PATH"))
    if uv:
        return [uv, "pip", "install", "--python", str(python)]
    try:
        command([python, "-m", "pip", "--version"], cwd=python.parent, limit=30)
    except Failed:
        return [sys.executable, "-m", "pip", "--python", str(python), "install"]
    return [str(python), "-m", "pip", "install"]


@dataclass(frozen=True)
class InstallPackages(Action):
    """Install the requirement files, and further requirements, into the platform's environment.

    All together in one go, so that what is chosen fits together.
    """

    environment: Path
    name: str
    files: tuple[Path, ...]
    requirements: tuple[str, ...] = ()
    note: str = ""
    """What the installer would do, by its own word."""

    order = 30
    risk = Risk.CHANGES

    @property
    def title(self) -> str:
        what = [*self.requirements, *(f"-r {file.name}" for file in self.files)]
        return f"install {' '.join(what)} into {self.name}"

    @property
    def target(self) -> Hashable:
        return self.environment

    def preview(self) -> str:
        words = [f"-r {file}" for file in self.files] + [f"'{r}'" for r in self.requirements]
        line = f"{Path(self.name) / 'bin' / 'python'} -m pip install {' '.join(words)}"
        return f"{line}  (by uv where there is one)" + (f"\n{self.note}" if self.note else "")

    def merge(self, other: InstallPackages) -> InstallPackages:
        return replace(
            self,
            files=tuple(dict.fromkeys(self.files + other.files)),
            requirements=tuple(dict.fromkeys(self.requirements + other.requirements)),
        )

    def rehearsed(self, facts: Facts, edited: Mapping[Path, bytes]) -> InstallPackages:
        platform, python = facts.get(Platform), python_in(self.environment)
        uv = shutil.which("uv", path=platform.environ.get("PATH"))
        try:
            now = {p.name: p.version for p in facts.get(Installed).packages.values()}
            with _words(facts, self.files, self.requirements, edited) as words:
                if uv:
                    chosen = resolved_by_uv(uv, python, words, now, platform)
                else:
                    chosen = resolved_by_pip(installer(python, platform.environ), words, platform)
        except (NotResolved, Unreadable, OSError) as reason:
            return replace(self, note=f"not resolved beforehand: {reason}")
        return replace(self, note=f"changes: {changes(chosen, now)}")

    def before(self, bench: Bench) -> Record:
        if not self.environment.is_dir():
            raise NotApplied(f"{self.name} is not there")
        return {
            "environment": str(self.environment),
            "name": self.name,
            "kept": _free(bench, "packages"),
        }

    def apply(self, bench: Bench, before: Record) -> Record:
        kept = bench.folder / before["kept"]
        partial = kept.with_name(kept.name + ".partial")
        snapshot.take(self.environment, partial)
        # Only a whole snapshot gets the name that undo looks for.
        partial.rename(kept)
        install(self.environment, self.files, self.requirements, bench)
        return {"state": _remember(self.environment, bench)}

    def verify(self, bench: Bench) -> bool:  # noqa: ARG002
        there = {
            name.rpartition(".")[0].partition("-")[0].lower()
            for name in installed_names(self.environment)
        }
        return all(
            parse_requirement(r).name.lower().replace("-", "_").replace(".", "_") in there
            for r in self.requirements
        )

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:
        kept = bench.folder / before["kept"]
        environment = Path(before["environment"])
        if not kept.is_dir():
            return None  # cut off before anything was installed
        _refuse_if_changed(environment, before["name"], after, bench)
        snapshot.restore(kept, environment)
        return None


def install_requirements(
    platform: Platform, interpreter: Interpreter, *requirements: str
) -> InstallPackages:
    """Installs the requirement files and these, together; the files as they are by then."""
    files = tuple(
        path for path in map(platform.path, platform.config.requirements) if path.is_file()
    )
    return InstallPackages(interpreter.folder, interpreter.name, files, requirements)


@dataclass(frozen=True)
class RecreateEnvironment(Action):
    """Make the platform's environment anew with another interpreter; the old one is kept aside."""

    environment: Path
    name: str
    python: Path
    version: str
    files: tuple[Path, ...]
    note: str = ""
    own: tuple[str, ...] = ()
    """Somebody's own files in the old one, which the new one does not get."""

    order = 20
    risk = Risk.CHANGES

    @property
    def title(self) -> str:
        return f"make {self.name} with Python {self.version} ({self.python})"

    @property
    def target(self) -> Hashable:
        return self.environment

    def preview(self) -> str:
        lines = [f"{self.python} -m venv {self.name}  (by uv where there is one)"]
        lines += [f"{self.name}/bin/python -m pip install -r {file}" for file in self.files]
        if os.path.lexists(self.environment):
            own = f"; your own files stay in it: {_first(self.own)}" if self.own else ""
            lines.insert(0, f"the old {self.name} is kept aside for undo{own}")
        return "\n".join(lines + ([self.note] if self.note else []))

    def rehearsed(self, facts: Facts, edited: Mapping[Path, bytes]) -> RecreateEnvironment:
        platform = facts.get(Platform)
        seen = replace(self, own=_own(self.environment))
        uv = shutil.which("uv", path=platform.environ.get("PATH"))
        try:
            if not uv:
                raise NotResolved("there is no uv")
            with _words(facts, self.files, (), edited) as words:
                resolved_by_uv(uv, self.python, words, {}, platform)
        except (NotResolved, Unreadable, OSError) as reason:
            return replace(seen, note=f"not resolved beforehand: {reason}")
        return seen

    def afterwards(self, before: Record) -> str:
        place = before.get("place")
        if not (place and self.own):
            return ""
        return f"copy what you need of your own files from {place}: {_first(self.own)}"

    def before(self, bench: Bench) -> Record:
        there = os.path.lexists(self.environment)
        aside = _free(bench, "environment") if there else None
        return {
            "environment": str(self.environment),
            "name": self.name,
            "aside": aside,
            "place": bench.platform.relative(bench.folder / aside) if aside else "",
        }

    def apply(self, bench: Bench, before: Record) -> Record:
        if before["aside"]:
            self.environment.rename(bench.folder / before["aside"])
        uv = shutil.which("uv", path=bench.platform.environ.get("PATH"))
        make: list[str | Path]
        make = (
            [uv, "venv", "--quiet", "--python", self.python] if uv else [self.python, "-m", "venv"]
        )
        command(
            [*make, self.environment],
            cwd=bench.platform.root,
            environ=clean_environment(bench.platform.environ),
        )
        if self.files:
            install(self.environment, self.files, (), bench)
        return {"state": _remember(self.environment, bench)}

    def verify(self, bench: Bench) -> bool:
        python = python_in(self.environment)
        command(
            [python, "-c", "import sys; sys.exit(sys.prefix == sys.base_prefix)"],
            cwd=bench.platform.root,
        )
        return True

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:
        environment = Path(before["environment"])
        aside = bench.folder / before["aside"] if before["aside"] else None
        if aside is not None and not os.path.lexists(aside):
            return None  # cut off before the old one was moved
        if not os.path.lexists(environment) and aside is None:
            return None
        where = f"; the former one is in {bench.platform.relative(aside)}" if aside else ""
        _refuse_if_changed(environment, before["name"], after, bench, where)
        if environment.is_symlink():
            environment.unlink()
        elif environment.exists():
            shutil.rmtree(environment)
        if aside is not None:
            aside.rename(environment)
        return None

    @classmethod
    def goes(cls, before: Record) -> Path | None:
        return Path(before["environment"])


def install(
    environment: Path, files: tuple[Path, ...], requirements: tuple[str, ...], bench: Bench
) -> None:
    """Install by the platform's interpreter, and by no other; raises Failed with the last lines."""
    python = python_in(environment)
    environ = clean_environment(bench.platform.environ)
    lines = bench.facts.get(Requirements).lines if files else ()
    count = len({line.name for line in lines if line.path in files}) + len(requirements)
    bench.watch(f"installing {count} package(s), and what they need")
    with arguments(files, requirements, root=bench.platform.root) as words:
        command([*installer(python, environ), *words], cwd=bench.platform.root, environ=environ)


def _words(
    facts: Facts,
    files: tuple[Path, ...],
    requirements: tuple[str, ...],
    edited: Mapping[Path, bytes],
) -> AbstractContextManager[list[str]]:
    """What an installer will be told, with the requirement files as the plan will leave them."""
    there = facts.get(Requirements).files if files and edited else {}
    changed = {path: edited.get(path, data) for path, data in there.items()}
    root = facts.get(Platform).root
    return arguments(files, requirements, changed if there.keys() & edited else {}, root)


def _remember(environment: Path, bench: Bench) -> str:
    """Keep how the environment was left; the name to find it by."""
    state = json.dumps(snapshot.listing(environment)).encode()
    return bench.keep("environment.json", state)


def _refuse_if_changed(
    environment: Path, name: str, after: Record | None, bench: Bench, where: str = ""
) -> None:
    """What came, went or was changed since is somebody's work: it is not undone."""
    if after is None or not environment.exists():
        return
    then: dict[str, list[int]] = json.loads(bench.kept(after["state"]))
    now = snapshot.listing(environment)
    changed = sorted(f for f in now.keys() | then.keys() if now.get(f) != then.get(f))
    if changed:
        raise Refused(f"{name} was changed since: {_first(changed)}{where}")


def _own(environment: Path) -> tuple[str, ...]:
    """Somebody's own files in an environment, by their paths in it."""
    if environment.is_symlink() or not environment.is_dir():
        return ()
    found = own_files.own(environment, own_files.unproved(environment))
    return tuple(sorted(path.relative_to(environment).as_posix() for path in found))


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _free(bench: Bench, name: str) -> str:
    numbers = (f"{name}-{number}" for number in range(1, 100))
    return next(n for n in numbers if not os.path.lexists(bench.folder / n))
