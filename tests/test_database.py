"""Postgres: addresses, what a refused login means, the administrative connection, undo."""

from __future__ import annotations

import hashlib
import os
import pwd
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from saas_doctor import platform as platforms
from saas_doctor import repair, runner
from saas_doctor.actions import Bench, NotApplied, Refused
from saas_doctor.actions.database import CreateDatabase
from saas_doctor.actions.database_rights import GrantCreate
from saas_doctor.actions.database_role import CreateRole
from saas_doctor.facts import Facts, database, database_others
from saas_doctor.facts.admin import AdminConnection
from saas_doctor.facts.cache import Cache
from saas_doctor.facts.database import Database
from saas_doctor.facts.database_address import Address, parse_url, with_server, with_tls
from saas_doctor.facts.database_login import Trouble
from saas_doctor.facts.doors import AsUser
from saas_doctor.facts.postgres_protocol import Endpoint, Outcome, ask, endpoints, scram_verifier
from saas_doctor.facts.psql import as_superuser
from saas_doctor.facts.quoting import identifier, literal
from saas_doctor.facts.roles import RoleState
from saas_doctor.facts.strangers import named
from saas_doctor.model import Absent, Report, Severity, Status, Unreadable
from saas_doctor.repair import Outcome as Done
from saas_doctor.runner import Selection
from tests.testbed import bed, require, states
from tests.testbed.cache import RedisServer
from tests.testbed.ports import black_hole, free_port, listener
from tests.testbed.postgres import Cluster, binaries

PASSWORD = "p#w/o:r%d"
DB = Selection(select=("DB",))


# The address.


@pytest.mark.parametrize(
    ("url", "host", "port", "role", "password", "name"),
    [
        ("postgresql://u:p@h:5433/d", "h", 5433, "u", "p", "d"),
        ("postgresql+psycopg2://u:p@h/d", "h", 5432, "u", "p", "d"),
        ("postgres://u@h/d", "h", 5432, "u", None, "d"),
        ("postgresql://u:a%40b%2Fc@h/d", "h", 5432, "u", "a@b/c", "d"),
        ("postgresql://u:a#b/c?@h/d", "h", 5432, "u", "a#b/c?", "d"),
        ("postgresql+asyncpg://u:p@[::1]:6000/d?ssl=require", "::1", 6000, "u", "p", "d"),
        ("postgresql://u:p@/d?host=/tmp&port=6543", "/tmp", 6543, "u", "p", "d"),
        ("postgresql://u:p@h", "h", 5432, "u", "p", "u"),
    ],
)
def test_an_address_is_read_as_sqlalchemy_reads_it(
    url: str, host: str, port: int, role: str, password: str | None, name: str
) -> None:
    found = parse_url(url, "DATABASE_URL")
    assert (found.host, found.port, found.role, found.password, found.database) == (
        host, port, role, password, name,
    )  # fmt: skip


def test_what_libpq_knows_of_a_query_is_kept_and_the_rest_is_not() -> None:
    url = "postgresql://u@h/d?sslmode=require&prepared_statement_cache_size=0&options=-c%20x%3D1"
    assert parse_url(url, "K").options == {"sslmode": "require", "options": "-c x=1"}
    assert parse_url("postgresql+asyncpg://u@h/d?ssl=disable", "K").options == {
        "sslmode": "disable"
    }


@pytest.mark.parametrize("port", ["x", "0", "70000", "54 32"])
def test_an_address_without_a_valid_port_is_unreadable_and_shows_no_secret(port: str) -> None:
    with pytest.raises(Unreadable) as error:
        parse_url(f"postgresql://u:hunter2@h:{port}/d", "DATABASE_URL")
    assert "hunter2" not in str(error.value)


def test_another_kind_of_database_is_nothing_to_look_at() -> None:
    with pytest.raises(Absent, match="its scheme is sqlite"):
        parse_url("sqlite:///x.db", "DATABASE_URL")


def test_the_shells_variables_stand_in_for_what_the_address_leaves_out() -> None:
    environ = {"PGHOST": "h", "PGPORT": "6000", "PGUSER": "u", "PGPASSWORD": "p"}
    found = parse_url("postgresql:///", "K", environ)
    assert (str(found), found.role, found.password, found.database) == ("h:6000", "u", "p", "u")


def test_an_option_is_said_by_the_address_or_else_by_a_variable_of_the_shell() -> None:
    environ = {"PGSSLMODE": "require", "PGOPTIONS": "-c a.b=1", "PGCHANNELBINDING": ""}
    address = parse_url("postgresql://h/d?sslmode=disable", "DATABASE_URL", environ)
    assert address.options == {"sslmode": "disable", "options": "-c a.b=1"}
    assert address.said_at("options") == "PGOPTIONS of this shell"
    assert address.said_at("sslmode") == "DATABASE_URL in backend/.env"


def test_the_password_is_in_no_text_of_an_address() -> None:
    address = parse_url("postgresql://u:hunter2@h/d?sslpassword=hunter2", "K")
    assert "hunter2" not in f"{address} {address!r} {CreateRole.for_login(address)!r}"


# Nothing that lets one in.


def facts_of(root: Path, url: str, toml: str = "[database]\n", compose: str = "") -> Facts:
    (root / "backend").mkdir(exist_ok=True)
    (root / "backend/.env").write_text(f"DATABASE_URL={url}\n")
    (root / "saas-doctor.toml").write_text(toml)
    if compose:
        (root / "docker-compose.yml").write_text(compose)
    return Facts(platforms.load(root, exact=True, environ={}))


def trouble_of(root: Path, url: str) -> Trouble | None:
    return facts_of(root, url).get(Database).trouble


COMPOSE = 'services:\n  db:\n    image: "postgres:16"\n    ports: ["127.0.0.1:%d:5432"]\n'


def test_nothing_on_the_port_is_refused_by_both_families_and_compose_starts_it(
    tmp_path: Path,
) -> None:
    port = free_port()
    url = f"postgresql://u:p@localhost:{port}/d"
    found = facts_of(tmp_path, url, compose=COMPOSE % port).get(Database)
    assert found.trouble is Trouble.REFUSED
    assert f"127.0.0.1:{port}" in found.failed.found
    assert found.start == "docker compose up -d db"


def test_a_compose_file_for_another_port_is_not_what_starts_the_server(tmp_path: Path) -> None:
    url = f"postgresql://u:p@127.0.0.1:{free_port()}/d"
    found = facts_of(tmp_path, url, compose=COMPOSE % 5432).get(Database)
    assert found.start.endswith("correct the port in backend/.env:1: compose has db on 5432")


def test_the_name_of_a_compose_service_is_no_host_on_this_machine(tmp_path: Path) -> None:
    compose = COMPOSE.replace("db:", "no-such-host:") % 5433
    found = facts_of(tmp_path, "postgresql://u:p@no-such-host/d", compose=compose).get(Database)
    assert found.trouble is Trouble.UNKNOWN_HOST
    assert found.start.startswith("no-such-host is a name inside compose only")
    assert "localhost:5433" in found.start


def test_a_missing_socket_is_refused(tmp_path: Path) -> None:
    assert trouble_of(tmp_path, f"postgresql://u@/d?host={tmp_path}") is Trouble.REFUSED


def test_who_accepts_and_is_silent_is_told_within_the_bound(tmp_path: Path) -> None:
    port = free_port()
    with black_hole(port):
        found = facts_of(tmp_path, f"postgresql://u:p@127.0.0.1:{port}/d").get(Database)
    assert found.trouble is Trouble.SILENT


def test_a_web_server_on_the_port_is_named(tmp_path: Path) -> None:
    port = free_port()
    with listener(port):
        found = facts_of(tmp_path, f"postgresql://u:p@127.0.0.1:{port}/d").get(Database)
    assert found.trouble is Trouble.FOREIGN
    assert "a web server (SimpleHTTP/" in found.failed.found


def error(**fields: str) -> bytes:
    body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!i", len(body) + 4) + body


AUTHENTICATED = b"R" + struct.pack("!ii", 8, 0)


@contextmanager
def fake(answer: Callable[[int], bytes], port: int, host: str = "127.0.0.1") -> Iterator[None]:
    """A server without TLS that answers every login with these bytes (by the login's number)."""
    server = socket.create_server((host, port))
    over = threading.Event()
    server.settimeout(0.1)

    def serve() -> None:
        number = 0
        while not over.is_set():
            try:
                connection = server.accept()[0]
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(2)
                data = connection.recv(1000)
                while data[4:6] == b"\x04\xd2":  # asks for TLS or Kerberos
                    connection.sendall(b"N")
                    data = connection.recv(1000)
                if data:
                    connection.sendall(answer(number))
                    number += 1

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        server.close()


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (error(S="F", C="57P03", M="启动中"), Trouble.STARTING),
        (error(S="F", C="53300", M="已有太多的客户端"), Trouble.FULL),
        (error(S="F", C="28000", M="没有条目", R="ClientAuthentication"), Trouble.RULES),
        (
            AUTHENTICATED + error(S="F", C="42501", M="权限不够", R="CheckMyDatabase"),
            Trouble.NO_CONNECT,
        ),
        (AUTHENTICATED + error(S="F", C="55000", M="-", R="CheckMyDatabase"), Trouble.CLOSED),
        (error(S="F", C="53300", M="-", R="InitializeSessionUserId"), Trouble.ROLE_FULL),
        (error(S="F", C="53300", M="-", R="CheckMyDatabase"), Trouble.DATABASE_FULL),
        (error(S="F", C="53300", M="-", R="InitPostgres"), Trouble.FULL),
        (error(S="F", C="08P01", M="no such database: d"), Trouble.POOLER),
        (b"R" + struct.pack("!ii", 8, 7), Trouble.METHOD),
        (AUTHENTICATED + error(S="F", C="3D000", M="不存在", R="InitPostgres"), Trouble.DATABASE),
        (error(S="F", C="28P01", M="认证失败", R="auth_failed"), Trouble.PASSWORD),
        (b"R" + struct.pack("!ii", 8, 3), Trouble.NO_PASSWORD),
        (b"-ERR unknown command\r\n", Trouble.FOREIGN),
    ],
)
def test_the_code_tells_the_trouble_in_any_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, trouble: Trouble
) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.0)
    port = free_port()
    with fake(lambda _: answer, port):
        assert trouble_of(tmp_path, f"postgresql://u@127.0.0.1:{port}/d") is trouble


def test_a_server_that_is_starting_up_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    starting, refused = error(C="57P03", M="starting"), error(C="3D000", M="no such database")
    with fake(lambda number: starting if number < 4 else refused, port):
        assert trouble_of(tmp_path, f"postgresql://u@127.0.0.1:{port}/d") is Trouble.DATABASE


def test_tls_that_the_server_does_not_have_is_told_by_its_own_answer(
    tmp_path: Path, postgres: Cluster
) -> None:
    url = postgres.url("postgres", postgres.password, "postgres") + "?sslmode=require"
    found = facts_of(tmp_path, url).get(Database)
    assert found.trouble is Trouble.TLS_MISSING
    assert "has no TLS" in found.failed.found


# Real servers: one that asks for passwords, one that trusts everybody and speaks Chinese.


@pytest.fixture(scope="module")
def chinese() -> Iterator[Cluster]:
    require(binaries(), "Postgres")
    cluster = Cluster(host_auth="trust", messages="zh_CN.UTF-8")
    require(cluster.translated, "the locale zh_CN.UTF-8")
    yield cluster
    cluster.close()


@pytest.fixture(params=["scram", "chinese trust"])
def server(request: pytest.FixtureRequest) -> Cluster:
    name = "postgres" if request.param == "scram" else "chinese"
    found: Cluster = request.getfixturevalue(name)
    return found


_number = iter(range(1000))


@pytest.fixture
def name(postgres: Cluster, chinese: Cluster) -> Iterator[str]:
    """A name for a role and its database, removed after the test from both servers."""
    made = f"dbt_{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}_{next(_number)}"
    yield made
    for cluster in (postgres, chinese):
        cluster.sql(f'DROP DATABASE IF EXISTS "{made}" WITH (FORCE)')
        cluster.sql(f'DROP ROLE IF EXISTS "{made}"')


def make(cluster: Cluster, name: str, *, role: str = "LOGIN", base: bool = True) -> None:
    cluster.sql(f"CREATE ROLE {name} {role} PASSWORD '{PASSWORD}'")
    if base:
        cluster.sql(f"CREATE DATABASE {name} OWNER {name}")


def url_of(cluster: Cluster, name: str, password: str = PASSWORD) -> str:
    return cluster.url(name, password, name)


def state_of(root: Path, cluster: Cluster, name: str) -> tuple[Trouble | None, RoleState]:
    facts = facts_of(root, url_of(cluster, name))
    return facts.get(Database).trouble, facts.get(RoleState)


def test_a_missing_role_is_told(tmp_path: Path, server: Cluster, name: str) -> None:
    trouble, role = state_of(tmp_path, server, name)
    assert trouble is (Trouble.ROLE if server.host_auth == "trust" else Trouble.PASSWORD)
    assert (role.known, role.role_exists) == (True, False)


def test_a_role_that_may_not_log_in_is_not_taken_for_a_missing_one(
    tmp_path: Path, server: Cluster, name: str
) -> None:
    make(server, name, role="NOLOGIN")
    trouble, role = state_of(tmp_path, server, name)
    assert trouble is Trouble.NO_LOGIN
    assert (role.known, role.role_exists, role.can_login) == (True, True, False)


def test_a_missing_database_is_told_by_its_code(tmp_path: Path, server: Cluster, name: str) -> None:
    make(server, name, base=False)
    assert trouble_of(tmp_path, url_of(server, name)) is Trouble.DATABASE


def test_one_connection_tells_all_of_a_healthy_server(
    tmp_path: Path, server: Cluster, name: str
) -> None:
    make(server, name)
    found = facts_of(tmp_path, url_of(server, name)).get(Database).server
    assert found
    system = server.sql("SELECT system_identifier::text FROM pg_control_system()")
    assert (found.system,) in system
    assert (found.role, found.database, found.owner) == (name, name, name)
    assert (found.schema, found.can_create, found.superuser) == ("public", True, False)


def test_the_probe_by_hand_comes_in_by_every_method(
    postgres: Cluster, chinese: Cluster, name: str
) -> None:
    for cluster in (postgres, chinese):
        make(cluster, name)
        (endpoint,) = endpoints("127.0.0.1", cluster.port)
        assert ask(endpoint, name, PASSWORD, name).outcome is Outcome.READY
    (endpoint,) = endpoints("127.0.0.1", postgres.port)
    assert ask(endpoint, name, "wrong", name).sqlstate == "28P01"
    assert ask(endpoint, name, None, name).outcome is Outcome.PASSWORD_WANTED


def test_the_server_takes_the_verifier_for_the_password_itself(
    postgres: Cluster, name: str
) -> None:
    postgres.sql(f"CREATE ROLE {name} LOGIN PASSWORD {literal(scram_verifier('pä#ss'))}")
    (endpoint,) = endpoints("127.0.0.1", postgres.port)
    assert ask(endpoint, name, "pä#ss", "postgres").outcome is Outcome.READY


def examine(root: Path, url: str, toml: str = "[database]\n") -> Report:
    facts_of(root, url, toml)
    platform = platforms.load(root, exact=True, environ={})
    report = runner.run(platform, DB, timeout=20)
    assert not [r for r in report.results if r.status is Status.CRASHED]
    return report


def statuses(report: Report) -> dict[str, Status]:
    return {r.code: r.status for r in report.results if r.code.startswith("DB")}


def test_a_wrong_password_is_told_from_a_missing_role_by_an_administrator(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    make(postgres, name, role="LOGIN CREATEROLE")
    report = examine(tmp_path, url_of(postgres, name, "hunter2"))
    (finding,) = report.findings
    assert finding.code == "DB503"
    assert finding.message.endswith("is refused: wrong password")
    assert f"-c '\\password {name}'" in finding.next_step
    assert "hunter2" not in str(finding)


def test_a_password_that_is_kept_as_md5_is_not_called_wrong_where_scram_is_asked_for(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    kept = hashlib.md5(f"{PASSWORD}{name}".encode()).hexdigest()
    postgres.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'md5{kept}'")
    postgres.sql(f"CREATE DATABASE {name} OWNER {name}")
    (finding,) = examine(tmp_path, url_of(postgres, name)).findings
    assert finding.message.endswith("is kept as md5, and the server's rules ask for SCRAM")
    assert finding.data["no_fix"] is False


def test_a_way_in_for_the_superuser_names_the_folder_of_the_servers_socket(
    postgres: Cluster,
) -> None:
    address = parse_url(url_of(postgres, "u"), "DATABASE_URL")
    assert f"-h {postgres.socket_dir} -p {postgres.port}" in as_superuser(address)
    elsewhere = parse_url("postgresql://db.test:1/d", "DATABASE_URL")
    assert "-h " not in as_superuser(elsewhere)


def test_without_an_administrator_it_is_said_that_the_server_does_not_tell(
    tmp_path: Path,
) -> None:
    port = free_port()
    with fake(lambda _: error(C="28P01", M="no", R="auth_failed"), port):
        report = examine(tmp_path, f"postgresql://u:p@127.0.0.1:{port}/d")
    (finding,) = report.findings
    assert finding.code == "DB503"
    assert "wrong password or missing role, the server does not tell" in finding.message
    assert "\\password u" in finding.next_step
    assert "CREATE ROLE u LOGIN" in finding.next_step
    assert statuses(report)["DB502"] is Status.SKIPPED


def test_what_comes_after_an_unreachable_server_is_blocked_by_it(tmp_path: Path) -> None:
    found = statuses(examine(tmp_path, f"postgresql://u:p@127.0.0.1:{free_port()}/d"))
    assert found.pop("DB501") is Status.FAILED
    assert set(found.values()) == {Status.BLOCKED}


# Two servers behind one name.


@pytest.fixture
def neighbour(postgres: Cluster) -> Iterator[Cluster]:
    """A second server on the port of the first, at another address of this machine."""
    cluster = Cluster(options={"listen_addresses": "127.0.0.2"}, port=postgres.port)
    yield cluster
    cluster.close()


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` has two addresses, as with IPv6; drivers take the first that answers."""

    def both(host: str, port: int) -> list[Endpoint]:
        hosts = ("127.0.0.1", "127.0.0.2") if host == "localhost" else (host,)
        return [one for each in hosts for one in endpoints(each, port)]

    monkeypatch.setattr(database_others, "endpoints", both)


def by_name(cluster: Cluster, name: str) -> str:
    return url_of(cluster, name).replace("@127.0.0.1:", "@localhost:")


@pytest.mark.usefixtures("two_addresses")
def test_the_server_that_has_the_role_is_named_where_another_one_answers_first(
    tmp_path: Path, postgres: Cluster, neighbour: Cluster, name: str
) -> None:
    make(neighbour, name)
    report = examine(tmp_path, by_name(postgres, name))
    (finding,) = report.findings
    assert finding.code == "DB507"
    assert f"at 127.0.0.1:{postgres.port} refuses the platform" in finding.message
    assert f"127.0.0.2:{postgres.port} (Postgres 15, localhost by" in finding.message
    assert statuses(report)["DB502"] is statuses(report)["DB504"] is Status.BLOCKED
    assert fix(tmp_path) == [Done.VERIFIED]
    assert "@127.0.0.2:" in (tmp_path / "backend/.env").read_text()
    assert undo(tmp_path) == []


@pytest.mark.usefixtures("two_addresses")
def test_two_servers_that_both_let_in_are_a_warning(
    tmp_path: Path, postgres: Cluster, neighbour: Cluster, name: str
) -> None:
    make(neighbour, name)
    make(postgres, name)
    (finding,) = examine(tmp_path, by_name(postgres, name)).findings
    assert (finding.code, finding.severity) == ("DB507", Severity.WARNING)
    assert finding.fix is None


@pytest.mark.usefixtures("two_addresses")
def test_one_server_at_two_addresses_is_one(tmp_path: Path, name: str) -> None:
    cluster = Cluster(options={"listen_addresses": "127.0.0.1,127.0.0.2"})
    try:
        make(cluster, name)
        assert examine(tmp_path, by_name(cluster, name)).findings == []
    finally:
        cluster.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:p@127.0.0.1:1/d"),
        (
            "postgresql+psycopg2://u:a#b@h:5/d?sslmode=require",
            "postgresql+psycopg2://u:a#b@127.0.0.1:1/d?sslmode=require",
        ),
        ("postgresql://u@[::1]:5/d", "postgresql://u@127.0.0.1:1/d"),
        ("postgresql://u@/d?host=h", None),
        ("postgresql://u@h,i/d", None),
    ],
)
def test_another_server_is_written_into_an_address_and_nothing_else(
    old: str, new: str | None
) -> None:
    assert with_server(old, "127.0.0.1", 1) == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:p@h/d?sslmode=prefer"),
        ("postgresql://u:p?@h/d?a=1&sslmode=require", "postgresql://u:p?@h/d?a=1&sslmode=prefer"),
        ("postgresql+asyncpg://u@h/d?ssl=require", "postgresql+asyncpg://u@h/d?ssl=prefer"),
    ],
)
def test_the_way_of_tls_is_written_into_an_address_and_nothing_else(old: str, new: str) -> None:
    assert with_tls(old, "prefer") == new


# The right to create.


def public_is_not_theirs(cluster: Cluster, name: str) -> None:
    make(cluster, name)
    cluster.sql(f"ALTER DATABASE {name} OWNER TO postgres")


def test_no_right_on_public_is_found_and_granted_and_taken_back(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    public_is_not_theirs(postgres, name)
    rights = "SELECT nspacl::text FROM pg_namespace WHERE nspname = 'public'"
    before = postgres.sql(rights, database=name)
    assert [f.target for f in examine(tmp_path, url_of(postgres, name)).findings] == [
        f"{name}.public"
    ]
    assert fix(tmp_path) == [Done.VERIFIED]
    assert f"{name}=UC/" in str(postgres.sql(rights, database=name))
    assert undo(tmp_path) == []
    assert postgres.sql(rights, database=name) == before


def test_a_right_that_was_there_before_is_not_taken_back(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    public_is_not_theirs(postgres, name)
    postgres.sql(f"GRANT USAGE ON SCHEMA public TO {name}", database=name)
    examine(tmp_path, url_of(postgres, name))
    assert fix(tmp_path) == [Done.VERIFIED]
    undo(tmp_path)
    rights = postgres.sql(
        "SELECT nspacl::text FROM pg_namespace WHERE nspname='public'", database=name
    )
    assert f"{name}=U/" in str(rights)


def right_on_public(
    tmp_path: Path, postgres: Cluster, name: str, statements: tuple[str, ...]
) -> Status:
    """What DB505 says without a finding, of a role that has no right on public but these."""
    public_is_not_theirs(postgres, name)
    for statement in statements:
        postgres.sql(statement.format(name=name), database=name)
    report = examine(tmp_path, url_of(postgres, name))
    assert report.findings == []
    (status,) = [r.status for r in report.results if r.code == "DB505"]
    return status


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE SCHEMA {name} AUTHORIZATION {name}",),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC",),
        ("CREATE TABLE alembic_version ()", "GRANT SELECT ON alembic_version TO {name}"),
    ],
)
def test_a_role_that_has_where_to_work_needs_no_right_on_public(
    tmp_path: Path, postgres: Cluster, name: str, statements: tuple[str, ...]
) -> None:
    assert right_on_public(tmp_path, postgres, name, statements) is Status.OK


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE SCHEMA app", "GRANT USAGE, CREATE ON SCHEMA app TO {name}"),
        ("DROP SCHEMA public", "CREATE SCHEMA app AUTHORIZATION {name}"),
        ("CREATE TABLE made_by_migrations ()", "GRANT SELECT ON made_by_migrations TO {name}"),
    ],
)
def test_without_a_known_model_it_is_not_told_whether_another_schema_will_do(
    tmp_path: Path, postgres: Cluster, name: str, statements: tuple[str, ...]
) -> None:
    assert right_on_public(tmp_path, postgres, name, statements) is Status.UNKNOWN


def test_a_dropped_schema_public_is_made_and_dropped_again(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    make(postgres, name)
    postgres.sql("DROP SCHEMA public", database=name)
    (finding,) = examine(tmp_path, url_of(postgres, name)).findings
    assert finding.message == f'database "{name}" has no schema public'
    assert fix(tmp_path) == [Done.VERIFIED]
    assert examine(tmp_path, url_of(postgres, name)).findings == []
    assert undo(tmp_path) == []


# The administrative connection.


def test_an_admin_url_to_another_server_is_not_used(
    tmp_path: Path, postgres: Cluster, chinese: Cluster, name: str
) -> None:
    make(chinese, name, base=False)
    toml = f"[database]\nadmin-url = '{postgres.url('postgres', postgres.password, 'postgres')}'\n"
    found = facts_of(tmp_path, url_of(chinese, name), toml).get(AdminConnection)
    assert found.run("SHOW port") == [[str(chinese.port)]]


def test_an_admin_url_to_the_same_server_comes_first(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    toml = f"[database]\nadmin-url = '{postgres.url('postgres', postgres.password, 'postgres')}'\n"
    found = facts_of(tmp_path, url_of(postgres, name), toml).get(AdminConnection)
    assert str(found.door) == "admin-url of the configuration (role postgres)"
    assert postgres.password not in repr(found)


def test_a_socket_of_the_same_port_is_not_used_when_another_server_holds_the_address(
    tmp_path: Path, postgres: Cluster
) -> None:
    link = Path(f"/tmp/.s.PGSQL.{postgres.port}")
    link.symlink_to(postgres.socket_dir / link.name)
    try:
        with fake(lambda _: error(C="28P01", M="no"), postgres.port, "127.0.0.2"):
            facts = facts_of(tmp_path, f"postgresql://u:p@127.0.0.2:{postgres.port}/d")
            with pytest.raises(Absent, match="leads to another server"):
                facts.get(AdminConnection)
    finally:
        link.unlink()


def test_the_platforms_own_superuser_is_administrator_enough(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    make(postgres, name, role="LOGIN SUPERUSER", base=False)
    found = facts_of(tmp_path, url_of(postgres, name)).get(AdminConnection)
    assert str(found.door).startswith("the platform's own login")


def test_no_administrator_is_absent_with_what_was_tried(tmp_path: Path) -> None:
    port = free_port()
    with fake(lambda _: error(C="28P01", M="no"), port):
        facts = facts_of(tmp_path, f"postgresql://u:p@127.0.0.1:{port}/d")
        with pytest.raises(Absent, match="admin-url under"):
            facts.get(AdminConnection)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become the server's user")
def test_root_comes_in_as_the_servers_own_user_where_the_socket_asks_for_it(
    tmp_path: Path,
) -> None:
    cluster = Cluster()
    try:
        hba = cluster.data / "pg_hba.conf"
        hba.write_text("local all all peer\n" + hba.read_text())
        cluster.sql("SELECT pg_reload_conf()")
        url = cluster.url("dbt_missing", PASSWORD, "it's")
        assert [f.code for f in examine(tmp_path, url).findings] == ["DB502"]
        found = facts_of(tmp_path, url).get(AdminConnection)
        assert isinstance(found.door, AsUser)
        odd = literal("a\\b\n'")
        assert found.run(f"SELECT {odd}, NULL, true") == [["a\\b\n'", "", "t"]]
        assert found.door.command.startswith("sudo -u postgres psql -h ")
        assert fix(tmp_path) == [Done.VERIFIED, Done.VERIFIED]
        assert undo(tmp_path) == []
        assert PASSWORD not in (cluster.folder / "log").read_text()
    finally:
        cluster.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_an_ordinary_user_is_told_whose_process_listens_though_not_which(
    postgres: Cluster,
) -> None:
    nobody = pwd.getpwnam("nobody")
    code = (
        "import os, psutil, psutil._pslinux\n"
        "from saas_doctor.facts import postgres_protocol as p, socket_owners\n"
        f"endpoint = p.endpoints('127.0.0.1', {postgres.port})[0]\n"
        f"os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})\n"
        "print(socket_owners.listeners(endpoint))\n"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    owner = (postgres.socket_dir / f".s.PGSQL.{postgres.port}").stat().st_uid
    assert done.stdout.strip() == f"[(None, {owner})]", done.stderr


# Fix and undo.


def fix(root: Path) -> list[Done]:
    platform = platforms.load(root, exact=True, environ={})
    done = repair.repair(platform, DB, lambda plan: plan, timeout=20)
    journals = list(root.glob(".saas-doctor/runs/*/journal.jsonl"))
    assert not any(PASSWORD in journal.read_text() for journal in journals)
    return [d.outcome for d in done.done]


def undo(root: Path) -> list[str]:
    """What was refused, and why."""
    undone = repair.undo(platforms.load(root, exact=True, environ={}))
    return [reason for _, reason in undone.refused]


def there(cluster: Cluster, name: str) -> tuple[bool, bool]:
    """Whether the role and the database of this name are there."""
    (row,) = cluster.sql(
        f"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}'), "
        f"EXISTS (SELECT FROM pg_database WHERE datname = '{name}')"
    )
    return row[0], row[1]


def test_role_and_database_are_made_one_after_another_and_taken_back(
    tmp_path: Path, server: Cluster, name: str
) -> None:
    examine(tmp_path, url_of(server, name))
    assert fix(tmp_path) == [Done.VERIFIED, Done.VERIFIED]
    assert examine(tmp_path, url_of(server, name)).findings == []
    assert fix(tmp_path) == []
    assert undo(tmp_path) == []
    assert there(server, name) == (False, False)


def test_a_misspelled_name_is_not_made_true(tmp_path: Path, postgres: Cluster, name: str) -> None:
    make(postgres, name)
    postgres.sql(f"ALTER DATABASE {name} RENAME TO {name}_platform")
    try:
        examine(tmp_path, postgres.url(name, PASSWORD, f"{name}_platfrom"))
        assert fix(tmp_path) == []
        # Another number is another database.
        examine(tmp_path, postgres.url(name, PASSWORD, name))
        assert fix(tmp_path) == [Done.VERIFIED]
    finally:
        postgres.sql(f"DROP DATABASE {name}_platform")


def test_rows_in_a_table_that_came_with_the_template_survive_undo(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    postgres.sql("CREATE TABLE inherited (id int)", database="template1")
    try:
        examine(tmp_path, url_of(postgres, name))
        fix(tmp_path)
        postgres.sql("INSERT INTO inherited VALUES (1)", database=name)
        assert "table public.inherited, which holds rows" in undo(tmp_path)[0]
        assert there(postgres, name) == (True, True)
    finally:
        postgres.sql("DROP TABLE inherited", database="template1")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ALTER TABLE common ADD COLUMN mine int", "table public.common"),
        ("GRANT SELECT ON common TO public", "table public.common"),
        ("CREATE OR REPLACE VIEW seen AS SELECT 2 AS a", "rule _RETURN on view public.seen"),
        ("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql RETURN 2", "function public.f()"),
        ("GRANT SELECT ON pg_authid TO {name}", "table pg_authid"),
    ],
)
def test_what_came_with_the_template_and_was_changed_survives_undo(
    tmp_path: Path, postgres: Cluster, name: str, statement: str, reason: str
) -> None:
    made = {
        "TABLE common": "(id int)",
        "VIEW seen": "AS SELECT 1 AS a",
        "FUNCTION f()": "RETURNS int LANGUAGE sql RETURN 1",
    }
    for what, how in made.items():
        postgres.sql(f"CREATE {what} {how}", database="template1")
    try:
        examine(tmp_path, url_of(postgres, name))
        fix(tmp_path)
        postgres.sql("ANALYZE", database=name)  # which is nobody's work
        postgres.sql(statement.format(name=name), database=name)
        assert f"{reason}, which was changed since" in undo(tmp_path)[0]
        assert there(postgres, name) == (True, True)
    finally:
        for what in made:
            postgres.sql(f"DROP {what}", database="template1")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///d?host=h:6000&host=i:6001&user=u",
        "postgresql://u@h/d?dbname=other",
        "postgresql://u@h/d?user=other",
        "postgresql://u@h:1/d?port=2",
        "postgresql://u@h/d?host=i",
        "postgresql://u@h/d?schema=public",
        " postgresql://u@h/d",
        "postgresql://u@h/d ",
        "postgresql://u@h/my%2Ddb",
        "postgresql://u:a%00b@h/d",
    ],
)
def test_an_address_that_drivers_read_in_more_than_one_way_is_not_judged(url: str) -> None:
    with pytest.raises(Unreadable):
        parse_url(url, "DATABASE_URL")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("CREATE TABLE notes ()", "table public.notes"),
        ("CREATE SCHEMA mine", "schema mine"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1", "function public.f"),
        ("CREATE TYPE mood AS ENUM ('a')", "type public.mood"),
        ("SELECT lo_create(0)", "large object"),
        ("ALTER DATABASE {name} SET work_mem = '8MB'", "settings of the database"),
        ("CREATE CAST (bigint AS text) WITH INOUT", "cast from bigint to text"),
        ("GRANT CREATE ON SCHEMA public TO public", "rights on schema public"),
        ("CREATE FOREIGN DATA WRAPPER w1", "foreign-data wrapper w1"),
        ("ALTER SCHEMA public OWNER TO postgres", "owner of schema public"),
    ],
)
def test_a_database_with_anything_of_the_users_survives_undo(
    tmp_path: Path, postgres: Cluster, name: str, statement: str, reason: str
) -> None:
    examine(tmp_path, url_of(postgres, name))
    fix(tmp_path)
    postgres.sql(statement.format(name=name), database=name)
    for _ in range(2):
        refused = undo(tmp_path)
        assert f'database "{name}" is not empty' in refused[0]
        assert reason in refused[0]
        assert "owner of database" in refused[1]
        assert there(postgres, name) == (True, True)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ALTER DATABASE {name} OWNER TO postgres", 'its owner is "postgres"'),
        ("ALTER DATABASE {name} CONNECTION LIMIT 5", "a limit of connections"),
        ("ALTER DATABASE {name} ALLOW_CONNECTIONS false", "it takes no connections"),
    ],
)
def test_a_database_that_was_changed_since_survives_undo(
    tmp_path: Path, postgres: Cluster, name: str, statement: str, reason: str
) -> None:
    examine(tmp_path, url_of(postgres, name))
    fix(tmp_path)
    postgres.sql(statement.format(name=name))
    assert f'database "{name}" was changed since: {reason}' in undo(tmp_path)[0]
    assert there(postgres, name)[1]


def test_a_database_in_use_survives_undo_until_it_is_left(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    examine(tmp_path, url_of(postgres, name))
    fix(tmp_path)
    import psycopg

    with psycopg.connect(url_of(postgres, name), application_name="the core service"):
        assert "in use by 1 session(s) (the core service)" in undo(tmp_path)[0]
    assert undo(tmp_path) == []


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ALTER ROLE {name} CREATEDB", "its rights"),
        ("ALTER ROLE {name} PASSWORD 'mine'", "its password"),
        ("ALTER ROLE {name} SET work_mem = '8MB'", "its settings"),
        ("ALTER ROLE {name} IN DATABASE postgres SET work_mem = '8MB'", "its settings"),
        ("GRANT pg_monitor TO {name}", "its memberships"),
        ("COMMENT ON ROLE {name} IS 'mine'", "its comment is another"),
    ],
)
def test_a_role_that_was_changed_since_survives_undo(
    tmp_path: Path, postgres: Cluster, name: str, statement: str, reason: str
) -> None:
    examine(tmp_path, url_of(postgres, name))
    fix(tmp_path)
    postgres.sql(statement.format(name=name))
    (refused,) = undo(tmp_path)
    assert reason in refused
    assert there(postgres, name) == (True, False)


def test_undo_refuses_on_another_server_than_the_one_that_was_changed(
    tmp_path: Path, postgres: Cluster, chinese: Cluster, name: str
) -> None:
    examine(tmp_path, url_of(postgres, name))
    fix(tmp_path)
    make(chinese, name)
    facts_of(tmp_path, url_of(chinese, name))
    assert [r.startswith("another Postgres server answers") for r in undo(tmp_path)] == [True] * 2
    assert there(postgres, name) == there(chinese, name) == (True, True)


# Every repair, beside a table of the user's.


def expired(cluster: Cluster, name: str) -> None:
    cluster.sql(f"ALTER ROLE {name} VALID UNTIL '2000-01-01'")


def no_login(cluster: Cluster, name: str) -> None:
    cluster.sql(f"ALTER ROLE {name} NOLOGIN")


def other_password(cluster: Cluster, name: str) -> None:
    cluster.sql(f"ALTER ROLE {name} PASSWORD 'the former one'")


def no_connect(cluster: Cluster, name: str) -> None:
    cluster.sql(f"ALTER DATABASE {name} OWNER TO postgres")
    cluster.sql(f"GRANT CREATE ON SCHEMA public TO {name}", database=name)
    cluster.sql(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")


def no_create(cluster: Cluster, name: str) -> None:
    cluster.sql(f"ALTER DATABASE {name} OWNER TO postgres")


def path_to_app(cluster: Cluster, name: str) -> None:
    cluster.sql(f"ALTER ROLE {name} IN DATABASE {name} SET search_path = app")


@pytest.mark.parametrize(
    ("break_it", "code"),
    [
        (expired, "DB502"),
        (no_login, "DB502"),
        (other_password, "DB503"),
        (no_connect, "DB503"),
        (no_create, "DB505"),
        (path_to_app, "DB510"),
    ],
)
def test_the_users_table_survives_the_fix_and_its_undo(
    tmp_path: Path,
    postgres: Cluster,
    name: str,
    break_it: Callable[[Cluster, str], None],
    code: str,
) -> None:
    make(postgres, name)
    postgres.sql("CREATE SCHEMA kept", database=name)
    postgres.sql("CREATE TABLE kept.notes AS SELECT 'mine' AS text", database=name)
    postgres.sql(f"GRANT USAGE ON SCHEMA kept TO {name}", database=name)
    break_it(postgres, name)
    assert [f.code for f in examine(tmp_path, url_of(postgres, name)).findings] == [code]
    for act in (fix, undo, fix, undo):
        act(tmp_path)
        assert postgres.sql("SELECT text FROM kept.notes", database=name) == [("mine",)]
    assert [f.code for f in examine(tmp_path, url_of(postgres, name)).findings] == [code]


def test_a_schema_that_holds_a_table_survives_undo(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    make(postgres, name)
    path_to_app(postgres, name)
    examine(tmp_path, url_of(postgres, name))
    assert fix(tmp_path) == [Done.VERIFIED]
    postgres.sql("CREATE TABLE app.notes ()", database=name)
    (refused,) = undo(tmp_path)
    assert "schema app of" in refused
    assert "stays" in refused
    postgres.sql("DROP TABLE app.notes", database=name)
    assert undo(tmp_path) == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER SCHEMA app OWNER TO postgres",
        "GRANT USAGE ON SCHEMA app TO public",
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA app GRANT SELECT ON TABLES TO public",
    ],
)
def test_a_schema_that_was_changed_since_survives_undo(
    tmp_path: Path, postgres: Cluster, name: str, statement: str
) -> None:
    make(postgres, name)
    path_to_app(postgres, name)
    examine(tmp_path, url_of(postgres, name))
    assert fix(tmp_path) == [Done.VERIFIED]
    postgres.sql(statement, database=name)
    assert "schema app was changed since" in undo(tmp_path)[0]


def test_a_password_that_was_changed_since_is_not_taken_back(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    make(postgres, name)
    other_password(postgres, name)
    secret = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{name}'"
    former = postgres.sql(secret)
    examine(tmp_path, url_of(postgres, name))
    assert fix(tmp_path) == [Done.VERIFIED]
    made = postgres.sql(secret)
    postgres.sql(f"ALTER ROLE {name} PASSWORD 'a third one'")
    assert "was changed since" in undo(tmp_path)[0]
    postgres.sql(f"ALTER ROLE {name} PASSWORD {literal(str(made[0][0]))}")
    assert undo(tmp_path) == []
    assert postgres.sql(secret) == former


def test_an_expiry_that_was_changed_since_is_not_taken_back(
    tmp_path: Path, postgres: Cluster, name: str
) -> None:
    make(postgres, name)
    expired(postgres, name)
    examine(tmp_path, url_of(postgres, name))
    assert fix(tmp_path) == [Done.VERIFIED]
    postgres.sql(f"ALTER ROLE {name} VALID UNTIL '2999-01-01'")
    assert "was changed since" in undo(tmp_path)[0]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ALTER ROLE {name} CREATEROLE", "rights over the whole server"),
        ("GRANT {name} TO pg_monitor", "other roles are its members"),
        ("CREATE DATABASE {name}_2 OWNER {name}", "it owns another database"),
        ("GRANT CREATE ON DATABASE postgres TO {name}", "to do with another database"),
        ("ALTER DATABASE {name} OWNER TO postgres", "nothing of the platform's database"),
    ],
)
def test_the_password_of_a_role_that_others_may_use_is_left_as_it_is(
    tmp_path: Path, postgres: Cluster, name: str, statement: str, reason: str
) -> None:
    make(postgres, name)
    postgres.sql(statement.format(name=name))
    try:
        (finding,) = examine(tmp_path, url_of(postgres, name, "wrong")).findings
        assert finding.fix is None
        assert reason in finding.evidence["role"]
    finally:
        postgres.sql(f'DROP DATABASE IF EXISTS "{name}_2"')
        postgres.sql(f"REVOKE ALL ON DATABASE postgres FROM {name}")


def test_a_database_is_made_in_utf8_where_the_server_has_another_encoding(
    tmp_path: Path, name: str
) -> None:
    cluster = Cluster(encoding="SQL_ASCII")
    try:
        examine(tmp_path, url_of(cluster, name))
        assert fix(tmp_path) == [Done.VERIFIED, Done.VERIFIED]
        assert cluster.sql("SHOW server_encoding", database=name) == [("UTF8",)]
        assert examine(tmp_path, url_of(cluster, name)).findings == []
        cluster.sql("VACUUM ANALYZE", database=name)
        assert undo(tmp_path) == []
    finally:
        cluster.close()


@pytest.mark.parametrize(
    ("words", "product"),
    [
        (states.MARIADB, "MariaDB 10.11.6"),
        (states.MYSQL, "MySQL 8.0.35"),
        (b"\x45\0\0\0\xff\x6a\x04Host '1.2.3.4' is not allowed to connect", "MySQL"),
        (b"-ERR wrong number of arguments for 'get' command", "Redis"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH server (SSH-2.0-OpenSSH_9.2)"),
        (b"HTTP/1.1 400 Bad Request\r\nServer: nginx/1.22.1\r\n", "a web server (nginx/1.22.1)"),
        (b"It looks like you are trying to access MongoDB over HTTP", "MongoDB"),
        (b"hello", ""),
    ],
)
def test_what_answers_in_a_servers_place_is_named(words: bytes, product: str) -> None:
    assert named(words) == product


@pytest.fixture
def bench(tmp_path: Path, postgres: Cluster, name: str) -> Bench:
    facts = facts_of(tmp_path, url_of(postgres, name))
    folder = tmp_path / "20260101-000000-abcd"
    folder.mkdir()
    return Bench(platforms.load(tmp_path, exact=True, environ={}), facts, folder)


def address_of(bench: Bench) -> Address:
    return bench.facts.get(Address)


def test_a_crash_after_the_role_was_made_is_undone(
    bench: Bench, postgres: Cluster, name: str
) -> None:
    action = CreateRole.for_login(address_of(bench))
    before = action.before(bench)
    CreateRole.undo(bench, before, None)
    action.apply(bench, before)
    assert action.verify(bench)
    for _ in range(2):
        CreateRole.undo(bench, before, None)
        assert there(postgres, name) == (False, False)


def test_a_crash_between_making_and_naming_a_database_is_undone(
    bench: Bench, postgres: Cluster, name: str
) -> None:
    postgres.sql(f"CREATE ROLE {name}")
    action = CreateDatabase(address_of(bench))
    before = action.before(bench)
    postgres.sql(f'CREATE DATABASE "{before["aside"]}" OWNER {name}')
    for _ in range(2):
        CreateDatabase.undo(bench, before, None)
        assert there(postgres, before["aside"]) == (False, False)


def test_a_crash_in_the_middle_of_undo_is_taken_up_again(
    bench: Bench, postgres: Cluster, name: str
) -> None:
    postgres.sql(f"CREATE ROLE {name}")
    action = CreateDatabase(address_of(bench))
    before = action.before(bench)
    action.apply(bench, before)
    postgres.sql(f'ALTER DATABASE {name} RENAME TO "{before["aside"]}"')
    postgres.sql("CREATE TABLE notes ()", database=before["aside"])
    with pytest.raises(Refused, match="notes"):
        CreateDatabase.undo(bench, before, {})
    # What holds something has its own name again.
    assert there(postgres, name) == (True, True)
    postgres.sql("DROP TABLE notes", database=name)
    CreateDatabase.undo(bench, before, {})
    assert there(postgres, name) == (True, False)


def test_a_database_that_somebody_else_made_meanwhile_is_not_ours_to_drop(
    bench: Bench, postgres: Cluster, name: str
) -> None:
    action = CreateDatabase(address_of(bench))
    before = action.before(bench)
    make(postgres, name)
    with pytest.raises(Refused, match="no mark"):
        CreateDatabase.undo(bench, before, None)
    with pytest.raises(NotApplied, match="by now"):
        action.before(bench)
    assert there(postgres, name) == (True, True)


def test_a_grant_that_was_never_made_needs_no_undo(
    bench: Bench, postgres: Cluster, name: str
) -> None:
    public_is_not_theirs(postgres, name)
    action = GrantCreate(address_of(bench), name)
    before = action.before(bench)
    GrantCreate.undo(bench, before, None)
    action.apply(bench, before)
    postgres.sql(f"DROP DATABASE {name}")
    GrantCreate.undo(bench, before, None)


def test_previews_show_the_sql_and_no_secret(bench: Bench, name: str) -> None:
    address = address_of(bench)
    role = CreateRole.for_login(address)
    assert role.preview() == f"CREATE ROLE \"{name}\" LOGIN PASSWORD '***'"
    assert CreateDatabase(address).preview() == f'CREATE DATABASE "{name}" OWNER "{name}"'
    assert GrantCreate(address).preview().startswith('GRANT USAGE, CREATE ON SCHEMA "public"')
    assert "SCRAM" not in f"{role!r} {role.title} {role.before(bench)}"


def test_names_and_texts_are_quoted() -> None:
    assert identifier('a"; DROP') == '"a""; DROP"'
    assert literal("it's") == "'it''s'"


# Homebrew

BREW = """\
#!/bin/sh
# A stand-in for Homebrew's program, on a machine that has none: its services are a real cluster.
running=none; test -e {data}/postmaster.pid && running=started
case "$1 $2" in
"services list") echo '[{{"name": "redis", "status": "none"}}, {{"name": "{formula}", "status": "'$running'"}}]' ;;
"services start" | "services stop") {as_user} {bin}/pg_ctl -D {data} -w -s -m fast -l {data}/log $2 ;;
esac
"""


def test_homebrews_server_is_started_and_stopped_again(
    tmp_path: Path, redis_server: RedisServer, shared_environment: Path
) -> None:
    cluster = Cluster()
    copy = bed.make_copy(
        tmp_path / "platform", cluster, redis_server.url, environment=shared_environment
    )
    brew, formula = tmp_path / "homebrew/bin/brew", "postgresql@15"
    brew.parent.mkdir(parents=True)
    (tmp_path / "homebrew/var").mkdir()
    (tmp_path / "homebrew/var" / formula).symlink_to(cluster.data)
    as_user = f"runuser -u {cluster.user} --" if cluster.user else ""
    brew.write_text(
        BREW.format(data=cluster.data, formula=formula, bin=cluster.bin, as_user=as_user)
    )
    brew.chmod(0o755)
    copy.environ["PATH"] = f"{brew.parent}{os.pathsep}{copy.environ['PATH']}"
    platform = platforms.load(copy.root, exact=True, environ=copy.environ)
    try:
        cluster.stop("fast")
        done = repair.repair(platform, Selection(("DB501",)), lambda plan: plan, timeout=30)
        assert [(d.step.action.title, d.outcome) for d in done.done] == [
            (f"start Homebrew's {formula}", Done.VERIFIED)
        ]
        assert repair.undo(platform).refused == []
        assert not (cluster.data / "postmaster.pid").exists()
    finally:
        cluster.close()


def test_homebrews_redis_is_named_where_compose_has_none(tmp_path: Path) -> None:
    brew = tmp_path / "bin/brew"
    brew.parent.mkdir()
    brew.write_text(BREW.format(data="/nowhere", formula="x", bin="", as_user=""))
    brew.chmod(0o755)
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend/.env").write_text(f"REDIS_URL=redis://localhost:{free_port()}/0\n")
    (tmp_path / "saas-doctor.toml").write_text("[redis]\n")
    environ = {"PATH": f"{brew.parent}{os.pathsep}{os.environ['PATH']}"}
    platform = platforms.load(tmp_path, exact=True, environ=environ)
    assert Facts(platform).get(Cache).start == "brew services start redis"
