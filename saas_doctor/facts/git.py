"""Which of the platform's settings files git keeps, or would take up, asked of git itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from saas_doctor import git as gits
from saas_doctor.facts import Fact
from saas_doctor.facts.dotenv import Dotenv, read_dotenv
from saas_doctor.git import Git, Refused
from saas_doctor.model import Absent, Unreadable
from saas_doctor.platform import Platform
from saas_doctor.reading import tell

_NAME = re.compile(r"\.env(?:\.[\w.\-]+)?")
_EXAMPLE = re.compile(r"example|sample|template|dist|default|test|\bci\b", re.I)
_MOST = 40


class SettingsInGit(Fact, frozen=True):
    """The settings files that git tracks, and those that it neither tracks nor leaves out.

    Examples, and files for tests, are not among them.
    """

    tracked: tuple[Dotenv, ...]
    loose: tuple[Dotenv, ...]

    @classmethod
    def read(cls, platform: Platform) -> SettingsInGit:
        git = gits.of(platform, 2.5)
        if git is None:
            raise Absent("git is not installed")
        above = (platform.root, *platform.root.parents)
        if not any((folder / ".git").exists() for folder in above):
            raise Absent("no git repository")
        names = [platform.relative(path) for path in _files(platform)][:_MOST]
        if not names:
            raise Absent("no settings files")
        for folder in {platform.root, *(platform.path(name).parent for name in names)}:
            tell(folder / ".gitignore")  # by git
        states = _ask(git, names)
        found = {name: read_dotenv(platform.path(name), platform) for name in states}
        told = [(states[name], file) for name, file in found.items() if file is not None]
        tracked = tuple(file for state, file in told if state != "?")
        return cls(tracked, tuple(file for state, file in told if state == "?"))


def _files(platform: Platform) -> Iterator[Path]:
    config = platform.config
    folders = [".", config.backend, *(s.directory for s in config.services.values())]
    folders += [config.frontend.directory] if config.frontend else []
    seen: set[Path] = set()
    for folder in (*map(platform.path, folders), platform.path(config.env_file).parent):
        if folder in seen:
            continue
        seen.add(folder)
        try:
            inside = sorted(folder.iterdir())
        except OSError:
            continue
        own = platform.path(config.env_file)
        for path in inside:
            named = _NAME.fullmatch(path.name) and not _EXAMPLE.search(path.name)
            if (named or path == own) and path.is_file() and path.is_relative_to(platform.root):
                yield path


def _ask(git: Git, names: list[str]) -> dict[str, str]:
    """The files that git tracks or would take up, each with the letter of its state."""
    # Cached ones and others, as .gitignore has it.
    words = ["ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard"]
    try:
        lines = git(*words, "--", *names).split("\0")
    except Refused as why:
        raise Unreadable(str(why)) from None
    return {line[2:]: line[:1] for line in lines if line[2:] in names}
