"""A Dockerfile as its builder reads it: instructions, stages, and what they take from the context."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from saas_doctor.facts.dockerfile_text import HEREDOC, Instruction, Reader, directives, split

INSTRUCTIONS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
    "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
_DOCKERS_OWN = re.compile(r"(?:docker\.io/)?docker/dockerfile(?:-upstream)?(?:[:@].*)?")
_URL = re.compile(r"^(https?|ftp|git|ssh)://|^git@|^github\.com/|\.git(#.*)?$")
_VARIABLE = re.compile(
    r"\\(?P<escaped>.)|'(?P<single>[^']*)'|(?P<quote>\")"
    r"|\$(?:(?P<name>\w+)|\{(?P<braced>\w+)(?::?(?P<sign>[-+])(?P<word>[^${}]*))?\}|(?P<other>\{))"
)


_LONGEST = 100_000
"""Characters that variables are replaced by."""


class Stage(Struct, frozen=True):
    """A stage: what it starts from, and its instructions, the FROM not among them."""

    name: str
    base: str
    line: int
    instructions: tuple[Instruction, ...]


class Source(Struct, frozen=True):
    """A path that COPY, ADD or RUN --mount takes; None where its variables leave it open.

    `into`: where COPY and ADD put it in the stage, absolute, a folder's with `/` at its end where
    that is written; empty where it is not known.
    """

    path: str | None
    text: str
    instruction: Instruction
    into: str = ""


class Flaw(Struct, frozen=True):
    """Why it can't be built, and where."""

    line: int
    message: str


class Dockerfile(Struct, frozen=True, dict=True):
    """A Dockerfile. `syntax` is the builder's front end that it asks for."""

    syntax: str
    instructions: tuple[Instruction, ...]
    flaws: tuple[Flaw, ...]

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        found: list[tuple[Instruction, list[Instruction]]] = []
        for instruction in self.instructions:
            if instruction.name == "FROM":
                found.append((instruction, []))
            elif found:
                found[-1][1].append(instruction)
        return tuple(
            Stage(_name_of(first), (first.words or ("",))[0], first.line, tuple(rest))
            for first, rest in found
        )

    def stage(self, name: str) -> Stage | None:
        """The stage of a name or a number."""
        if name.isdigit() and int(name) < len(self.stages):
            return self.stages[int(name)]
        return next((s for s in reversed(self.stages) if s.name == name.lower()), None)

    def built(self, target: str = "") -> list[Stage]:
        """The stages that BuildKit builds for a target: it and what it takes from, in order."""
        last = self.stage(target) if target else self.stages[-1] if self.stages else None
        queue, needed = [last] if last else [], set()
        while queue:
            stage = queue.pop()
            if stage in needed:
                continue
            needed.add(stage)
            before = self._before(stage)
            for name in _taken_from(stage):
                found = self.stage(name)
                if found in before:
                    queue.append(found)
        return [stage for stage in self.stages if stage in needed]

    def _before(self, stage: Stage) -> tuple[Stage, ...]:
        return self.stages[: self.stages.index(stage)]

    def line_of(self, stage: Stage) -> Iterator[Stage]:
        """The stage, the one that it is made from, and so on."""
        while True:
            yield stage
            before = self._before(stage)
            base = next((s for s in reversed(before) if s.name == stage.base.lower()), None)
            if base is None:
                return
            stage = base

    def final(self, target: str = "") -> list[Stage]:
        """The stages whose image the target is, its own first."""
        last = self.stage(target) if target else self.stages[-1] if self.stages else None
        return list(self.line_of(last)) if last else []

    def health_check(self, target: str = "") -> Instruction | None:
        """The HEALTHCHECK that counts, which may be NONE."""
        for stage in self.final(target):
            for instruction in reversed(stage.instructions):
                if instruction.name == "HEALTHCHECK":
                    return instruction
        return None

    def base_image(self, args: Mapping[str, str | None], target: str = "") -> str | None:
        """The image that the target's stages begin with; None where that can't be told."""
        stages = self.final(target)
        return expand(stages[-1].base, self._global(args)) if stages else None

    def _global(self, args: Mapping[str, str | None]) -> dict[str, str | None]:
        values: dict[str, str | None] = {}
        for instruction in self.instructions:
            if instruction.name == "FROM":
                break
            _declare(instruction, values, args, {})
        return values

    def sources(self, args: Mapping[str, str | None], target: str = "") -> Iterator[Source]:
        """What a build of the target takes from its context."""
        outside = self._global(args)
        ended: dict[Stage, dict[str, str | None]] = {}
        works_in: dict[Stage, str] = {}
        found: dict[Stage, list[Source]] = {}
        for stage in self.stages:
            base = next(iter(list(self.line_of(stage))[1:2]), None)
            values = dict(ended[base]) if base else {}
            folder = works_in[base] if base else ""
            found[stage] = []
            for instruction in stage.instructions:
                if instruction.name == "ARG":
                    _declare(instruction, values, args, outside)
                elif instruction.name == "ENV":
                    _set(instruction, values)
                elif instruction.name == "WORKDIR":
                    folder = _joined(folder, expand(instruction.text.strip(), values))
                else:
                    into = _into(instruction, folder, values)
                    for text in _sources(instruction):
                        found[stage].append(Source(expand(text, values), text, instruction, into))
            ended[stage], works_in[stage] = values, folder
        for stage in self.built(target):
            yield from found[stage]

    @property
    def has_heredocs(self) -> bool:
        return any(instruction.heredocs for instruction in self.instructions)

    @cached_property
    def buildkit_only(self) -> tuple[tuple[Instruction, str], ...]:
        """What the classic builder does not know."""
        return tuple(
            (instruction, what)
            for instruction in self.instructions
            if (what := _needs_buildkit(instruction))
        )


def _name_of(first: Instruction) -> str:
    words = first.words
    return words[2].lower() if len(words) == 3 and words[1].lower() == "as" else ""


def _taken_from(stage: Stage) -> Iterator[str]:
    yield stage.base
    for instruction in stage.instructions:
        if instruction.name in ("COPY", "ADD") and (name := instruction.flag("from")):
            yield name
        for key, value in instruction.flags:
            if key == "mount" and (name := _options(value).get("from", "")):
                yield name


def _options(value: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in value.strip("\"'").split(","))
    return {key.lower(): text for key, _, text in pairs}


def _sources(instruction: Instruction) -> Iterator[str]:
    if instruction.name in ("COPY", "ADD") and instruction.flag("from") is None:
        for word in instruction.words[:-1]:
            if not HEREDOC.fullmatch(word) and not _URL.search(word):
                yield word.replace("/./", "/") if instruction.flag("parents") is not None else word
    elif instruction.name == "RUN":
        for key, value in instruction.flags:
            options = _options(value) if key == "mount" else {}
            source = options.get("source") or options.get("src")
            if source and options.get("type", "bind") == "bind" and "from" not in options:
                yield source


def _into(instruction: Instruction, folder: str, values: Mapping[str, str | None]) -> str:
    """Where COPY or ADD puts what it takes; empty where that is not known."""
    if instruction.name not in ("COPY", "ADD") or instruction.flag("parents") is not None:
        return ""
    target = expand(instruction.words[-1], values) if len(instruction.words) > 1 else None
    into = _joined(folder, target)
    is_folder = bool(target) and str(target).endswith(("/", "."))
    is_folder = is_folder or len(instruction.words) > 2
    return f"{into}/" if into and is_folder else into


def _joined(folder: str, path: str | None) -> str:
    """An absolute path in the image; empty where the folder that it begins in is not known."""
    if path is None or not (path.startswith("/") or folder):
        return ""
    return posixpath.normpath(posixpath.join(folder or "/", path))


def _needs_buildkit(instruction: Instruction) -> str:
    if instruction.heredocs:
        return f"{instruction.name} <<{instruction.heredocs[0].name}"
    known = {"COPY": ("from", "chown"), "ADD": ("chown",), "FROM": ("platform",)}
    known["HEALTHCHECK"] = ("interval", "timeout", "start-period", "retries")
    for key, value in instruction.flags:
        if key not in known.get(instruction.name, ()):
            return f"{instruction.name} --{key}"
        if instruction.name == "FROM" and re.search(r"\$\{?(BUILD|TARGET)PLATFORM", value):
            return f"{instruction.name} --{key}={value}"
    return ""


def _declare(
    instruction: Instruction,
    values: dict[str, str | None],
    given: Mapping[str, str | None],
    outside: Mapping[str, str | None],
) -> None:
    """What ARG makes known: the given value, else the default, else that from before the first FROM."""
    if instruction.name != "ARG":
        return
    for word in split(instruction.text):
        name, sign, default = word.partition("=")
        if name in given:
            values[name] = given[name]
        elif sign:
            values[name] = expand(default, values)
        else:
            # Without a value it is empty, unless it is one that the builder itself sets.
            values[name] = outside.get(name)


def _set(instruction: Instruction, values: dict[str, str | None]) -> None:
    words = split(instruction.text)
    if words and "=" not in words[0]:
        name, _, rest = instruction.text.partition(" ")
        words = [f"{name}={rest.strip()}"]
    before = dict(values)
    for word in words:
        name, _, value = word.partition("=")
        values[name] = expand(value, before)


def expand(text: str, values: Mapping[str, str | None]) -> str | None:
    """The text without quotes and with its variables; None where one is not known, or all is too long."""
    if "$" not in text and not re.search(r"[\\'\"]", text):
        return text
    parts: list[str] = []
    at = total = 0
    for match in _VARIABLE.finditer(text):
        parts.append(text[at : match.start()])
        at = match.end()
        name = match["name"] or match["braced"]
        if match["other"]:
            return None
        if name:
            value = values.get(name)
            if value is None:
                return None
            if match["sign"] == "+":
                value = match["word"] if value else ""
            parts.append(value or match["word"] or "")
        else:
            parts.append(match["escaped"] or match["single"] or "")
        total += len(parts[-1])
        if total > _LONGEST:
            return None
    return "".join((*parts, text[at:]))


def parse(data: bytes) -> Dockerfile:
    """The Dockerfile in these bytes, whatever they are; what can't be built is among its flaws."""
    lines = data.decode("utf-8-sig", "replace").split("\n")
    syntax, escape, start = directives(lines)
    reader = Reader(lines, escape, start)
    reader.read()
    known = not syntax or bool(_DOCKERS_OWN.fullmatch(syntax))
    flaws = tuple(_flaws(reader)) if known else ()
    return Dockerfile(syntax, tuple(reader.instructions), flaws)


def _flaws(reader: Reader) -> Iterator[Flaw]:
    if not reader.instructions:
        yield Flaw(1, "it is empty")
        return
    for line, ending in reader.endless:
        yield Flaw(line, f"the text <<{ending} has no end")
    began = False
    for instruction in reader.instructions:
        name, words = instruction.name, instruction.words
        if name not in INSTRUCTIONS:
            near = difflib.get_close_matches(name, INSTRUCTIONS, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield Flaw(instruction.line, f"there is no instruction {name}{hint}")
            return  # what follows may be a part of it
        if name == "FROM":
            began = True
            if len(words) != 1 and not (len(words) == 3 and words[1].lower() == "as"):
                yield Flaw(instruction.line, "FROM takes an image, and a name after AS")
        elif not began and name != "ARG":
            yield Flaw(instruction.line, f"{name} stands before the first FROM")
            return
        elif name in ("COPY", "ADD") and len(words) < 2:
            yield Flaw(instruction.line, f"{name} takes a source and a destination")
    if not began:
        yield Flaw(1, "it has no FROM")
