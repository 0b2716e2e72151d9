"""Faults of the allowed origins."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults import Copy, Fault, Healthy, Inject, append, both, replace, write

ENV = "backend/.env"
CONFIG = "backend/shared/config.py"
GATEWAY = "backend/gateway/main.py"
VITE = "frontend/vite.config.js"
ORIGINS = "CORS_ORIGINS=http://localhost:5173,http://localhost:3000"
ORIGIN = "http://localhost:5173"
FIELD = 'CORS_ORIGINS: str = "http://localhost:5173"'
PROPERTY = '[origin.strip() for origin in self.CORS_ORIGINS.split(",") if origin.strip()]'
USE = "allow_origins=get_settings().cors_origins,"

_PREFLIGHT = """
from starlette.testclient import TestClient
from gateway.main import app
answer = TestClient(app).options("/api/core/x", headers={
    "Origin": "ORIGIN", "Access-Control-Request-Method": "METHOD",
    "Access-Control-Request-Headers": "HEADERS"})
told = answer.headers.get("access-control-allow-origin")
methods = answer.headers.get("access-control-allow-methods", "").split(", ")
assert told in ("ORIGIN", "*") and answer.status_code == 200 and "METHOD" in [*methods, "GET"]
"""


def allows(
    origin: str = ORIGIN, method: str = "GET", headers: str = "accept"
) -> Callable[[Copy], bool]:
    """Whether the gateway's answer to a preflight lets a page call it."""

    def works(copy: Copy) -> bool:
        code = _PREFLIGHT.replace("ORIGIN", origin).replace("METHOD", method)
        return copy.imports(code.replace("HEADERS", headers))

    return works


directly = append(
    "frontend/src/main.js", "await fetch(`${import.meta.env.VITE_GATEWAY ?? ''}/api/core/users`)\n"
)
"""The front end may call the gateway by its own address: the browser then asks it first."""


def through_the_proxy(text: str) -> Inject:
    """Other origins, where the front end's calls all go through Vite's proxy."""
    return replace(ENV, ORIGINS, f"CORS_ORIGINS={text}")


def origins(text: str) -> Inject:
    return both(directly, through_the_proxy(text))


def field(annotation: str, value: str = '"http://localhost:5173"') -> Inject:
    """The setting with another type, used as it is; the settings file has no value for it."""
    return both(
        replace(CONFIG, FIELD, f"CORS_ORIGINS: {annotation} = {value}"),
        replace(
            CONFIG,
            "from pydantic_settings",
            "from pydantic import AnyHttpUrl\nfrom pydantic_settings",
        ),
        replace(CONFIG, PROPERTY, "self.CORS_ORIGINS"),
        replace(ENV, ORIGINS + "\n", ""),
    )


def made(text: str) -> Inject:
    """What the gateway allows."""
    return replace(GATEWAY, USE, f"allow_origins={text},")


def own_port(copy: Copy) -> None:
    """Vite serves at 3000 alone, which is allowed; nobody opens 5173."""
    replace(VITE, "port: 5173", "port: 3000")(copy)
    origins("http://localhost:3000")(copy)


URLS = field("list[AnyHttpUrl]", f'["{ORIGIN}"]')
LITERAL = f"""[
        "http://localhost:3000",  # the other one
        '{ORIGIN}/',
    ]"""

ENTRIES = [
    Fault(
        "WEB801",
        "origin missing",
        origins("http://localhost:3000"),
        target=ORIGIN,
        works=allows(),
        group="origins",
        against=("CFG901",),
    ),
    Fault(
        "WEB801",
        "another name of this machine",
        origins("http://127.0.0.1:5173"),
        target=ORIGIN,
        works=allows(),
        group="origins",
        against=("CFG901",),
    ),
    Fault(
        "WEB801",
        "a list in JSON that the code splits at the commas",
        origins(f'["{ORIGIN}"]'),
        target=ORIGIN,
        works=allows(),
        group="origins",
        against=("CFG901",),
    ),
    Fault("WEB801", "an empty list in JSON", origins("[]"), works=allows(), group="origins"),
    Fault(
        "WEB801",
        "missing in a list in JSON",
        both(
            replace(CONFIG, FIELD, "CORS_ORIGINS: list[str]"),
            replace(CONFIG, PROPERTY, "self.CORS_ORIGINS"),
            origins("'[\"http://localhost:3000\"]'"),
        ),
        works=allows(),
        group="origins",
    ),
    Healthy(
        "WEB801",
        "calls that all go through the proxy",
        through_the_proxy("http://localhost:3000"),
    ),
    Healthy("WEB801", "calls that all go through the proxy, and no origin", through_the_proxy("")),
    Healthy(
        "WEB801",
        "a list in JSON",
        both(
            replace(CONFIG, FIELD, "CORS_ORIGINS: list[str]"),
            replace(CONFIG, PROPERTY, "self.CORS_ORIGINS"),
            origins(f'["{ORIGIN}"]'),
        ),
    ),
    Healthy("WEB801", "blanks after the commas", origins(f"http://localhost:3000, {ORIGIN}")),
    Healthy("WEB801", "a port of its own", own_port),
    Healthy("WEB801", "a port that is computed", replace(VITE, "port: 5173", "port: PORT")),
    Healthy(
        "WEB801",
        "everything is allowed",
        both(origins("*"), replace(GATEWAY, "    allow_credentials=True,\n", "")),
    ),
    Healthy(
        "WEB801",
        "the code adds the origin",
        both(
            origins("http://localhost:3000"),
            made(f'[*get_settings().cors_origins, "{ORIGIN}"]'),
        ),
    ),
    Healthy(
        "WEB801",
        "a pattern allows the origin",
        both(
            origins("http://localhost:3000"),
            made(r'get_settings().cors_origins, allow_origin_regex=r"http://localhost(:\d+)?"'),
        ),
    ),
    Fault(
        "WEB806",
        "slash at the end",
        origins(f"{ORIGIN}/,http://localhost:3000"),
        target=f"{ORIGIN}/",
        works=allows(),
        group="origins",
        against=("CFG901",),
    ),
    Fault(
        "WEB806",
        "capital letters",
        origins("http://LOCALHOST:5173"),
        works=allows(),
        group="origins",
        against=("CFG901",),
    ),
    Fault("WEB806", "no scheme", origins("localhost:5173"), works=allows(), group="origins"),
    Fault("WEB806", "a path", origins(f"{ORIGIN}/index.html"), works=allows(), group="origins"),
    Fault(
        "WEB806",
        "the default port written out",
        origins(f"{ORIGIN},http://saas.example:80"),
        works=allows("http://saas.example"),
        group="origins",
        against=("CFG901",),
    ),
    Fault(
        "WEB806",
        "a star inside",
        origins(f"{ORIGIN},https://*.saas.example"),
        fixed=False,
        works=allows("https://a.saas.example"),
        group="origins",
        against=("CFG901",),
    ),
    Fault(
        "WEB806",
        "blanks that the code leaves",
        both(
            origins(f"http://localhost:3000, {ORIGIN}"),
            made('get_settings().CORS_ORIGINS.split(",")'),
        ),
        works=allows(),
        group="origins",
        against=("CFG901",),
    ),
    Fault("WEB806", "in the source", made(LITERAL), works=allows(), group="origins"),
    Fault(
        "WEB806",
        "the default of the setting",
        both(
            replace(ENV, ORIGINS + "\n", ""),
            replace(CONFIG, FIELD, FIELD.replace("5173", "5173/")),
        ),
        works=allows(),
        group="origins",
    ),
    Fault(
        "WEB806",
        "all origins in one text",
        made("[get_settings().CORS_ORIGINS]"),
        fixed=False,
        works=allows(),
        group="origins",
        at="backend/.env:CORS_ORIGINS=",
    ),
    Fault(
        "WEB806",
        "the slash of Pydantic's URLs",
        both(URLS, made("[str(origin) for origin in get_settings().cors_origins]")),
        works=allows(),
        group="origins",
    ),
    Fault(
        "WEB806",
        "Pydantic's URLs as they are",
        URLS,
        fixed=False,
        works=allows(),
        group="origins",
    ),
    Healthy(
        "WEB806",
        "a slash that the code takes off",
        both(
            origins(f"{ORIGIN}/"), replace(CONFIG, "origin.strip() for", 'origin.strip("/ ") for')
        ),
    ),
    Healthy(
        "WEB806",
        "Pydantic's URLs, the slash taken off",
        both(URLS, made('[str(origin).rstrip("/") for origin in get_settings().cors_origins]')),
    ),
    Healthy("WEB806", "origins of apps", origins(f"{ORIGIN},capacitor://localhost,app://A/")),
    Healthy(
        "WEB806",
        "a star inside, and a pattern for it",
        both(
            origins(f"{ORIGIN},https://*.saas.example"),
            made(
                "get_settings().cors_origins,\n"
                r'    allow_origin_regex=r"https://\w+\.saas\.example"'
            ),
        ),
    ),
    Healthy(
        "WEB806",
        "in a comment",
        append(ENV, f"# CORS_ORIGINS={ORIGIN}/\n"),
    ),
    Healthy(
        "WEB806",
        "a setting of something else",
        both(
            append(ENV, f"FRONTEND_URL={ORIGIN}/\n"),
            write("backend/shared/links.py", f'FRONTEND = "{ORIGIN}/"\n'),
        ),
    ),
    Healthy(
        "WEB806",
        "a validator that splits and cleans",
        both(
            replace(
                CONFIG,
                FIELD,
                "CORS_ORIGINS: Annotated[list[str], NoDecode] = []\n\n"
                '    @field_validator("CORS_ORIGINS", mode="before")\n'
                "    @classmethod\n"
                "    def _split(cls, text: str) -> list[str]:\n"
                '        return [part.strip(" /") for part in text.split(",")]',
            ),
            replace(
                CONFIG,
                "from pydantic_settings import BaseSettings,",
                "from typing import Annotated\n\nfrom pydantic import field_validator\n"
                "from pydantic_settings import BaseSettings, NoDecode,",
            ),
            replace(CONFIG, PROPERTY, "self.CORS_ORIGINS"),
            origins(f"{ORIGIN}/"),
        ),
    ),
]
