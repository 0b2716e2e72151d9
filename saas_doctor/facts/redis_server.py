"""What a Redis server answers: whether it takes calls, and would take a write. Nothing is written."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from saas_doctor.model import Unreadable

if TYPE_CHECKING:
    import redis

LIMIT = 1.0
"""Seconds for the connection and for each answer."""
_PROBE = "saas-doctor:a-key-that-is-not-there"


def examine(url: str) -> tuple[str, str]:
    """The problem of the server at an address (`""`: none), and what it said."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=LIMIT,
            socket_connect_timeout=LIMIT,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
    except ValueError as error:
        raise Unreadable(str(error)) from None
    try:
        return _asked(client)
    except TypeError as error:  # an option in the address that the connection does not take
        raise Unreadable(
            f"the address has an option that Redis' client refuses ({error})"
        ) from None
    except redis.exceptions.RedisError as error:
        problem, detail = classify(type(error).__name__, str(error))
        if problem in ("not Redis", "unreachable"):
            # By silence or by hanging up: neither side says so when the other one speaks plainly.
            if _wants_tls(url):
                return "wants TLS", detail
            if url.startswith("rediss:") and examine(plain(url))[0] not in (
                "not Redis",
                "unreachable",
            ):
                return "no TLS", detail
        return problem, detail
    except (OSError, UnicodeDecodeError, ValueError) as error:
        return ("unreachable" if isinstance(error, OSError) else "not Redis"), str(error)
    finally:
        with suppress(redis.exceptions.RedisError, OSError):
            client.close()


def _asked(client: redis.Redis) -> tuple[str, str]:
    import redis

    with suppress(redis.exceptions.NoPermissionError):  # who may not ping may do other things
        client.ping()
    info = _told(lambda: client.info(), {})
    if info.get("redis_mode") == "sentinel":
        return "sentinel", "redis_mode sentinel"
    problem, detail = refuses_writes(info)
    if not problem:
        settings = _told(lambda: client.config_get("*"), {})
        problem, detail = refuses_by_settings(info, settings)
    if problem:
        return problem, detail
    if info.get("redis_mode") == "cluster":
        state: Mapping[str, Any] = _told(lambda: client.execute_command("CLUSTER INFO"), {})  # type: ignore[no-untyped-call]
        if "cluster_state:fail" in str(state) or _state(state) == "fail":
            return "cluster", "cluster_state fail: it has no server for every slot"
    try:
        client.get(_PROBE)
    except redis.exceptions.NoPermissionError as error:
        # A right for some keys only is enough; without one for any command, nothing is.
        if "to run the" in str(error):
            return "rights", str(error)
    except redis.exceptions.ResponseError as error:
        if str(error).startswith("MOVED"):
            return "", ""  # one of a cluster, which its own client follows
        raise
    return _refused_write(client)


def _refused_write(client: redis.Redis) -> tuple[str, str]:
    """Why a write is refused. What is sent is none: the server looks at rights and room before that."""
    import redis

    try:
        client.execute_command("SET", _PROBE, "", "NX", "XX")  # type: ignore[no-untyped-call]
    except redis.exceptions.NoPermissionError as error:
        return ("write rights", str(error)) if "to run the" in str(error) else ("", "")
    except redis.exceptions.TimeoutError:
        return "paused", f"no answer to a write within {LIMIT:g} s, and one to a read"
    except redis.exceptions.ResponseError as error:
        if not re.search(r"syntax|^MOVED", str(error), re.I):
            raise
    return "", ""


def _state(found: object) -> str:
    return str(found.get("cluster_state", "")) if isinstance(found, dict) else ""


def _told(ask: Callable[[], Any], otherwise: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer to a question that not every user may ask, which is no fault."""
    import redis

    try:
        answer: Mapping[str, Any] = ask()
    except redis.exceptions.ResponseError:
        return otherwise
    return answer


def refuses_writes(info: Mapping[str, Any]) -> tuple[str, str]:
    """Whether a server that says this of itself refuses every write."""
    if info.get("loading") in (1, "1"):
        return "loading", f"loading, {info.get('loading_loaded_perc', '?')} % of it done"
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    policy = str(info.get("maxmemory_policy", ""))
    if limit and used >= limit and policy == "noeviction":
        return "full", f"used_memory {used} of maxmemory {limit}, and maxmemory_policy {policy}"
    if info.get("role") == "slave" and str(info.get("slave_read_only", 1)) == "1":
        return "read-only", f"role slave of {info.get('master_host')}:{info.get('master_port')}"
    return "", ""


def refuses_by_settings(info: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[str, str]:
    """Whether it refuses writes since it could not save, or has too few replicas.

    Where the settings may not be asked for, they are as Redis comes.
    """
    stops = settings.get("stop-writes-on-bgsave-error", "yes") == "yes"
    saves = bool(settings.get("save", "3600 1"))
    if stops and saves and info.get("rdb_last_bgsave_status") == "err":
        return "can't save", "rdb_last_bgsave_status err, and stop-writes-on-bgsave-error yes"
    if str(info.get("aof_enabled")) == "1" and info.get("aof_last_write_status") == "err":
        return "can't save", "aof_last_write_status err"
    wanted = str(settings.get("min-replicas-to-write", "0"))
    good = info.get("min_slaves_good_slaves")
    if good is not None and wanted.isdigit() and int(good) < int(wanted):
        return "replicas", f"{good} good replicas of {wanted} (min-replicas-to-write)"
    return "", ""


_CLASSES = (
    ("login", r"NOAUTH|WRONGPASS|HELLO must be called|Authentication required|invalid username"),
    ("no password", r"without any password configured"),
    ("login", r"invalid password"),
    ("rights", r"NOPERM|no permissions"),
    ("database", r"DB index is out of range|SELECT is not allowed in cluster mode"),
    ("loading", r"LOADING|loading the dataset"),
    ("full", r"command not allowed when used memory"),
    ("no master", r"MASTERDOWN|Link with MASTER is down"),
    ("read-only", r"READONLY|read only replica"),
    ("can't save", r"MISCONF"),
    ("replicas", r"NOREPLICAS"),
    ("busy", r"^BUSY|Redis is busy running a script"),
    ("cluster", r"CLUSTERDOWN"),
    ("clients", r"max number of clients"),
    ("protected", r"DENIED|protected mode"),
    ("client certificate", r"alert (?:certificate required|bad certificate)"),
    ("no TLS", r"WRONG_VERSION_NUMBER|record layer failure|EOF occurred in violation|\[SSL"),
    ("certificate", r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"),
    ("not Redis", r"Protocol Error|Connection closed by server|Invalid response|unknown command"),
)


def classify(kind: str, text: str) -> tuple[str, str]:
    """The problem that redis-py's exception of this kind and text stands for."""
    if re.search(r"certificate verify failed|CERTIFICATE_VERIFY_FAILED", text):
        return "certificate", text
    for problem, pattern in _CLASSES:
        if re.search(pattern, text, re.I):
            return problem, text
    if kind.startswith("Authentication"):
        return "login", text
    return ("not Redis" if kind == "InvalidResponse" else "unreachable"), text or kind


def plain(url: str) -> str:
    """The address without TLS, and without what is said of its certificates."""
    parts = urlsplit(url)
    kept = [word for word in parts.query.split("&") if not word.startswith("ssl_")]
    return urlunsplit(parts._replace(scheme="redis", query="&".join(kept)))


def _wants_tls(url: str) -> bool:
    """Whether what says nothing in plain text there takes a TLS connection."""
    import ssl

    parts = urlsplit(url)
    if parts.scheme != "redis" or not parts.hostname:
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    place = (parts.hostname, parts.port or 6379)
    try:
        with (
            socket.create_connection(place, LIMIT) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except OSError:  # ssl's own errors among them
        return False
