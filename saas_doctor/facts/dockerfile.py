"""The Dockerfiles that the compose file names: their instructions with lines, and what they copy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

INSTRUCTIONS = {
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
    "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(\S)", re.I)
_DIRECTIVE = re.compile(r"#\s*\w+\s*=")
_HEREDOC = re.compile(r"<<-?\s*([\"']?)(\w+)\1")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name in capital letters, what follows it, and its line (from 1)."""

    name: str
    text: str
    line: int


def instructions(data: bytes) -> list[Instruction]:
    """The instructions of a Dockerfile; comments, continued lines and heredocs are taken in."""
    lines = data.decode("utf-8-sig", "replace").splitlines()
    escape = _escape_of(lines)
    found: list[Instruction] = []
    number = 0
    while number < len(lines):
        start = number
        text = ""
        while number < len(lines):
            line = lines[number]
            number += 1
            if line.lstrip().startswith("#") or (text and not line.strip()):
                if not text:
                    break
                continue  # a comment or an empty line inside an instruction
            body = line.rstrip()
            if body.endswith(escape):
                text += body[: -len(escape)] + " "
                continue
            text += body
            break
        name, _, rest = text.strip().partition(" ")
        if not name:
            continue
        for _, end in _HEREDOC.findall(rest) if name.upper() in ("RUN", "COPY", "ADD") else ():
            while number < len(lines) and lines[number].strip() != end:
                number += 1
            number += 1
        found.append(Instruction(name.upper(), rest.strip(), start + 1))
    return found


def _escape_of(lines: list[str]) -> str:
    for line in lines:
        found = _ESCAPE.match(line)
        if found:
            return found[1]
        if not _DIRECTIVE.match(line):
            break
    return "\\"


@dataclass(frozen=True)
class Copied:
    """One source of a `COPY` or `ADD` from the build context, with its line."""

    source: str
    line: int


def copies(found: list[Instruction]) -> Iterator[Copied]:
    """The sources that must be in the context: no variables, patterns, addresses, stages, heredocs.

    A pattern that takes nothing is no error to BuildKit: `package-lock.json*` is a way to say "if
    there is one".
    """
    for instruction in found:
        if instruction.name not in ("COPY", "ADD"):
            continue
        flags = re.match(r"(?:--\S+\s+)*", instruction.text)
        rest = instruction.text[flags.end() :] if flags else instruction.text
        if (
            "--from=" in instruction.text
            or "<<" in rest
            or "$" in rest
            or "--parents" in instruction.text
        ):
            continue
        for source in _words(rest)[:-1]:
            if not re.match(r"(https?|git|ssh)(://|@)|git@", source) and not set(source) & set(
                "*?["
            ):
                yield Copied(source, instruction.line)


def _words(text: str) -> list[str]:
    if text.startswith("["):
        try:
            words = json.loads(text)
        except ValueError:
            return []
        return [str(word) for word in words] if isinstance(words, list) else []
    return [] if '"' in text or "'" in text else text.split()


def is_in_context(context: Path, source: str) -> bool | None:
    """Whether the context holds what a source names; None where that can't be looked up."""
    pattern = source.lstrip("/")
    pattern = pattern.removeprefix("./").rstrip("/") or "."
    if pattern.startswith("..") or "/../" in pattern:
        return None
    try:
        return _exactly(context, pattern)
    except (OSError, ValueError, NotImplementedError):
        return None


def _exactly(context: Path, relative: str) -> bool:
    """Whether the path is there in exactly these letters, as a Linux builder wants it."""
    folder = context
    for part in Path(relative).parts:
        if part not in {entry.name for entry in folder.iterdir()}:
            return False
        folder = folder / part
    return True


def is_ignored(context: Path, dockerfile: Path, source: str) -> bool | None:
    """Whether `.dockerignore` leaves a source out; None where its patterns are not plain.

    A file beside the Dockerfile that is called as it counts before the context's own.
    """
    files = (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore")
    own = next((f for f in files if f.is_file()), None)
    if own is None:
        return False
    wanted = source.lstrip("/").removeprefix("./").rstrip("/")
    ignored = False
    for line in own.read_text("utf-8-sig", "replace").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keeps = pattern.startswith("!")
        pattern = pattern.lstrip("!").strip("/").removeprefix("./")
        if keeps and (pattern == wanted or pattern.startswith(f"{wanted}/") or "*" in pattern):
            return None if ignored else False
        if not keeps and (_matches(pattern, wanted)):
            ignored = True
    return ignored


def _matches(pattern: str, path: str) -> bool:
    """Whether a pattern takes a path, or a folder above it; `**` is any number of folders."""
    expression = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*")
    expression = expression.replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return re.fullmatch(f"{expression}(?:/.*)?", path) is not None
