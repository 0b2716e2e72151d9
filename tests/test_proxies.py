"""Proxy variables as the clients read them."""

from __future__ import annotations

import os
import textwrap
import threading
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.utils import select_proxy

from saas_doctor import runner
from saas_doctor.config import Config, ServiceConfig
from saas_doctor.facts.no_proxy import REQUESTS, URLLIB, Target, chosen, covered, readable
from saas_doctor.facts.proxies import Scope
from saas_doctor.platform import Platform
from saas_doctor.runner import Selection
from tests.faults import Copy
from tests.testbed.proxies import http_proxy

MakeCopy = Callable[[], Copy]

# Proxy variables


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if "proxy" in name.lower() or name == "REQUEST_METHOD":
            monkeypatch.delenv(name)


SPELLINGS = ("HTTP_PROXY", "http_proxy", "Http_Proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY",
             "NO_PROXY", "no_proxy", "REQUEST_METHOD")  # fmt: skip
ENTRIES = ("localhost", "LOCALHOST", "127.0.0.1", "127.0.0.0/8", "127.*", "::1", "*",
           "localhost:8001", "127.0.0.1:8001", "127.0.0.1:9", ".internal", "internal",
           "registry", "stry", "http://127.0.0.1", "https://127.0.0.1", "all://registry",
           "http://127.0.0.1:8001", " ", "")  # fmt: skip
TARGETS = (
    Target("localhost", 8001),
    Target("127.0.0.1", 8001),
    Target("::1", 8001),
    Target("registry", 8001),
    Target("registry.internal", 8001),
)


@settings(deadline=None)  # other tests may keep the machine busy
@given(
    variables=st.dictionaries(
        st.sampled_from([s for s in SPELLINGS if not s.lower().startswith("no")]),
        st.sampled_from(["", "http://127.0.0.1:9", "127.0.0.1:9"]),
    ),
    no_proxy=st.dictionaries(
        st.sampled_from(["NO_PROXY", "no_proxy"]),
        st.lists(st.sampled_from(ENTRIES), max_size=3).map(",".join),
    ),
)
def test_the_variables_are_read_as_httpx_reads_them(
    variables: dict[str, str], no_proxy: dict[str, str]
) -> None:
    environ = variables | no_proxy
    scope = Scope("shell", environ, TARGETS)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if "proxy" in name.lower() or name == "REQUEST_METHOD":
                patch.delenv(name)
        for name, value in environ.items():
            patch.setenv(name, value)
        read = urllib.request.getproxies_environment()
        with httpx.Client(verify=False) as client:
            through = [t for t in TARGETS if not _is_direct(client, t)]
    ours = {scheme: environ[name] for scheme, name in chosen(environ).items()}
    assert ours == read
    assert scope.swallowed == through


@settings(deadline=None)
@given(
    variables=st.dictionaries(
        st.sampled_from([s for s in SPELLINGS if not s.lower().startswith("no")]),
        st.sampled_from(["", "http://127.0.0.1:9"]),
    ),
    no_proxy=st.lists(st.sampled_from(ENTRIES), max_size=3).map(",".join),
)
def test_no_proxy_is_read_as_requests_and_urllib_read_it(
    variables: dict[str, str], no_proxy: str
) -> None:
    environ = {**variables, "NO_PROXY": no_proxy}
    scope = Scope("shell", environ, TARGETS)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if "proxy" in name.lower() or name == "REQUEST_METHOD":
                patch.delenv(name)
        for name, value in environ.items():
            patch.setenv(name, value)
        by_urllib = [t for t in TARGETS if _urllib_uses_a_proxy(t)]
        by_requests = [t for t in TARGETS if _requests_uses_a_proxy(t)]
    assert scope.swallowed_by(URLLIB) == by_urllib
    assert scope.swallowed_by(REQUESTS) == by_requests


def _urllib_uses_a_proxy(target: Target) -> bool:
    request = urllib.request.Request(f"http://{target}/")
    proxy = urllib.request.getproxies().get("http")
    if proxy:
        urllib.request.ProxyHandler().proxy_open(request, proxy, "http")
    return request.has_proxy()


def _requests_uses_a_proxy(target: Target) -> bool:
    url = f"http://{target}/"
    return bool(select_proxy(url, requests.utils.get_environ_proxies(url)))


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.mark.usefixtures("no_variables")
def test_a_real_proxy_takes_what_is_told_and_nothing_that_the_new_value_covers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server, http_proxy(passed) as port:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = Target("127.0.0.1", server.server_port)
        environ = {"ALL_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": "localhost"}
        scope = Scope("shell", environ, (target,))
        assert scope.swallowed == [target]
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with httpx.Client() as client:
            assert client.get(f"http://{target}/").status_code == 200
        assert passed == [str(target)]
        monkeypatch.setenv(scope.no_proxy_key, scope.no_proxy_with([target]))
        with httpx.Client() as client:
            assert client.get(f"http://{target}/").status_code == 200
        assert passed == [str(target)]
        server.shutdown()


@pytest.mark.parametrize(
    ("code", "no_proxy", "client"),
    [
        ("import requests\n", "127.0.0.0/8,localhost", ""),
        ("import httpx\n", "127.0.0.0/8,localhost", "httpx"),
        ("import httpx, requests\n", "127.0.0.0/8,localhost", "httpx"),
        ("from urllib.request import urlopen\n\nurlopen\n", "127.0.0.0/8,localhost", "urllib"),
        ("import requests\n", "localhost", "requests"),
    ],
)
def test_the_clients_that_the_source_imports_are_asked(
    code: str, no_proxy: str, client: str, tmp_path: Path
) -> None:
    environ = {"http_proxy": "http://proxy:1", "NO_PROXY": no_proxy}
    platform = platform_with(tmp_path, environ)
    (tmp_path / "backend/calls.py").write_text(code)
    found = runner.run(platform, Selection(("NET402",)), timeout=20).findings
    assert [f.looked_at for f in found] == ([f"this shell, as {client} reads it"] if client else [])


def _is_direct(client: httpx.Client, target: Target) -> bool:
    return client._transport_for_url(httpx.URL(f"http://{target}/")) is client._transport


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("127.0.0.1:8001", True),
        ("127.0.0.1:8002", False),
        ("localhost", False),
        ("localhost 127.0.0.1", False),
        ("localhost, 127.0.0.1", True),
        ("127.0.0.0/8", False),
        ("*", True),
    ],
)
def test_no_proxy_covers_what_httpx_says(no_proxy: str, direct: bool) -> None:
    assert covered(no_proxy, Target("127.0.0.1", 8001)) is direct


def test_no_proxy_is_extended_in_the_spelling_that_counts() -> None:
    scope = Scope("shell", {"NO_PROXY": "a.test", "no_proxy": "b.test c.test"}, ())
    assert scope.no_proxy_key == "no_proxy"
    extended = scope.no_proxy_with([Target("registry", 8001)])
    assert extended == "b.test,c.test,localhost,127.0.0.1,::1,registry"


@pytest.mark.usefixtures("no_variables")
@pytest.mark.parametrize(
    ("entry", "new"),
    [
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[fd00::1]:8080", "fd00::1"),
        ("http://[::1]", "http://[::1]"),
        ("fe80::/10", ""),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("host:8000", "host:8000"),
        ("host:port", ""),
        ("bad host", "bad host"),
        ("ü.de", ""),
        ("[]", "[]"),
    ],
)
def test_an_entry_of_no_proxy_is_made_such_that_httpx_can_make_a_client(
    entry: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", f"localhost,{entry}")
    if new == entry:
        httpx.Client().close()
    else:
        with pytest.raises(httpx.InvalidURL):
            httpx.Client()
    assert readable(entry) == new
    scope = Scope("shell", {"NO_PROXY": f"localhost,{entry}"}, ())
    assert scope.unreadable == ({} if new == entry else {"NO_PROXY": entry})
    monkeypatch.setenv("NO_PROXY", scope.no_proxy_with([]))
    httpx.Client().close()


@pytest.mark.usefixtures("no_variables")
@pytest.mark.parametrize(
    ("value", "works"),
    [
        ("http://user:secret/2@proxy:1", False),
        ("http://user:secret#2@proxy:1", False),
        ("http://user:secret?2@proxy:1", False),
        ("http://user:secret@2@proxy:1", True),
        ("http://proxy:1:", False),
        ("http://proxy:", True),
        ("proxy:1", True),
    ],
)
def test_a_proxy_that_is_no_url_is_told_without_its_password(
    value: str, works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    if works:
        httpx.Client().close()
    else:
        with pytest.raises(httpx.InvalidURL):
            httpx.Client()
    found = Scope("shell", {"HTTPS_PROXY": value}, ()).unreadable
    assert [*found] == ([] if works else ["HTTPS_PROXY"])
    assert "secret" not in str(found)
    assert not Scope("shell", {"HTTPS_PROXY": value, "NO_PROXY": "*,[::1]"}, ()).unreadable


def test_a_proxys_password_is_not_shown() -> None:
    for value in (
        "http://user:a@secret@proxy:1",
        "http://user:secret@proxy:1",
        "user:secret@proxy:1",
    ):
        assert "secret" not in Scope("shell", {"HTTP_PROXY": value}, ()).shown("HTTP_PROXY")


def platform_with(root: Path, environ: dict[str, str], compose: str = "") -> Platform:
    (root / "backend").mkdir()
    (root / "backend/.env").write_text("REGISTRY_URL=http://localhost:8001\n")
    (root / "backend/calls.py").write_text("import httpx\n\nclient = httpx.Client()\n")
    if compose:
        (root / "docker-compose.yml").write_text(textwrap.dedent(compose))
    one = {n: ServiceConfig(directory=f"backend/{n}", port=p) for n, p in PORTS.items()}
    config = Config(services=one, compose_file="docker-compose.yml" if compose else None)
    return Platform(root, config, environ=environ)


PORTS = {"registry": 8001, "core": 8002}


def proxy_findings(platform: Platform) -> list[tuple[str, str]]:
    report = runner.run(platform, Selection(("NET402",)), timeout=20)
    return [(str(f.severity and f.severity.value), f.target) for f in report.findings]


def test_a_proxy_that_the_compose_file_gives_its_services_is_an_error(tmp_path: Path) -> None:
    compose = """
    services:
      registry:
        build: .
        environment: [HTTP_PROXY=http://proxy:3128, "NO_PROXY=localhost"]
      core:
        build: .
        environment:
          HTTP_PROXY: ${CORPORATE:-http://proxy:3128}
          NO_PROXY: registry,core
      postgres:
        image: postgres
        environment: {HTTP_PROXY: http://proxy:3128}
    """
    platform = platform_with(tmp_path, {}, compose)
    assert proxy_findings(platform) == [("error", "docker-compose.yml, service registry")]


def test_a_settings_file_that_compose_gives_out_is_an_error_else_a_warning(tmp_path: Path) -> None:
    compose = "services:\n  registry:\n    build: .\n    env_file: backend/.env\n"
    platform = platform_with(tmp_path, {}, compose)
    (tmp_path / "backend/.env").write_text("http_proxy=http://proxy:1\n")
    assert proxy_findings(platform) == [("error", "backend/.env")]
    (tmp_path / "docker-compose.yml").write_text("services: {registry: {build: .}}\n")
    assert proxy_findings(platform) == [("warning", "backend/.env")]


def test_clients_that_ignore_the_environment_make_it_a_note(tmp_path: Path) -> None:
    platform = platform_with(tmp_path, {"ALL_PROXY": "http://proxy:1"})
    assert proxy_findings(platform) == [("warning", "this shell")]
    code = "from httpx import AsyncClient\n\nclient = AsyncClient(trust_env=False)\n"
    (tmp_path / "backend/calls.py").write_text(code)
    assert proxy_findings(platform) == [("info", "this shell")]
    (tmp_path / "backend/calls.py").write_text(code + "import requests\n\nrequests.get('x')\n")
    assert proxy_findings(platform) == [("warning", "this shell")]


def test_the_line_for_the_shell_ends_the_finding(tmp_path: Path) -> None:
    platform = platform_with(tmp_path, {"HTTP_PROXY": "http://proxy:1"})
    (finding,) = runner.run(platform, Selection(("NET402",)), timeout=20).findings
    line = finding.next_step.split("  ")[0].removeprefix("export ")
    name, _, value = line.partition("=")
    again = Platform(
        tmp_path, platform.config, environ={"HTTP_PROXY": "http://proxy:1", name: value}
    )
    assert proxy_findings(again) == []
