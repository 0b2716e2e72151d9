"""Faults of the addresses that the front end calls."""

from __future__ import annotations

from tests.faults import Fault, Healthy, Inject, both, replace, write
from tests.faults.cors import HEADERS, METHODS
from tests.faults.origins import GATEWAY, allows
from tests.faults.web import target

MAIN = "frontend/src/main.js"
COMPOSE = "docker-compose.yml"
PATH = "/api/demo-service/items"


def calls(expression: str, file: str = "api.js") -> Inject:
    """One more file of the front end, with this in it; `{gateway}` is the gateway's address."""

    def inject(copy: object) -> None:
        gateway = f"http://localhost:{copy.ports['gateway']}"  # type: ignore[attr-defined]
        text = expression.replace("{gateway}", gateway) + "\n"
        write(f"frontend/src/{file}", text)(copy)  # type: ignore[arg-type]

    return inject


CLIENT = """import axios from 'axios'

const api = axios.create({ baseURL: '{gateway}/api' })

api.interceptors.request.use((config) => {
  config.headers.Authorization = `Bearer ${localStorage.getItem('token')}`
  return config
})

export const rename = (id, name) => api.patch(`/core/items/${id}`, { name })
"""

ENTRIES = [
    Fault(
        "WEB804",
        "a service of the compose file",
        replace(MAIN, f"fetch('{PATH}')", f"fetch('http://gateway:8000{PATH}')"),
        target="http://gateway:8000",
        fixed=False,
        group="calls",
    ),
    Fault(
        "WEB804",
        "a port that is nobody's",
        replace(MAIN, f"fetch('{PATH}')", f"fetch('http://localhost:8088{PATH}')"),
        target="http://localhost:8088",
        fixed=False,
        group="calls",
    ),
    Fault(
        "WEB804",
        "this machine, in a constant",
        calls("const API = '{gateway}'\n\nexport const items = () => fetch(`${API}/api/x`)"),
        fixed=False,
    ),
    Fault(
        "WEB804",
        "a variable with a service of the compose file",
        both(
            write("frontend/.env", "VITE_API_URL=http://gateway:8000\n"),
            calls("export const items = () => fetch(`${import.meta.env.VITE_API_URL}/api/x`)"),
        ),
        target="http://gateway:8000",
        fixed=False,
    ),
    Fault(
        "WEB804",
        "a variable of the compose file",
        both(
            replace(
                COMPOSE,
                "volumes:\n  postgres_data:",
                "  web:\n    image: node:22\n    environment:\n"
                "      VITE_API_URL: http://gateway:8000\n\nvolumes:\n  postgres_data:",
            ),
            calls("export const items = () => fetch(`${import.meta.env.VITE_API_URL}/api/x`)"),
        ),
        target="http://gateway:8000",
        fixed=False,
    ),
    Healthy(
        "WEB804",
        "a container with a browser of its own",
        both(
            replace(
                COMPOSE,
                "volumes:\n  postgres_data:",
                "  e2e:\n    image: mcr.microsoft.com/playwright:v1.55.0\n    environment:\n"
                "      VITE_API_URL: http://gateway:8000\n\nvolumes:\n  postgres_data:",
            ),
            calls("export const items = () => fetch(`${import.meta.env.VITE_API_URL}/api/x`)"),
        ),
    ),
    Healthy("WEB804", "in a comment", calls("// fetch('http://gateway:8000/api/x')")),
    Healthy("WEB804", "in a test", calls("fetch('http://gateway:8000/api/x')", "api.test.js")),
    Healthy("WEB804", "a link", calls("export const DOCS = '{gateway}/docs'")),
    Healthy(
        "WEB804",
        "a fallback",
        calls(
            "const API = import.meta.env.VITE_API_URL ?? '{gateway}'\n"
            "export const items = () => fetch(`${API}/api/x`)"
        ),
    ),
    Healthy(
        "WEB804",
        "by the mode",
        calls("export const items = () => fetch(import.meta.env.DEV ? '{gateway}' : '/api')"),
    ),
    Healthy(
        "WEB804",
        "a variable for development",
        both(
            write("frontend/.env.development", "VITE_API_URL=http://localhost:8000\n"),
            calls("export const items = () => fetch(`${import.meta.env.VITE_API_URL}/api/x`)"),
        ),
    ),
    Healthy(
        "WEB804",
        "a variable that is the proxy's target",
        both(
            write("frontend/.env", "VITE_TARGET=http://gateway:8000\n"),
            target("process.env.VITE_TARGET"),
        ),
    ),
    Healthy(
        "WEB804",
        "another program on this machine",
        calls("export const ask = () => fetch('http://localhost:11434/api/generate')"),
    ),
    Healthy(
        "WEB804",
        "another machine",
        calls("export const ask = () => fetch('https://a.example/api')"),
    ),
    Fault(
        "WEB809",
        "a method",
        both(
            replace(GATEWAY, METHODS, 'allow_methods=["GET", "POST"],'),
            calls("export const drop = () => fetch('{gateway}/api/x', { method: 'DELETE' })"),
        ),
        also=("WEB804",),
        fixed=False,
        works=allows(method="DELETE"),
    ),
    Fault(
        "WEB809",
        "a method in small letters",
        both(
            replace(GATEWAY, METHODS, 'allow_methods=["get", "put"],'),
            calls("export const drop = () => fetch('{gateway}/api/x', { method: 'PUT' })"),
        ),
        also=("WEB804",),
        fixed=False,
        works=allows(method="PUT"),
    ),
    Fault(
        "WEB809",
        "a header that an interceptor sets",
        both(replace(GATEWAY, f"    {HEADERS}\n", ""), calls(CLIENT)),
        also=("WEB804",),
        fixed=False,
        works=allows(method="PATCH", headers="authorization"),
        at="backend/gateway/main.py:app.add_middleware(",
    ),
    Healthy(
        "WEB809",
        "calls by a path",
        both(
            replace(GATEWAY, METHODS, 'allow_methods=["GET", "POST"],'),
            replace(GATEWAY, HEADERS, "allow_headers=[],"),
            calls(
                "export const drop = () => fetch('/api/x', { method: 'DELETE', headers: { 'X-A': '1' } })"
            ),
        ),
    ),
    Healthy(
        "WEB809",
        "calls of something else",
        both(
            replace(GATEWAY, METHODS, 'allow_methods=["GET", "POST"],'),
            calls("export const drop = () => fetch('https://a.example/x', { method: 'DELETE' })"),
        ),
    ),
    Healthy(
        "WEB809",
        "only what is asked for",
        both(
            replace(GATEWAY, METHODS, 'allow_methods=["GET", "PUT"],'),
            replace(GATEWAY, HEADERS, 'allow_headers=["authorization"],'),
        ),
    ),
]
