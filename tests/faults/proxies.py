"""Faults of proxy variables."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.faults import Copy, Fault, Healthy, Inject, append, both, install, replace, setenv, write
from tests.testbed.ports import black_hole, free_port
from tests.testbed.proxies import http_proxy, socks_proxy

ENV = "backend/.env"
LOADED = "from dotenv import load_dotenv; load_dotenv('.env'); import httpx\n"


def calls_go_directly(copy: Copy) -> bool:
    """Whether httpx, with the settings file in its environment, calls the core service itself."""
    url = f"http://127.0.0.1:{copy.ports['core']}/"
    return copy.imports(
        LOADED + f"c = httpx.Client(); assert c._transport_for_url(httpx.URL('{url}')) "
        "is c._transport"
    )


def clients_can_be_made(copy: Copy) -> bool:
    return copy.imports(LOADED + "httpx.Client()")


def load_settings(copy: Copy) -> None:
    """A platform whose code puts `.env` into its environment, and whose client reads it."""
    file = copy.path("backend/shared/utils/ping.py")
    file.write_text(
        "import httpx\nfrom dotenv import load_dotenv\n\nload_dotenv()\nclient = httpx.Client()\n"
    )
    append(ENV, "http_proxy=http://127.0.0.1:9\nno_proxy=localhost\n")(copy)


def listens_elsewhere(copy: Copy) -> None:
    """The services listen at 127.0.0.2, which NO_PROXY does not name."""
    replace(ENV, "HOST=127.0.0.1\n", "HOST=127.0.0.2\n")(copy)
    append(ENV, "HTTP_PROXY=http://127.0.0.1:9\nNO_PROXY=localhost,127.0.0.1\n")(copy)


def second_address_is_covered(copy: Copy) -> bool:
    line = copy.path(ENV).read_text().partition("NO_PROXY=")[2].partition("\n")[0]
    return "127.0.0.2" in line.split(",")


def in_compose(*lines: str) -> Inject:
    """Variables of core's own in the compose file."""
    text = "\n      ".join(lines)
    return replace(
        "docker-compose.yml",
        "      ADVERTISED_HOST: core\n",
        f"      {text}\n      ADVERTISED_HOST: core\n",
    )


def compose_covers(copy: Copy) -> bool:
    line = copy.path("docker-compose.yml").read_text().partition("NO_PROXY: ")[2]
    return {"registry", "gateway"} <= set(line.partition("\n")[0].split(","))


def dead() -> str:
    return f"http://127.0.0.1:{free_port()}"


def nobody(copy: Copy) -> None:
    copy.environ["HTTPS_PROXY"] = dead()


@contextmanager
def hole(copy: Copy) -> Iterator[None]:
    """Something takes the connection, and never says a word."""
    port = free_port()
    copy.environ["HTTPS_PROXY"] = f"http://127.0.0.1:{port}"
    with black_hole(port):
        yield


@contextmanager
def socks_hole(copy: Copy) -> Iterator[None]:
    port = free_port()
    append(ENV, f"FTP_PROXY=x\nALL_PROXY=socks5://127.0.0.1:{port}\nNO_PROXY=*\n")(copy)
    with black_hole(port):
        yield


def of_pip(copy: Copy) -> None:
    home = copy.root.with_name(f"{copy.root.name}-home")
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text(f"[global]\nproxy = {dead()}\n")
    copy.environ["HOME"] = str(home)


def of_npm(copy: Copy) -> None:
    append("frontend/.npmrc", f"https-proxy={dead()}\n")(copy)


def of_npms_variable(copy: Copy) -> None:
    copy.environ["npm_config_https_proxy"] = dead()


@contextmanager
def a_real_one(copy: Copy) -> Iterator[None]:
    with http_proxy() as port:
        copy.environ["HTTPS_PROXY"] = f"http://user:secret@127.0.0.1:{port}"
        copy.environ["PIP_PROXY"] = f"127.0.0.1:{port}"
        yield


@contextmanager
def a_real_socks(copy: Copy) -> Iterator[None]:
    with socks_proxy() as port:
        copy.environ["ALL_PROXY"] = f"socks5://127.0.0.1:{port}"
        copy.environ["NO_PROXY"] = "*"
        yield


def docker_gives(**proxies: str) -> Inject:
    """Docker's client is configured so."""

    def inject(copy: Copy) -> None:
        folder = copy.root.with_name(f"{copy.root.name}-docker")
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"proxies": {"default": proxies}}))
        copy.environ["DOCKER_CONFIG"] = str(folder)

    return inject


def requests_by_socks(copy: Copy) -> None:
    install("requests==2.32.5", "socksio")(copy)
    write("backend/shared/utils/ping.py", "import requests\n\nget = requests.get\n")(copy)
    append(ENV, "HTTPS_PROXY=socks5h://127.0.0.1:9\n")(copy)


def requests_can(copy: Copy) -> bool:
    return copy.imports("import socks")


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def a_page_behind_socks(copy: Copy) -> Iterator[None]:
    """A real SOCKS proxy in the settings, and a page that is to be called through it."""
    passed: list[str] = []
    with ThreadingHTTPServer(("127.0.0.2", 0), Page) as server, socks_proxy(passed) as port:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        append(ENV, f"ALL_PROXY=socks5://127.0.0.1:{port}\nNO_PROXY=localhost,127.0.0.1\n")(copy)
        copy.extras |= {"page": f"127.0.0.2:{server.server_port}", "passed": passed}
        yield
        server.shutdown()


def page_comes_through_socks(copy: Copy) -> bool:
    page = copy.extras["page"]
    done = copy.imports(LOADED + f"assert httpx.get('http://{page}/').status_code == 200")
    return done and page in copy.extras["passed"]


PROXY = "http://proxy.invalid:3128"
ALL = "registry,gateway,core,demo-service,localhost"

# The variables of these stand in the settings file, as other faults do.
ENVIRONMENT = "env"
# Nobody is at the proxies that they name.
DEAD = ("NET406",)

ENTRIES = [
    Fault(
        "NET402",
        "in the shell",
        setenv(HTTP_PROXY="http://127.0.0.1:9"),
        fixed=False,
        also=DEAD,
        target="this shell",
    ),
    Fault(
        "NET402",
        "in the shell, and NO_PROXY parted by blanks",
        setenv(ALL_PROXY="http://127.0.0.1:9", NO_PROXY="localhost 127.0.0.1"),
        fixed=False,
        also=DEAD,
    ),
    Fault(
        "NET402",
        "in the shell, and a network in NO_PROXY",
        setenv(http_proxy="127.0.0.1:9", NO_PROXY="localhost,127.0.0.0/8"),
        fixed=False,
        also=DEAD,
    ),
    Fault(
        "NET402",
        "in the settings file",
        append(ENV, "HTTP_PROXY=http://127.0.0.1:9\n"),
        works=calls_go_directly,
        group=ENVIRONMENT,
        also=DEAD,
        left=DEAD,
    ),
    Fault(
        "NET402",
        "in the settings file that the code loads",
        load_settings,
        works=calls_go_directly,
        group=ENVIRONMENT,
        also=DEAD,
        left=DEAD,
    ),
    Healthy(
        "NET402",
        "a proxy, and this machine left out",
        setenv(HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="localhost, 127.0.0.1"),
    ),
    Healthy(
        "NET402",
        "a proxy for https only",
        setenv(HTTPS_PROXY="http://127.0.0.1:9", FTP_PROXY="http://127.0.0.1:9"),
    ),
    Healthy(
        "NET402",
        "taken back by the lower case",
        setenv(HTTP_PROXY="http://127.0.0.1:9", http_proxy=""),
    ),
    Healthy("NET402", "NO_PROXY=*", setenv(ALL_PROXY="http://127.0.0.1:9", NO_PROXY="*")),
    Healthy(
        "NET402",
        "upper case in a CGI program",
        setenv(HTTP_PROXY="http://127.0.0.1:9", REQUEST_METHOD="GET"),
    ),
    Fault(
        "NET403",
        "SOCKS in the settings file",
        append(ENV, "HTTPS_PROXY=socks5://127.0.0.1:9\n"),
        works=clients_can_be_made,
        group=ENVIRONMENT,
        also=DEAD,
        left=DEAD,
    ),
    Fault(
        "NET403",
        "SOCKS in the shell, this machine left out",
        setenv(ALL_PROXY="socks5h://127.0.0.1:9", NO_PROXY="localhost,127.0.0.1"),
        fixed=False,
        also=DEAD,
        target="this shell:ALL_PROXY",
    ),
    Fault(
        "NET403",
        "a scheme that nobody knows",
        setenv(https_proxy="socks://127.0.0.1:9"),
        fixed=False,
        also=DEAD,
    ),
    Healthy(
        "NET403",
        "SOCKS, and NO_PROXY=*",
        setenv(ALL_PROXY="socks5://127.0.0.1:9", NO_PROXY="*"),
    ),
    Healthy("NET403", "an HTTP proxy", setenv(HTTPS_PROXY="http://127.0.0.1:9")),
    Fault(
        "NET403",
        "an address of IPv6 in brackets, and no proxy at all",
        append(ENV, "NO_PROXY=localhost,[::1]\n"),
        fixed=False,
        target=f"{ENV}:NO_PROXY",
        group=ENVIRONMENT,
    ),
    Fault(
        "NET403",
        "a password with a slash",
        setenv(HTTPS_PROXY="http://user:pa/ss@127.0.0.1:9", NO_PROXY="localhost,127.0.0.1"),
        fixed=False,
        also=DEAD,
        target="this shell:HTTPS_PROXY",
    ),
    Fault(
        "NET403",
        "what is no address",
        setenv(HTTPS_PROXY="http://[::1:x", NO_PROXY="localhost,127.0.0.1"),
        fixed=False,
        target="this shell:HTTPS_PROXY",
    ),
    Healthy("NET403", "an address of IPv6", setenv(NO_PROXY="localhost,127.0.0.1,::1")),
    Fault(
        "NET402",
        "an address that NO_PROXY does not name",
        listens_elsewhere,
        works=second_address_is_covered,
        group=ENVIRONMENT,
        also=DEAD,
        left=DEAD,
    ),
    Fault(
        "NET402",
        "in the compose file",
        in_compose(f"HTTP_PROXY: {PROXY}"),
        works=compose_covers,
        against=("DOCK", "CFG9"),  # that change what stands around it
    ),
    Fault(
        "NET402",
        "in the compose file, and NO_PROXY too short",
        in_compose("HTTP_PROXY: http://proxy.invalid:3128", "NO_PROXY: localhost"),
        works=compose_covers,
        against=("DOCK", "CFG9"),  # that change what stands around it
    ),
    Healthy(
        "NET402",
        "in the compose file, and all named",
        in_compose(f"HTTP_PROXY: {PROXY}", f"NO_PROXY: {ALL}"),
    ),
    Healthy(
        "NET402",
        "blanks after the commas",
        setenv(HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="example.org, localhost, 127.0.0.1"),
    ),
    Fault(
        "NET403",
        "a real SOCKS proxy",
        a_page_behind_socks,
        works=page_comes_through_socks,
        group=ENVIRONMENT,
    ),
    Fault(
        "NET403",
        "SOCKS for requests",
        requests_by_socks,
        ("PKG307", "PKG302", *DEAD),
        requests_can,
        left=("PKG302", *DEAD),
        group=ENVIRONMENT,
    ),
    Healthy(
        "NET403",
        "socksio is there",
        both(
            install("socksio"), setenv(ALL_PROXY="socks5://[::1]:9", NO_PROXY="localhost,127.0.0.1")
        ),
    ),
    Fault("NET406", "nobody is there", nobody, fixed=False),
    Fault("NET406", "a black hole", hole, fixed=False),
    Fault("NET406", "a black hole for SOCKS, in the settings", socks_hole, fixed=False),
    Fault("NET406", "pip's own", of_pip, fixed=False),
    Fault("NET406", "npm's own", of_npm, fixed=False),
    Fault("NET406", "npm's variable", of_npms_variable, fixed=False),
    Fault(
        "NET406",
        "a name that nobody has",
        setenv(https_proxy="http://proxy.invalid:3128"),
        fixed=False,
        target="proxy.invalid:3128",
    ),
    Healthy("NET406", "a real one", a_real_one),
    Healthy("NET406", "a real one for SOCKS", a_real_socks),
    Healthy(
        "NET406", "only containers get it", in_compose(f"HTTP_PROXY: {PROXY}", f"NO_PROXY: {ALL}")
    ),
    Healthy("NET406", "an empty one", setenv(HTTP_PROXY="", PIP_PROXY="")),
    Fault("NET407", "all are missing", docker_gives(httpProxy=PROXY), fixed=False),
    Fault(
        "NET407",
        "all but one are named",
        docker_gives(httpProxy=PROXY, noProxy="localhost,gateway,core,demo-service"),
        fixed=False,
    ),
    Healthy("NET407", "all are named", docker_gives(httpProxy=PROXY, noProxy=ALL)),
    Healthy("NET407", "for https only", docker_gives(httpsProxy=PROXY)),
    Healthy("NET407", "for nobody", docker_gives(httpProxy=PROXY, noProxy="*")),
]
