"""A command written as one text, as the words that Compose makes of it."""

from __future__ import annotations

_SPACES = " \t\r\n"
_ENDS = ";&|<>"
_ESCAPED = {"t": "\t", "n": "\n"}


class NoCommand(Exception):
    """A text that is no command."""


def split(text: str) -> tuple[tuple[str, ...], int | None]:
    """The words, and where the text that Compose drops begins; raises NoCommand.

    There is no shell: an unquoted `&&`, `|`, `;`, `<` or `>` ends the command, and nothing says so.
    """
    reader = _Reader()
    for index, sign in enumerate(text):
        if sign in _ENDS and not reader.quote and not reader.escaped:
            if sign == ">" and (reader.word or "")[:1].isdigit():
                reader.word = None  # the number of a stream
            reader.end_word()
            return tuple(reader.words), index
        reader.take(sign)
    if reader.quote or reader.escaped:
        raise NoCommand("a quote is not closed" if reader.quote else "it ends with a backslash")
    reader.end_word()
    return tuple(reader.words), None


class _Reader:
    def __init__(self) -> None:
        self.words: list[str] = []
        self.word: str | None = None
        self.quote = ""
        """The sign that closes the part in which the next one stands."""
        self.escaped = False

    def take(self, sign: str) -> None:
        if self.escaped:
            self._add(_ESCAPED.get(sign, sign))
            self.escaped = False
        elif sign == "\\" and self.quote != "'":
            self.escaped = True
        elif self.quote:
            self._quoted(sign)
        elif sign in _SPACES:
            self.end_word()
        elif sign in "'\"":
            self.quote = sign
        elif sign == "`":
            self.quote = sign
            self._add(sign)
        elif sign == "(" and (self.word or "").endswith("$"):
            self.quote = ")"
            self._add(sign)
        elif sign in "()":
            raise NoCommand(f"there is no shell that would know what {sign} is")
        else:
            self._add(sign)

    def end_word(self) -> None:
        if self.word is not None:
            self.words.append(self.word)
        self.word = None

    def _quoted(self, sign: str) -> None:
        if sign == self.quote:
            self.quote = ""
            self._add(sign if sign in "`)" else "")
        elif sign == "(" and self.quote == ")":
            raise NoCommand("its brackets can't be told apart")
        else:
            self._add(sign)

    def _add(self, text: str) -> None:
        self.word = (self.word or "") + text
