"""Faults of proxy variables."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, append, setenv

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
]
