"""The one redactor: masks secrets in everything that is shown, logged or journalled.

A secret is known by the key it stands under (`SECRET_KEY=…`, `"token": …`, `--password …`), by its
place in an address (`scheme://user:…@`), by its form (a private key, a signed token), and by its
value: what `saas_doctor.known_secrets` read where the platform keeps its secrets is masked wherever
else it turns up.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from msgspec.structs import replace

from saas_doctor.model import Finding, Place

MASK = "***"
WITHHELD = "(withheld: what is secret in it can't be told)"

# To the last @ before a blank: a password may hold @ and quotes. A quote before a sign that ends a
# text closes it. A scheme without its colon, or with one slash, is an address that somebody is to mend.
_TO_THE_END = r"(?:[^\s'\"]|['\"](?![,;:)}\]>\s]|$))+"
_USERINFO = re.compile(
    rf"(?<![a-z0-9+.\-])(?P<scheme>[a-z][a-z0-9+.\-]*(?::/{{1,3}}|//))(?P<user>[^\s:/@'\"]*):(?P<rest>{_TO_THE_END})",
    re.I,
)
_NO_SCHEME = re.compile(rf"(?<![^\s'\"=(,])([\w.%\-]+:)({_TO_THE_END})")
_TOKEN = re.compile(r"((?:[a-z]+\+)?https?:/{1,3})([^\s:/@'\"]+)(?=(?::x-oauth-basic|:)?@)", re.I)
_HOST = re.compile(r"(?!sha\d+:)[\w.\-]+:?\w*")
_KEY = re.compile(
    r"passwo?r?d|passphrase|requirepass|masterauth|authorization|(?<=[a-z0-9][_\-.])(?:pass|pwd)$|secret|token(?!i[sz])|credential"
    r"|(?:api|private|access|signing|encryption|auth)[_\-]?key",
    re.I,
)
_ONLY_QUOTED = ("auth", "cookie", "set-cookie")
"""Keys of JSON that hold a secret; elsewhere these words name many things."""
_TELLS_OF = re.compile(
    r"(?:^|[_\-.]|(?<=[a-z])(?=[A-Z]))"
    r"(?i:expir[a-z]*|minutes?|seconds?|hours?|days|ttl|ur[il]$|path|(?:host|user|file)?names?|files?"
    r"|algorithms?|types?|headers?|prefix|(?:min|max)?_?length|(?:life|max)?_?time|issuer|enabled)"
    r"(?=$|[_\-.\d]|(?<=[a-z])[A-Z])"
)
"""What a key may tell of the secret that it names, in a word behind it (`TOKEN_TYPE`), instead of it."""
_NAMED = re.compile(
    r"(?P<key>(?<![\w.\-])[\w.\-]+)(?:(?P<quote>[\"']?)[ \t]*(?P<sign>=(?!=)|:)[ \t]*|(?P<gap>[ \t]+|[\"'],\s*))"
)
_VALUE = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|[\"']?[^\s\"',;]+")
_GLUED = re.compile(r"(?<=[\"'])[^\s\"',;:(){}\[\]<>|&+#.]+")
_NO_WORD = re.compile(
    r"(?:[ \t]+(?=[^\s=]*\d)(?=[^\s=]*[A-Za-z])[^\s\"',;:=/.(){}\[\]]{6,}(?=\s|$))+"
)
"""Behind a value with blanks in it: letters and digits together, as prose has them hardly ever."""
_REST = re.compile(r"[^\r\n]*[^\s,{}\[\]]")
_TYPE = re.compile(
    r"(?:str|bytes|int|bool|Secret(?:Str|Bytes))\b(?:[ \t]*\|[ \t]*None)?[ \t]*=?[ \t]*"
)
_QUERY = re.compile(r"([?&;](?:pwd|pass|pw|sig|signature)=)[^\s&;#\"'<>]+", re.I)
_HEADER = re.compile(
    r"(\b(?:proxy-)?authorization|\b(?:set-)?cookie|\bx-(?:api-key|auth-token))([ \t]*:[ \t]*)[^\"'\r\n]+",
    re.I,
)
_OPTION = re.compile(
    r"--?(?:[\w\-]+-)?(?:password|passwd|passphrase|requirepass|masterauth|secret|token|(?:api|access)-?key)",
    re.I,
)
# A server's error may repeat a statement up to its fault only, without the quote's end.
_SQL = re.compile(r"(\bPASSWORD\s+)'(?:[^'\n]|'')*'?", re.I)
_FORMS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<![\w\-])eyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]{8,}"
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|[sr]k_(?:live|test)_|xox[abprs]-|A[KS]IA)[\w\-]{16,}"
    # A line of a key whose beginning is not there.
    r"|(?<![\w+/=.\-])(?=[A-Za-z+/]*\d)(?=[a-z\d+/]*[A-Z])(?=[A-Z\d+/]*[a-z])[A-Za-z\d+/]{64}(?![\w+/=.\-])",
    re.S,
)
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?!.*-----END )")
_KEY_ENDS = re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")
_IN_KEY = re.compile(
    r"[A-Za-z\d+/=]*|(?:Proc-Type|DEK-Info):.*|(?:.*\s)?(?:[A-Za-z\d+/=]{16,}|[A-Za-z\d+/]+={1,2})"
)
_LONGEST_KEY = 300
"""Lines."""
_SHORTEST, _PLAIN = 6, 12
_known: dict[str, None] = {}
_broken = False


def redact(text: str) -> str:
    """The text with every secret masked; where that can't be done, a sentence in place of it."""
    if _broken:
        return WITHHELD
    try:
        return _masked(text)
    except Exception:
        return WITHHELD


def redact_lines(lines: Iterable[str]) -> list[str]:
    """The lines of one text, as many as there are, with every secret masked that goes over several."""
    whole = list(lines)
    try:
        masked = _masked("\n".join(whole), by_line=True).split("\n")
    except Exception:
        masked = []
    return masked if len(masked) == len(whole) and not _broken else [WITHHELD] * len(whole)


class Redactor:
    """Masks a text of which one line after the other is known, and a private key in it."""

    def __init__(self) -> None:
        self._left = 0

    def redact(self, line: str) -> str:
        """The next line with every secret masked."""
        ends = self._left and _KEY_ENDS.search(line)
        if ends or (self._left and _IN_KEY.fullmatch(line.strip("\"', \t"))):
            self._left = 0 if ends else self._left - 1
            return MASK
        # What others write meanwhile is shown.
        self._left = _LONGEST_KEY if _KEY_BEGINS.search(line) else max(0, self._left - 1)
        return redact(line)


def looks_secret(key: str) -> bool:
    """Whether the value of a key of this name is a secret (`SECRET_KEY`, `db.password`)."""
    return bool(_KEY.search(key))


def holds_secret(key: str) -> bool:
    """The same, leaving out keys that only tell of one (`TOKEN_URL`, `PASSWORD_FILE`)."""
    named = [found.end() for found in _KEY.finditer(key)]
    return bool(named) and not _TELLS_OF.search(key[named[-1] :])


def is_option(word: Any) -> bool:
    """Whether the word behind this one of a command line is a secret (`--requirepass`)."""
    return isinstance(word, str) and bool(_OPTION.fullmatch(word))


def know(secrets: Iterable[str]) -> None:
    """Mask these wherever they turn up, from now on.

    Left out is what a report could not do without: what is shorter than 6 characters, and plain
    words and numbers below 12 (a password `postgres`); under their keys these are masked all the
    same. Where the secrets can't be told, every text is withheld.
    """
    global _known, _broken
    try:
        forms = {f: None for s in secrets if not _is_plain(s) for f in _forms(s)}
        _known = {**_known, **forms}  # replaced whole: others may read it
    except Exception:
        _broken = True


def forget() -> None:
    """Know no values any more: another platform has others."""
    global _known, _broken
    _known, _broken = {}, False


def _is_plain(value: str) -> bool:
    if len(value) < _SHORTEST or value.startswith("${"):
        return True
    word = (value[1:].islower() and value.isalpha()) or (value.isupper() and value.isalpha())
    return len(value) < _PLAIN and (word or value.isdigit())


def _forms(secret: str) -> Iterator[str]:
    """A secret as it may be written elsewhere: in an address, in JSON, in Python, line by line."""
    secret = secret.strip()
    yield from (secret, quote(secret, safe=""), quote_plus(secret))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield repr(secret)[1:-1]
    if "\n" in secret:
        lines = {line.strip() for line in secret.splitlines()}
        yield from (x for x in lines if len(x) > _PLAIN or not (_is_plain(x) or " " in x))


def basic(user: str, password: str) -> str:
    """How HTTP and Docker send a login."""
    return b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode()


def _masked(text: str, *, by_line: bool = False) -> str:
    # The first, for the others may mask a part of one. Together, for one may begin in another.
    text = _without(sorted(_known_in(text)), text, by_line=by_line)
    if "@" in text:
        text = _USERINFO.sub(_without_password, text)
        text = _NO_SCHEME.sub(_without_scheme, text)
        text = _TOKEN.sub(_without_token, text)
    if "=" in text:
        text = _QUERY.sub(rf"\1{MASK}", text)
    text = _SQL.sub(rf"\1'{MASK}'", text)
    text = _HEADER.sub(rf"\1\2{MASK}", text)
    if _KEY.search(text) or any(key in text.lower() for key in _ONLY_QUOTED):
        text = "".join(_under_keys(text))
    return text


def _known_in(text: str) -> Iterator[tuple[int, int]]:
    """Where the text has a secret that is known by its form or its value."""
    yield from (found.span() for found in _FORMS.finditer(text))
    for secret in _known:
        at = text.find(secret)
        while at >= 0:
            yield at, at + len(secret)
            at = text.find(secret, at + len(secret))


def _without(spans: list[tuple[int, int]], text: str, *, by_line: bool) -> str:
    """The text with these spans masked, which may overlap; `by_line`: with as many lines as before."""
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        if start >= done:
            pieces += text[done:start], MASK
        if end > done:
            pieces += ["\n", MASK] * (by_line and text.count("\n", max(start, done), end))
            done = end
    return "".join((*pieces, text[done:]))


def _without_password(address: re.Match[str]) -> str:
    # Found by hand, for a pattern would look back from each @.
    password, at, place = address["rest"].rpartition("@")
    if password in ("", "x-oauth-basic") and address["scheme"].lower().endswith(
        ("http://", "https://")
    ):
        return address[0]  # the user is the token
    return f"{address['scheme']}{address['user']}:{MASK}{at}{place}" if at else address[0]


def _without_scheme(word: re.Match[str]) -> str:
    """`user:…@host/database` masked; `image:tag@sha256:…` and `alias:package@1.2` are left."""
    before, slash, path = word[2].partition("/")
    password, _, host = before.rpartition("@")
    if (
        not password
        or password[0] == "@"
        or not (slash or ":" in host)
        or not _HOST.fullmatch(host)
    ):
        return word[0]
    return f"{word[1]}{MASK}@{host}{slash}{path}"


def _without_token(address: re.Match[str]) -> str:
    """What stands for a user at a web server is a token, unless it is a plain word (`git@`)."""
    return address[0] if _is_plain(address[2]) else f"{address[1]}{MASK}"


def _under_keys(text: str) -> Iterator[str]:
    """The text in pieces, the values of secrets' keys masked."""
    done = 0
    for found in _NAMED.finditer(text):
        if found.start() < done or not (span := _value_of(found, text)):
            continue
        yield text[done : span[0]] + MASK
        done = span[1]
    yield text[done:]


def _value_of(found: re.Match[str], text: str) -> tuple[int, int] | None:
    """Where the secret stands that a key names; None for what names none."""
    key, start = found["key"], found.end()
    if found["gap"]:
        value = _VALUE.match(text, start) if _OPTION.fullmatch(key) else None
        # Among words in quotes, as a list has them, a word without any is prose.
        if not value or ("," in found["gap"] and value[0][0] not in "\"'"):
            return None
        return None if value[0].lstrip("\"'").startswith("-") else _inside(value)
    if not looks_secret(key) and not (found["quote"] and key.lower() in _ONLY_QUOTED):
        return None
    if found["sign"] == ":" and not found["quote"]:
        # Prose has colons too: only as a line of its own.
        before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
        if before.strip(" \t+-{") or text[start - 1] == ":":
            return None
        if kind := _TYPE.match(text, start):
            start = kind.end()
            value = _VALUE.match(text, start)
        else:
            value = (
                _VALUE.match(text, start)
                if text[start : start + 1] in "\"'"
                else _REST.match(text, start)
            )
    else:
        value = _VALUE.match(text, start)
        if value and found[0] == f"{key}=" and key[0] != "-":
            return _inside(value)[0], _end_of_setting(value, text)
    return _inside(value) if value else None


def _end_of_setting(value: re.Match[str], text: str) -> int:
    """Where the value ends behind a `=` that no blanks are about: a line of settings, maybe a bad one."""
    quoted = value[0][0] in "\"'"
    more = (_GLUED if quoted else _NO_WORD).match(text, value.end())
    return more.end() if more else _inside(value)[1]


def _inside(value: re.Match[str]) -> tuple[int, int]:
    """The span of a value less its quotes."""
    start, end = value.span()
    if value[0][0] in "\"'":
        start += 1
        end -= value[0][-1] == value[0][0] and end > start
    return start, end


def redact_tree(value: Any, key: str = "") -> Any:
    """Plain values with every text masked, and whole what stands under a secret's key or option."""
    if isinstance(value, dict):
        return {name: redact_tree(inner, name) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        after = ("", *value)
        return [
            MASK if is_option(before) and isinstance(inner, str) else redact_tree(inner, key)
            for before, inner in zip(after, value, strict=False)
        ]
    if isinstance(value, str):
        return MASK if value and holds_secret(key) else redact(value)
    return value


def redact_finding(finding: Finding) -> Finding:
    """The finding with every text that is shown masked; `data`, which the fix needs, is kept."""
    return replace(
        finding,
        message=redact(finding.message),
        looked_at=redact(finding.looked_at),
        found=redact(finding.found),
        wanted=redact(finding.wanted),
        next_step=redact(finding.next_step),
        place=finding.place and _redacted(finding.place),
        also=tuple(map(_redacted, finding.also)),
        more={key: redact(value) for key, value in finding.more.items()},
    )


def _redacted(place: Place) -> Place:
    return Place(redact(place.path), place.line, place.column)
