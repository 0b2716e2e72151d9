"""Redis: what a server's words mean, and whether the platform's code can do without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from saas_doctor import platform as platforms
from saas_doctor import runner
from saas_doctor.facts.redis_server import classify, plain, refuses_by_settings, refuses_writes
from saas_doctor.model import Severity
from saas_doctor.runner import Selection
from tests.testbed.ports import free_port
from tests.trees import MakeTree, findings

BARE = "import redis\n\nclient = redis.from_url('x')\nclient.get('a')\n"


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        ("ConnectionError", "Error 111 connecting to 127.0.0.1:6379. Connection refused.", "unreachable"),
        ("ConnectionError", "Error -2 connecting to redis:6379. Name or service not known.", "unreachable"),
        ("TimeoutError", "Timeout connecting to server", "unreachable"),
        ("AuthenticationError", "HELLO must be called with the client already authenticated", "login"),
        ("AuthenticationError", "Authentication required.", "login"),
        ("AuthenticationError", "a new text", "login"),
        ("ResponseError", "WRONGPASS invalid username-password pair", "login"),
        ("AuthenticationError", "AUTH <password> called without any password configured for the default user", "no password"),
        ("NoPermissionError", "NOPERM User x has no permissions to run the 'get' command", "rights"),
        ("ResponseError", "DB index is out of range", "database"),
        ("BusyLoadingError", "Redis is loading the dataset in memory", "loading"),
        ("ResponseError", "MISCONF Redis is configured to save RDB snapshots", "can't save"),
        ("OutOfMemoryError", "OOM command not allowed when used memory > 'maxmemory'.", "full"),
        ("ReadOnlyError", "READONLY You can't write against a read only replica.", "read-only"),
        ("ResponseError", "NOREPLICAS Not enough good replicas to write.", "replicas"),
        ("OutOfMemoryError", "command not allowed when used memory > 'maxmemory'.", "full"),
        ("ReadOnlyError", "You can't write against a read only replica.", "read-only"),
        ("MasterDownError", "Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "no master"),
        ("ResponseError", "SELECT is not allowed in cluster mode", "database"),
        ("ConnectionError", "(1, '[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2580)')", "client certificate"),
        ("ResponseError", "BUSY Redis is busy running a script.", "busy"),
        ("ClusterDownError", "CLUSTERDOWN Hash slot not served", "cluster"),
        ("MaxConnectionsError", "max number of clients reached", "clients"),
        ("ConnectionError", "DENIED Redis is running in protected mode", "protected"),
        ("ConnectionError", "Error 1 connecting to x. [SSL: WRONG_VERSION_NUMBER] wrong", "no TLS"),
        ("ConnectionError", "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "certificate"),
        ("InvalidResponse", "Protocol Error: b'HTTP/1.0 400 Bad Request'", "not Redis"),
        ("ConnectionError", "Connection closed by server.", "not Redis"),
    ],
)  # fmt: skip
def test_what_redis_says_is_told_apart(kind: str, text: str, problem: str) -> None:
    assert classify(kind, text)[0] == problem


def test_a_server_that_makes_room_or_is_a_writable_replica_takes_writes() -> None:
    full = {"maxmemory": 10, "used_memory": 12, "maxmemory_policy": "noeviction"}
    assert refuses_writes(full)[0] == "full"
    assert refuses_writes(full | {"maxmemory_policy": "allkeys-lru"}) == ("", "")
    assert refuses_writes({"role": "slave", "slave_read_only": 1})[0] == "read-only"
    assert refuses_writes({"role": "slave", "slave_read_only": 0}) == ("", "")
    assert refuses_writes({"loading": 1})[0] == "loading"
    assert refuses_writes({}) == ("", "")


def test_a_server_that_could_not_save_refuses_writes_where_its_settings_say_so() -> None:
    failed = {"rdb_last_bgsave_status": "err"}
    assert refuses_by_settings(failed, {})[0] == "can't save"
    assert refuses_by_settings(failed, {"stop-writes-on-bgsave-error": "no"}) == ("", "")
    assert refuses_by_settings(failed, {"save": ""}) == ("", "")
    appended = {"aof_enabled": 1, "aof_last_write_status": "err"}
    assert refuses_by_settings(appended, {"save": ""})[0] == "can't save"
    assert refuses_by_settings(appended | {"aof_enabled": 0}, {}) == ("", "")
    few = {"min_slaves_good_slaves": 1}
    assert refuses_by_settings(few, {"min-replicas-to-write": "2"})[0] == "replicas"
    assert refuses_by_settings(few, {"min-replicas-to-write": "1"}) == ("", "")


def test_the_plain_address_keeps_all_but_what_is_of_tls() -> None:
    address = "rediss://:p@h:1/2?ssl_cert_reqs=none&protocol=3"
    assert plain(address) == "redis://:p@h:1/2?protocol=3"


def severity(tree: MakeTree, text: str, **more: str) -> Severity | None:
    files: dict[str, str | bytes] = {
        ".env": "REDIS_URL=redis://127.0.0.1:9/0\n",
        ".env.example": "REDIS_URL=redis://127.0.0.1:9/0\n",
        "core/main.py": text,
        **more,
    }
    (finding,) = findings(tree(files), "RED501")
    return finding.severity


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        "from redis.asyncio import from_url\nclient = from_url('x')\n",
        "from redis import Redis\nclient = Redis()\n",
        "import redis.asyncio as r\nclient = r.Redis.from_url('x')\n",
        BARE + "try:\n    pass\nexcept ValueError:\n    pass\n",
    ],
)
def test_code_that_catches_nothing_of_redis_needs_it(tree: MakeTree, text: str) -> None:
    assert severity(tree, text) is Severity.ERROR


@pytest.mark.parametrize(
    "text",
    [
        BARE + "try:\n    pass\nexcept redis.RedisError:\n    pass\n",
        BARE + "try:\n    pass\nexcept (ValueError, redis.exceptions.ConnectionError):\n    pass\n",
        BARE + "try:\n    pass\nexcept Exception:\n    pass\n",
        BARE + "try:\n    pass\nexcept:\n    pass\n",
        BARE + "from contextlib import suppress\nwith suppress(redis.RedisError):\n    pass\n",
        "from redis.exceptions import ResponseError as Odd\n" + BARE + "try:\n    pass\nexcept Odd:\n    pass\n",
        "import fastapi\n",
        "redis = 'a word'\n",
        "import redis\n",
    ],
)  # fmt: skip
def test_code_that_catches_its_errors_or_makes_no_client_can_do_without(
    tree: MakeTree, text: str
) -> None:
    assert severity(tree, text) is Severity.WARNING


def test_a_setting_that_may_be_none_says_that_the_platform_can_do_without(tree: MakeTree) -> None:
    settings = (
        "from pydantic_settings import BaseSettings\n\n\n"
        "class Settings(BaseSettings):\n    REDIS_URL: str{} = 'redis://localhost'\n"
    )
    optional = {"shared/config.py": settings.format(" | None")}
    assert severity(tree, BARE, **optional) is Severity.WARNING
    assert severity(tree, BARE, **{"shared/config.py": settings.format("")}) is Severity.ERROR


@pytest.mark.parametrize(("optional", "wanted"), [("true", "warning"), ("false", "error")])
def test_the_configuration_outranks_the_code(tree: MakeTree, optional: str, wanted: str) -> None:
    for text in (BARE, "import fastapi\n"):
        more = {"/saas-doctor.toml": f"[redis]\noptional = {optional}\n"}
        assert severity(tree, text, **more) == wanted


def test_where_redis_is_needed_is_shown(tree: MakeTree) -> None:
    files: dict[str, str | bytes] = {
        ".env": "REDIS_URL=redis://:topsecret@127.0.0.1:9/0\n",
        "core/main.py": BARE,
    }
    (finding,) = findings(tree(files), "RED501")
    assert finding.evidence["needed_by"].startswith("backend/core/main.py:3")


def test_the_platforms_own_redis_is_started_by_up_also_without_docker(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend/.env").write_text(f"REDIS_URL=redis://localhost:{port}/0\n")
    (tmp_path / "saas-doctor.toml").write_text("[redis]\n")
    (tmp_path / "compose.yaml").write_text(
        f"services:\n  redis:\n    image: redis:7\n    ports: ['{port}:6379']\n"
    )
    platform = platforms.load(tmp_path, exact=True, environ={})
    (finding,) = runner.run(platform, Selection(("RED501",)), timeout=20).findings
    by_hand = "docker compose -f compose.yaml up -d redis"
    assert finding.next_step.startswith(f"saas-doctor up (by hand: {by_hand}), or correct")
