"""Actions on files: edit and create, atomically, with the former bytes kept."""

from __future__ import annotations

import contextlib
import difflib
import os
import stat
import tempfile
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from saas_doctor.actions import Action, Bench, Conflict, NotApplied, Record, Refused
from saas_doctor.edits import Edit, apply_edits, digest, overlap
from saas_doctor.facts import Facts
from saas_doctor.platform import Platform
from saas_doctor.reading import read_bytes
from saas_doctor.redact import redact, redact_lines

TEMPORARY = ".saas-doctor-tmp-"


def write_atomically(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write the file so that it is wholly old or wholly new at every moment, also after a crash.

    A symbolic link stays one, its target is written; mode and owner stay where the file exists.
    """
    target = path.resolve()
    before = target.stat() if target.exists() else None
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is None:
            mode = stat.S_IMODE(before.st_mode) if before else 0o666 & ~_umask()
        os.chmod(name, mode)
        if before and hasattr(os, "chown"):
            with contextlib.suppress(PermissionError):  # an ordinary user keeps only his own
                os.chown(name, before.st_uid, before.st_gid)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    _sync_folder(target.parent)


def leads_out(root: Path, path: Path, name: str) -> str:
    """Why a file is not written: a symbolic link takes the path out of the platform; else empty.

    The last part of a path that is not there yet counts too: its folder may be such a link.
    """
    real = os.path.realpath(path)
    if os.path.normpath(path) == real or Path(real).is_relative_to(os.path.realpath(root)):
        return ""
    return f"{name} leads out of the platform by a link, to {real}; change it there by hand"


def _refuse_to_leave(bench: Bench, path: Path, name: str) -> None:
    if why := leads_out(bench.platform.root, path, name):
        raise Refused(why)


class _OnFile(Action):
    """What changes one file of the platform."""

    path: Path
    name: str

    def rehearsed(self, facts: Facts, edited: Mapping[Path, bytes]) -> Action:  # noqa: ARG002
        if why := leads_out(facts.get(Platform).root, self.path, self.name):
            raise Conflict(why)
        return self

    def _stay_inside(self, bench: Bench) -> None:
        """Asked again right before: the link may have been made since."""
        if why := leads_out(bench.platform.root, self.path, self.name):
            raise NotApplied(why)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # Windows can't open a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sweep(path: Path) -> None:
    """Remove what an interrupted write left beside the file."""
    for left in path.resolve().parent.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):
            left.unlink()


def _read(path: Path) -> bytes | None:
    try:
        return read_bytes(path)
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class EditFile(_OnFile):
    """Change parts of a file. `base` is the digest of the bytes that the edits were made for.

    `why` are the reasons, one for each finding; `name` is the path as reports show it.
    """

    path: Path
    name: str
    data: bytes
    edits: tuple[Edit, ...]
    why: tuple[str, ...] = ()

    order = 10

    @property
    def title(self) -> str:
        return f"edit {self.name}" + (f": {', '.join(self.why)}" if self.why else "")

    @property
    def target(self) -> Hashable:
        return self.path

    @property
    def result(self) -> bytes:
        return apply_edits(self.data, self.edits)

    def preview(self) -> str:
        return unified_diff(self.name, self.data, self.result)

    def merge(self, other: EditFile) -> EditFile:
        if other.data != self.data:
            raise Conflict(f"{self.name} changed while the plan was made")
        if any(overlap(one, two) for one in self.edits for two in other.edits):
            raise Conflict(f"two edits of the same place in {self.name}")
        return replace(
            self,
            edits=tuple(dict.fromkeys(self.edits + other.edits)),
            why=tuple(dict.fromkeys(self.why + other.why)),
        )

    def before(self, bench: Bench) -> Record:
        self._stay_inside(bench)
        now = _read(self.path)
        if now != self.data:
            raise NotApplied(f"{self.name} was changed since the plan was made")
        return {
            "path": str(self.path),
            "name": self.name,
            "kept": bench.keep(self.path.name, now),
            "before": digest(now),
            "after": digest(self.result),
        }

    def apply(self, bench: Bench, before: Record) -> Record:  # noqa: ARG002
        write_atomically(self.path, self.result)
        return {}

    def verify(self, bench: Bench) -> bool:  # noqa: ARG002
        return _read(self.path) == self.result

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        path = Path(before["path"])
        _refuse_to_leave(bench, path, before["name"])
        sweep(path)
        now = _read(path)
        if now is not None and digest(now) == before["before"]:
            return None
        if now is None or digest(now) != before["after"]:
            raise Refused(
                f"{before['name']} was changed since; its former bytes are in "
                f"{bench.platform.relative(bench.folder / 'kept' / before['kept'])}"
            )
        write_atomically(path, bench.kept(before["kept"]))
        return None


@dataclass(frozen=True)
class CreateFile(_OnFile):
    """Make a file that is not there. `mode`: its permission bits, for one that holds secrets.

    `placeholders`: the keys in it whose values only stand for ones that somebody has to choose.
    """

    path: Path
    name: str
    content: bytes
    mode: int = 0o644
    placeholders: tuple[str, ...] = ()

    order = 10

    @property
    def title(self) -> str:
        more = "" if self.content else " (empty)"
        if self.placeholders:
            more = f" with placeholders for {', '.join(self.placeholders)}"
        return f"create {self.name}{more}"

    @property
    def afterwards(self) -> str:
        if not self.placeholders:
            return ""
        return f"{self.name}: write values of your own for {', '.join(self.placeholders)}"

    @property
    def target(self) -> Hashable:
        return self.path

    def preview(self) -> str:
        return unified_diff(self.name, b"", self.content, created=True)

    def before(self, bench: Bench) -> Record:
        self._stay_inside(bench)
        if os.path.lexists(self.path):
            raise NotApplied(f"{self.name} is there by now")
        if not self.path.parent.is_dir():
            raise NotApplied(f"the folder of {self.name} is not there")
        return {"path": str(self.path), "name": self.name, "after": digest(self.content)}

    def apply(self, bench: Bench, before: Record) -> Record:  # noqa: ARG002
        write_atomically(self.path, self.content, mode=self.mode)
        return {}

    def verify(self, bench: Bench) -> bool:  # noqa: ARG002
        return _read(self.path) == self.content

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        path = Path(before["path"])
        _refuse_to_leave(bench, path, before["name"])
        sweep(path)
        now = _read(path)
        if now is None:
            return None
        if digest(now) != before["after"]:
            raise Refused(f"{before['name']} was changed since it was created")
        path.unlink()
        return None

    @classmethod
    def goes(cls, before: Record) -> Path | None:
        return Path(before["path"])


@dataclass(frozen=True)
class ChangeMode(_OnFile):
    """Give a file other permission bits; its content stays."""

    path: Path
    name: str
    was: int
    mode: int

    order = 15

    @property
    def title(self) -> str:
        return f"let nobody else read {self.name} (mode {self.mode:o})"

    @property
    def target(self) -> Hashable:
        return self.path

    def preview(self) -> str:
        return f"chmod {self.mode:o} {self.name}  (now {self.was:o})"

    def before(self, bench: Bench) -> Record:
        self._stay_inside(bench)
        if _mode(self.path) != self.was:
            raise NotApplied(f"the mode of {self.name} was changed since the plan was made")
        return {"path": str(self.path), "name": self.name, "was": self.was, "mode": self.mode}

    def apply(self, bench: Bench, before: Record) -> Record:  # noqa: ARG002
        os.chmod(self.path, self.mode)
        return {}

    def verify(self, bench: Bench) -> bool:  # noqa: ARG002
        return _mode(self.path) == self.mode

    @classmethod
    def undo(cls, bench: Bench, before: Record, after: Record | None) -> str | None:  # noqa: ARG003
        path, now = Path(before["path"]), _mode(Path(before["path"]))
        _refuse_to_leave(bench, path, before["name"])
        if now == before["mode"]:
            os.chmod(path, before["was"])
        elif now != before["was"]:
            raise Refused(f"the mode of {before['name']} was changed since, or it is gone")
        return None


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return None


def unified_diff(name: str, old: bytes, new: bytes, *, created: bool = False) -> str:
    """The change as a unified diff, secrets masked."""
    # Masked before they are compared: of a secret over several lines a hunk may show the last.
    lines = difflib.unified_diff(
        _shown(old),
        _shown(new),
        "/dev/null" if created else f"a/{name}",
        f"b/{name}",
        lineterm="",
    )
    return redact("\n".join(lines)) or f"(an empty file: {name})"


class _Line(str):
    """A line as it is shown, which is compared as it is."""

    __slots__ = ("real",)
    real: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Line) and self.real == other.real

    def __hash__(self) -> int:
        return hash(self.real)


def _shown(data: bytes) -> Sequence[str]:
    real = data.decode("utf-8", "replace").splitlines()
    lines = [_Line(line) for line in redact_lines(real)]
    for line, text in zip(lines, real, strict=True):
        line.real = text
    return lines
