"""What this user can listen on: the lowest port, the machine's addresses, and ports that are free."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

from saas_doctor.facts import Fact
from saas_doctor.facts.named_ports import NamedPorts
from saas_doctor.model import Absent, Unreadable

_BIND = 1 << 10
"""The bit of CAP_NET_BIND_SERVICE."""
_NUMBERS = Path("/proc/sys/net/ipv4")


class Bindable(Fact, frozen=True):
    """The lowest port that this user may open, and where the ports begin that the system hands out."""

    lowest: int = 1
    handed_out: int = 32768

    live = True

    @classmethod
    def read(cls) -> Bindable:
        first = _number("ip_local_port_range", 32768 if sys.platform == "linux" else 49152)
        return cls(lowest_port(), first)

    def has(self, host: str) -> bool:
        """Whether the machine has the address; a name counts as one that it has."""
        return _has(host)


def lowest_port() -> int:
    """On Linux, for a user without the right: 1024, or what the administrator has set."""
    if sys.platform != "linux":
        return 1
    lowest = _number("ip_unprivileged_port_start", 1024)
    try:
        status = Path("/proc/self/status").read_text()
        rights = int(status.partition("CapEff:")[2].split()[0], 16)
    except (OSError, ValueError, IndexError):
        rights = _BIND  # nothing is said where it can't be told
    return 1 if rights & _BIND or os.geteuid() == 0 else lowest


def _number(name: str, otherwise: int) -> int:
    try:
        return int((_NUMBERS / name).read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return otherwise


def _has(host: str) -> bool:
    try:
        first, *_ = socket.getaddrinfo(host, 0, flags=socket.AI_NUMERICHOST)
    except OSError:
        return True
    try:
        with socket.socket(first[0], socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))  # a port that the system chooses, given back at once
    except OSError:
        return False
    return True


class FreePorts(Fact, frozen=True):
    """The ports of this machine that nothing uses and no file of the platform names."""

    used: frozenset[int]
    named: NamedPorts
    bindable: Bindable

    live = True

    @classmethod
    def read(cls, named: NamedPorts, bindable: Bindable) -> FreePorts:
        import psutil

        try:
            rows = psutil.net_connections(kind="inet")
        except psutil.AccessDenied:
            rows = []  # macOS; each port is tried before it is taken
        except (psutil.Error, OSError) as error:
            raise Unreadable(f"the sockets can't be listed ({error})") from None
        return cls(frozenset(r.laddr.port for r in rows if r.laddr), named, bindable)

    def like(self, port: int) -> int:
        """A free port that reminds of this one: 18002 for 8002; raises Absent where there is none."""
        last = port % 10000
        near = [last + 10000 * n for n in (1, 2, 0)] + [port + 100 * n for n in range(1, 200)]
        for one in near:
            outside = one <= max(1023, self.bindable.lowest) or one >= self.bindable.handed_out
            if one == port or outside or one in self.used or self.named.has(one):
                continue
            if all(_free(*place, one) for place in _EVERYWHERE):
                return one
        raise Absent("no free port was found")


_EVERYWHERE = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))


def _free(family: socket.AddressFamily, host: str, port: int) -> bool:
    """Whether the port can be opened; where there is no such IP version, nothing is in the way."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name != "nt":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.errno not in _TAKEN
    return True


_TAKEN = {*(getattr(errno, n) for n in ("EADDRINUSE", "EACCES")), 10013, 10048}
