"""Puts aside what can't be made again, before it is removed: `.saas-doctor/saved/<time>`, with the way back."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path

from saas_doctor.journal import prepare_state
from saas_doctor.model import DoctorError
from saas_doctor.platform import Platform
from saas_doctor.report.sizes import in_words

NOTES = "how-to-bring-it-back.txt"


class Saved:
    """What was put aside by one run. The folder is made with the first thing."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.notes: list[str] = []
        self._folder: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.notes)

    @property
    def folder(self) -> Path:
        if self._folder is None:
            self._folder = _made(self.platform)
        return self._folder

    @property
    def shown(self) -> str:
        return self.platform.relative(self.folder)

    def note(self, what: str, command: str) -> None:
        """What lies there, and the command that brings it back; written down at once."""
        self.notes.append(f"{what}\n    {command}")
        text = (
            f"Put aside of {self.platform.root}\n"
            "Take down what has come in its place first: saas-doctor down --volumes --save\n\n"
        )
        text += "\n".join(self.notes) + "\n"
        (self.folder / NOTES).write_text(text, encoding="utf-8")

    def move(self, path: Path, name: str) -> None:
        """Put a file or folder aside, by its name where it may be, else as an archive.

        Links are moved, not followed. Raises DoctorError, and then it is where it was.
        """
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(path, target)
            # What is there by then must neither be written over nor take the old one in.
            free = f"test ! -e {_quoted(path)}"
            self.note(f"{name}: {path}", f"{free} && mv {_quoted(target)} {_quoted(path)}")
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise DoctorError(f"{path}: can't be put aside ({error.strerror})") from None
            self._pack(path, target.with_name(f"{target.name}.tar"), name)

    def move_files(self, root: Path, files: Iterable[Path], name: str) -> None:
        """Put some files of a folder aside, each at its place in a folder of that name."""
        moved = 0
        for path in files:
            target = self.folder / name / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.move(path, target)
            except OSError as error:
                raise DoctorError(f"{path}: can't be put aside ({error.strerror})") from None
            moved += 1
        if moved:
            what = f"{name}: {moved} file{'s' if moved != 1 else ''} of {root}"
            self.note(what, f"cp -a {_quoted(self.folder / name)}/. {_quoted(root)}/")

    def _pack(self, path: Path, target: Path, name: str) -> None:
        """The same on another disk: with the owners, which a copy would not keep."""
        try:
            with tarfile.open(target, "w") as tar:
                tar.add(path, path.name)
            verify(target)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as error:
            raise DoctorError(f"{path}: can't be put aside ({error.strerror or error})") from None
        self.note(f"{name}: {path}", f"tar -xpf {_quoted(target)} -C {_quoted(path.parent)}")


def require_space(platform: Platform, size: int) -> None:
    """Raises DoctorError where the disk has no room for a copy of so many bytes."""
    free = shutil.disk_usage(platform.root).free
    if size * 1.02 > free:
        raise DoctorError(
            f"no room to save it: {in_words(size)} of data, {in_words(free)} free in {platform.root}; "
            "nothing was removed"
        )


def size_of(path: Path) -> int:
    """Bytes of a file, or of all in a folder; links are not followed, what is closed does not count."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size if os.path.lexists(path) else 0
    total = 0
    for at, _, files in os.walk(path):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(at, name)).st_size
    return total


def verify(archive: Path) -> None:
    """Raises OSError where an archive is not whole."""
    with archive.open("rb") as file:
        file.seek(-1024, os.SEEK_END)
        if any(file.read(1024)):
            raise OSError(f"{archive.name} has no end")
    try:
        with tarfile.open(archive) as tar:
            for _ in tar:
                pass
    except tarfile.TarError as error:
        raise OSError(f"{archive.name}: {error}") from None


def _made(platform: Platform) -> Path:
    prepare_state(platform)
    saved = platform.state / "saved"
    if saved.is_symlink():
        raise DoctorError(f"{saved}: is a link; remove it, so that nothing else is written to")
    saved.mkdir(exist_ok=True)
    name = time.strftime("%Y%m%d-%H%M%S")
    for number in range(100):
        folder = saved / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise DoctorError(f"{saved}: can't make a folder in it")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
