"""Requirement files as pip reads them: logical lines, comments, options, includes, variables."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping

from msgspec import Struct
from packaging.requirements import InvalidRequirement, Requirement

from saas_doctor.syntax import parse_requirement

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.S)  # to the end of the joined line
_JOINT = re.compile(r"\\+(?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]|\Z)")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_OPTION = re.compile(r"(?:^|\s)(?=-)")
_INCLUDE = re.compile(
    r"(?:(?P<r>-r|--requirement)|(?P<c>-c|--constraint)|(?P<e>-e|--editable))(?:\s*=\s*|\s*)(?P<what>.+)"
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar|tgz|tbz|txz|tar\.\w+)(?:\[[^\]]*\])?$", re.I)


class Asked(Struct, frozen=True):
    """A requirement, and the bytes of the file at which it stands."""

    requirement: Requirement
    line: int
    start: int
    end: int
    hashed: bool = False
    fixed: str = ""
    """Why its text can't be edited in its place."""


class Include(Struct, frozen=True):
    """Another file: of requirements, of constraints, or a project's own folder (with its extras)."""

    kind: str
    what: str
    line: int


class Wrong(Struct, frozen=True):
    """A line that pip refuses."""

    line: int
    why: str


class Open(Struct, frozen=True):
    """A line that only a variable makes a requirement of, which this shell does not set."""

    line: int
    variable: str


Found = Asked | Include | Wrong | Open


def read(data: bytes, environ: Mapping[str, str]) -> Iterator[Found]:
    """What the lines of one file say."""
    utf8, fixed = as_utf8(data)
    for number, start, raw in _logical_lines(utf8):
        # Of the same length as the line, so that places in it are places in the file.
        bare = _COMMENT.sub(_blanks, raw)
        found = list(_line(_JOINT.sub(_blanks, bare), number, start, fixed, environ))
        if _JOINT.search(bare) and not all(isinstance(one, Asked) for one in found):
            # pip puts nothing between the lines that it joins.
            fixed_here = fixed or "a word of it stands on two lines"
            found = list(_line(_JOINT.sub("", bare), number, start, fixed_here, environ))
        yield from found


def _line(
    line: str, number: int, start: int, fixed: str, environ: Mapping[str, str]
) -> Iterator[Found]:
    text = _VARIABLE.sub(lambda found: environ.get(found[1]) or found[0], line).strip()
    if not text:
        return
    head = _OPTION.split(text, 1)[0].strip()
    if not head:
        yield from _option(text, number)
        return
    head = head.removesuffix(";").rstrip()  # a marker that says nothing
    path = _local(head)
    if path is not None:
        yield from [Include("e", path, number)] if path else ()
        return
    at = line.find(head)
    begin = start + len(_bytes(line[: max(at, 0)]))
    try:
        yield Asked(
            parse_requirement(head),
            number,
            begin,
            begin + len(_bytes(head)),
            "--hash" in text,
            fixed or ("" if at >= 0 else "it is made of variables"),
        )
    except InvalidRequirement as error:
        left = _VARIABLE.search(head)
        why = f"{head!r}: {str(error).splitlines()[0]}"
        yield Open(number, left[1]) if left else Wrong(number, why)


def _blanks(found: re.Match[str]) -> str:
    """As many bytes of nothing."""
    return " " * len(_bytes(found.group()))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def as_utf8(data: bytes) -> tuple[bytes, str]:
    """The text in UTF-8, and why it can't be edited, where the file is written in another encoding."""
    for mark, encoding in _BOMS[1:]:
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, "replace")
            return text.encode("utf-8", "replace"), f"the file is {encoding.upper()}, not UTF-8"
    return data, ""


def _option(text: str, line: int) -> Iterator[Include | Wrong]:
    """An option's line; those that name no requirements are pip's own business."""
    found = _INCLUDE.match(text)
    if found is None:
        return
    kind = next(kind for kind in "rce" if found[kind])
    what = found["what"].strip().strip("\"'")
    if kind != "e":
        yield Include(kind, what, line)
    elif path := _local(what):
        yield Include("e", path, line)


def _local(head: str) -> str | None:
    """The folder that a line installs; empty for an address or an archive, None for a requirement."""
    if _ADDRESS.match(head):
        return ""
    if " @ " in head or re.match(r"[\w.-]+(\[[^\]]*\])?@", head):
        return None
    if _ARCHIVE.search(head.partition(";")[0].strip()):
        return ""
    if head.startswith(".") or "/" in head.partition(";")[0] or "\\" in head:
        return head.partition(";")[0].strip()
    return None


def _logical_lines(data: bytes) -> Iterator[tuple[int, int, str]]:
    """Lines joined over trailing backslashes, as pip joins them: number, byte offset, text."""
    mark = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    start, number = mark, 1
    held: tuple[int, int, str] | None = None
    # pip takes signs for the end of a line that editors do not count as one.
    for raw in data[mark:].decode("utf-8", "surrogateescape").splitlines(keepends=True):
        first, at, text = held or (number, start, "")
        start += len(_bytes(raw))
        number += raw.endswith(("\n", "\r"))
        text += raw
        comment = raw.lstrip().startswith("#")  # ends what it stands in
        if raw.splitlines()[0].endswith("\\") and not comment:
            held = (first, at, text)
            continue
        held = None
        yield first, at, text
    if held:
        yield held
