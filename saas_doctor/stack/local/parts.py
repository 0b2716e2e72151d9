"""The parts of the local stack: a service, the database, the cache; what each is and how it is well."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

from saas_doctor.facts import Facts
from saas_doctor.facts.holders import stack_of
from saas_doctor.facts.listeners import listening
from saas_doctor.facts.logs import log_name
from saas_doctor.model import Unreadable
from saas_doctor.platform import Platform
from saas_doctor.stack import Change, Failure
from saas_doctor.stack.local.accounts import Account, account_of
from saas_doctor.stack.local.jobs import Job


class Home:
    """The platform that a stack is brought up for, with its folder for state and who its owner is."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.facts = Facts(platform)

    @property
    def folder(self) -> Path:
        return self.platform.state / "local"

    @cached_property
    def account(self) -> Account | None:
        return account_of(self.platform)

    def log(self, name: str) -> str:
        """Where the output of a server goes."""
        return str(self.platform.path(log_name(self.platform, name)))

    @property
    def environ(self) -> dict[str, str]:
        """The caller's environment, as whose the processes are to be."""
        return {**self.platform.environ, **(self.account.environ if self.account else {})}


class Part(ABC):
    """One part; `needs` are those that have to be well before it is started."""

    kind: str
    needs: tuple[str, ...] = ()

    def __init__(self, home: Home, name: str) -> None:
        self.home, self.name = home, name

    @property
    @abstractmethod
    def place(self) -> str:
        """Its address."""

    @abstractmethod
    def job(self) -> Job:
        """How it is started; raises Refused where it can't be on this machine."""

    @abstractmethod
    def answer(self) -> str:
        """What is wrong with it at its address now; nothing where it is well."""

    def accepts(self) -> str:
        """The same of one that we have started, and that need not be completed yet."""
        return self.answer()

    @abstractmethod
    def found(self) -> str:
        """What is at its address that we have not started, and can be used; or nothing.

        Raises Refused where something is in the way.
        """

    def before(self) -> list[Change]:
        """What has to be made before it can be started for the first time."""
        return []

    def prepare(self) -> None:  # noqa: B027 - for most there is nothing to make
        """Make that, and what a start needs."""

    def complete(self) -> None:  # noqa: B027
        """What is to be done each time as soon as it answers."""

    @property
    def keeps(self) -> tuple[Path, ...]:
        """The folders and files of what it keeps."""
        return ()

    @property
    def optional(self) -> bool:
        """Whether the platform does without it."""
        return False


def running_already(place: str, port: int) -> str:
    """What is told of a server that is used as it was found; whose it is, where that is a stack's."""
    try:
        processes = [one.process for one in listening({port})[0] if one.process]
    except Unreadable:
        processes = []
    stack = next((found for process in processes if (found := stack_of(process)[0])), None)
    by = f"started by the local stack of {stack}, whose data it holds" if stack else ""
    return f"it runs already at {place}, and was {by or 'not started by this'}"


class Refused(Exception):
    """A part that can't be started, or something in its way."""

    def __init__(
        self, what: str, next_step: str, evidence: tuple[str, ...] = (), code: str = ""
    ) -> None:
        super().__init__(what)
        self.what, self.next_step, self.evidence, self.code = what, next_step, evidence, code

    def failure(self, part: str) -> Failure:
        return Failure(part, self.what, self.next_step, self.evidence, self.code)
