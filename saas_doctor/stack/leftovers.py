"""What running and installing leave in the platform: logs, the environment, byte-code caches."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import distributions
from pathlib import Path
from shlex import quote

from saas_doctor import own_files
from saas_doctor.journal import prepare_state
from saas_doctor.model import DoctorError
from saas_doctor.platform import Platform
from saas_doctor.stack import Change, Say, Verb
from saas_doctor.stack.saving import Saved, size_of

_CACHE = "__pycache__"
_CLOSED = frozenset((".git", "node_modules", ".saas-doctor"))


class Leftovers:
    """The logs, the environment and the byte-code caches; nothing outside of the platform."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.kept: list[str] = []
        """What is left as it is, and why."""

    def changes(self) -> list[Change]:
        """What would be removed, nothing done."""
        return [*self._logs_change(), *self._environment_change(), *self._caches_change()]

    # Logs.

    @cached_property
    def logs(self) -> tuple[Path, Sequence[Path]]:
        """The folder of the log files, and those that go: git has none of them."""
        pattern = self.platform.config.logs
        inside = pattern.partition("{service}")[0].rpartition("/")[0] or "logs"
        folder = self._inside(inside)
        if folder is None or folder.name not in ("logs", "log") or not folder.is_dir():
            return self.platform.root, ()
        files = [path for path in _files(folder) if path.name not in (".gitkeep", ".gitignore")]
        tracked = self._tracked(folder) if files else set()
        return folder, [path for path in files if path not in tracked]

    def _logs_change(self) -> Iterator[Change]:
        folder, files = self.logs
        if files:
            size = sum(map(size_of, files))
            name = f"{self.platform.relative(folder)}/"
            yield Change(Verb.REMOVE, "logs", name, _counted(len(files), "file"), size)

    def _tracked(self, folder: Path) -> set[Path]:
        import subprocess

        git = shutil.which("git", path=self.platform.environ.get("PATH"))
        if git is None:
            return set()
        try:
            done = subprocess.run(
                [git, "--no-optional-locks", "ls-files", "-z", "--", str(folder)],
                cwd=self.platform.root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DoctorError(f"git does not tell which logs it has ({error})") from None
        names = done.stdout.decode("utf-8", "surrogateescape").split("\0")
        return {self.platform.root / name for name in names if name}

    # The environment.

    @cached_property
    def environment(self) -> Path | None:
        """The environment's folder, where it may be removed."""
        name = self.platform.config.environment
        folder = self._inside(name)
        if folder is None or not (folder / "pyvenv.cfg").is_file():
            return None
        if Path(sys.prefix).resolve() == folder.resolve():
            self.kept.append(f"{name}: the doctor itself runs out of it")
            return None
        return folder

    def _environment_change(self) -> Iterator[Change]:
        if self._half.is_dir():
            name = f"{self.platform.relative(self._half)}/"
            words = "left by a reset that was cut off"
            yield Change(Verb.REMOVE, "environment", name, words, size_of(self._half))
        folder = self.environment
        if folder is None:
            return
        own = len(own_files.own(folder, own_files.unproved(folder)))
        words = "can be installed again" + (f"; {_counted(own, 'file')} of your own" if own else "")
        name = f"{self.platform.relative(folder)}/"
        yield Change(Verb.REMOVE, "environment", name, words, size_of(folder))

    @property
    def _half(self) -> Path:
        """Where the environment is removed: cut off there, nothing takes half of one for a whole."""
        return self.platform.state / "removed"

    def _remove_environment(self, folder: Path) -> None:
        prepare_state(self.platform)
        try:
            folder.rename(self._half)
        except OSError:  # it lies on another disk
            shutil.rmtree(folder)
        else:
            shutil.rmtree(self._half)

    # Byte code.

    @cached_property
    def caches(self) -> Sequence[Path]:
        """The folders of byte code; those of environments and of packages of Node.js are left."""
        found = []
        for at, folders, _ in os.walk(self.platform.root):
            folders[:] = [
                name
                for name in folders
                if name not in _CLOSED
                and not os.path.islink(os.path.join(at, name))
                and not os.path.isfile(os.path.join(at, name, "pyvenv.cfg"))
            ]
            if _CACHE in folders:
                folders.remove(_CACHE)
                if any(map(own_files.is_byte_code, os.listdir(Path(at, _CACHE)))):
                    found.append(Path(at, _CACHE))
        return found

    def _caches_change(self) -> Iterator[Change]:
        if self.caches:
            size = sum(map(size_of, self.caches))
            name = _counted(len(self.caches), "folder")
            yield Change(Verb.REMOVE, "byte code", name, "is made again by itself", size)

    # Doing it.

    def save(self, saved: Saved, say: Say) -> None:
        """Put aside what can't be made again; raises DoctorError."""
        folder, files = self.logs
        if files:
            say("logs", "putting them aside")
            saved.move_files(folder, files, "logs")
        environment = self.environment
        if environment is None:
            return
        if unproved := own_files.unproved(environment):
            say("environment", "putting your own files aside")
            saved.move_files(environment, unproved, "environment")
        made, kept = environment / "pyvenv.cfg", saved.folder / "pyvenv.cfg"
        shutil.copy2(made, kept)  # by which the environment is known until it is gone
        saved.note(
            "pyvenv.cfg: how the environment was made",
            f"diff {quote(str(kept))} {quote(str(made))}",
        )
        if packages := _packages(environment):
            path = saved.folder / "packages.txt"
            path.write_text("".join(f"{line}\n" for line in packages), encoding="utf-8")
            saved.note("packages.txt: what was installed", f"pip install --no-deps -r {path}")

    def require_unused(self) -> None:
        """Raises DoctorError while a process runs out of the environment."""
        environment = self.environment
        if environment is None:
            return
        import psutil

        users = []
        for process in psutil.process_iter(["pid", "name", "cmdline"]):
            words = process.info["cmdline"] or [""]
            if words[0].startswith(f"{environment}{os.sep}"):
                users.append(f"{process.info['name']} (pid {process.info['pid']})")
        if users:
            raise DoctorError(
                f"{', '.join(sorted(users)[:5])} still runs out of {environment}, and was not started by "
                "this: end it, then do it again; nothing was removed"
            )

    def remove(self, say: Say) -> None:
        """Remove what is left; raises DoctorError."""
        try:
            if self._half.is_dir():
                shutil.rmtree(self._half)
            if self.environment:
                say("environment", "removing it")
                self._remove_environment(self.environment)
            for cache in self.caches:
                _empty(cache)
        except OSError as error:
            raise DoctorError(f"{error.filename}: can't be removed ({error.strerror})") from None

    def _inside(self, name: str) -> Path | None:
        """A folder of the platform; None where a link leads there, or it lies outside."""
        path = Path(os.path.normpath(self.platform.path(name)))
        root = self.platform.root
        if root not in path.parents or not os.path.lexists(path):
            return None
        way = [path, *(p for p in path.parents if root in p.parents)]
        if any(part.is_symlink() for part in way):
            self.kept.append(f"{name}: a link, which is not followed")
            return None
        return path


def _files(folder: Path) -> Iterator[Path]:
    """The files and links below a folder; no link is followed."""
    for at, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(at, name))]
        yield from (Path(at, name) for name in sorted((*files, *links)))


def _packages(environment: Path) -> list[str]:
    found = distributions(path=[str(site) for site in own_files.sites(environment)])
    return sorted({f"{one.metadata['Name']}=={one.version}" for one in found}, key=str.lower)


def _empty(cache: Path) -> None:
    """Remove its byte code; the folder too, where nothing else lies in it."""
    for name in filter(own_files.is_byte_code, os.listdir(cache)):
        (cache / name).unlink(missing_ok=True)
    if not any(cache.iterdir()):
        cache.rmdir()


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"
