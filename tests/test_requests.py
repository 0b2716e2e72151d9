"""What the front end's source requests from absolute addresses, and what is said of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas_doctor.facts import Facts
from saas_doctor.facts.requests import FrontendRequests, Request
from saas_doctor.model import Severity
from saas_doctor.platform import Platform
from tests.trees import GATEWAY, MakeTree, gateway_tree, verdict

EXAMPLES = int(os.environ.get("SD_EXAMPLES", "200"))


@pytest.fixture
def tree(tmp_path: Path) -> MakeTree:
    """Makes a platform with these files of the front end, a gateway at 8100, and a compose file."""

    def make(files: dict[str, str], main: str = GATEWAY, compose: str = "") -> Platform:
        front = {"vite.config.js": "export default {}", **files}
        back = {"backend/gateway/main.py": main + "@app.get('/users')\ndef users(): ...\n"}
        if compose:
            back["compose.yml"] = compose
        return gateway_tree(tmp_path, {**{f"frontend/{n}": t for n, t in front.items()}, **back})

    return make


def requests(platform: Platform) -> list[Request]:
    return list(Facts(platform).get(FrontendRequests).requests)


B = "http://localhost:8100"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"fetch('{B}/api')", [("GET", f"{B}/api", True)]),
        (f'fetch("{B}/api", {{ method: "put" }})', [("PUT", f"{B}/api", True)]),
        (f"fetch(`{B}/api/${{id}}`)", [("GET", f"{B}/api/", True)]),
        (f"fetch('{B}' + path)", [("GET", B, True)]),
        (f"const A = '{B}'\nfetch(`${{A}}/api/x`)", [("GET", f"{B}/api/x", True)]),
        (f"const A = '{B}'\nfetch(A + '/api/x')", [("GET", f"{B}/api/x", True)]),
        (f"const A = '{B}', C = `${{A}}/api`\nfetch(`${{C}}/x`)", [("GET", f"{B}/api/x", True)]),
        (f"axios.post('{B}/x', {{}})", [("POST", f"{B}/x", True)]),
        (f"axios.get<User>('{B}/x')", [("GET", f"{B}/x", True)]),
        (f"new EventSource('{B}/x')", [("GET", f"{B}/x", True)]),
        ("new WebSocket('ws://localhost:8100/x')", [("GET", "ws://localhost:8100/x", True)]),
        (f"const c = axios.create({{ baseURL: '{B}' }})\nc.delete('/x')", [("DELETE", B, True), ("GET", B, True)]),
        (f"OpenAPI.BASE = '{B}'", [("GET", B, True)]),
        (f"const a = <A x={{1}} />; fetch('{B}' as string)", [("GET", B, True)]),
        # One of several: not sure.
        (f"fetch(DEV ? '{B}' : '/api')", []),
        (f"const A = DEV ? '{B}' : ''\nfetch(`${{A}}/x`)", []),
        (f"const A = import.meta.env.VITE_OTHER || '{B}'\nfetch(`${{A}}/x`)", [("GET", f"{B}/x", False)]),
        (f"if (import.meta.env.DEV) {{ fetch('{B}/x') }}", []),
        (f"other ? fetch('{B}/x') : none()", [("GET", f"{B}/x", False)]),
        # None at all.
        (f"// fetch('{B}/x')", []),
        (f"/* fetch('{B}/x') */", []),
        (f"const text = \"fetch('{B}/x')\"", []),
        (f"const LINK = '{B}/docs'", []),
        (f"open('{B}/docs')", []),
        (f"<a href='{B}/docs'>docs</a>", []),
        (f"const A = '{B}'\nfunction f(A) {{ fetch(A) }}", []),
        (f"const A = '{B}'\nfunction f() {{ const A = g(); fetch(A) }}", []),
        (f"let A = '{B}'\nfetch(A)", []),
        ("fetch('/api/x')", []),
        (f"other.get('{B}/x')", []),
        (f"prefetch('{B}/x')", []),
        (f"a.fetch('{B}/x')", []),
        ("const A = A\nfetch(A)", []),
    ],
)  # fmt: skip
def test_requests_to_absolute_addresses_are_read(
    tree: MakeTree, text: str, found: list[tuple[str, str, bool]]
) -> None:
    told = requests(tree({"src/a.tsx": text}))
    assert [(r.method, r.address.url, r.address.sure) for r in told] == found


IMPORTS = [
    ("export const A = '{B}'", "import { A } from './api'"),
    ("export const C = '{B}'", "import { C as A } from './api'"),
    ("const A = '{B}'\nexport { A }", "import { A } from '@/lib/api'"),
    ("const C = '{B}'\nexport { C as A }", "import { A } from '../lib/api.ts'"),
    ("const C = '{B}'\nexport default C", "import A from './api'"),
    ("export default '{B}'", "import A from './api'"),
]


@pytest.mark.parametrize(("there", "here"), IMPORTS)
def test_names_are_followed_into_other_files(tree: MakeTree, there: str, here: str) -> None:
    use = f"{here}\nfetch(`${{A}}/x`)"
    files = {"src/lib/api.ts": there.replace("{B}", B), "src/lib/use.ts": use}
    assert [r.address.url for r in requests(tree(files))] == [f"{B}/x"]


def test_a_client_is_followed_with_its_headers(tree: MakeTree) -> None:
    client = f"""const api = axios.create({{ baseURL: '{B}', headers: {{ 'X-One': '1' }} }})
api.interceptors.request.use((config) => {{
  config.headers.Authorization = 'x'
  config.headers['X-Two'] = '2'
  return config
}})
export default api
"""
    use = "import http from './api'\nhttp.put('/x', { a: 1 }, { headers: { 'X-Three': '3' } })"
    found = [r for r in requests(tree({"src/api.ts": client, "src/use.ts": use})) if r.json]
    assert [(r.method, sorted(r.headers)) for r in found] == [
        ("PUT", ["authorization", "x-one", "x-three", "x-two"])
    ]


def test_the_script_of_a_component_is_read(tree: MakeTree) -> None:
    text = f"<template>fetch('{B}/no')</template>\n<script setup lang=\"ts\">\nfetch('{B}/x')\n</script>"
    (found,) = requests(tree({"src/A.vue": text}))
    assert str(found.address.place) == "frontend/src/A.vue:3:7"


def test_a_variable_has_the_value_of_the_dev_server(tree: MakeTree) -> None:
    files = {
        "src/a.ts": "fetch(`${import.meta.env.VITE_API}/x`)",
        ".env": f"VITE_API={B}\n",
        ".env.development": "VITE_API=http://localhost:1\n",
        ".env.production": "VITE_API=http://localhost:2\n",
    }
    assert [r.address.url for r in requests(tree(files))] == ["http://localhost:1/x"]
    files["vite.config.js"] = "export default { envDir: '..' }"
    assert requests(tree(files)) == []


# WEB804.


def said(platform: Platform) -> list[tuple[Severity | None, str]]:
    return [(f.severity, f.target) for f in verdict(platform, "WEB804")]


COMPOSE = "services:\n  gateway:\n    image: x\n    ports: ['8200:8000']\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"src/a.js": f"fetch('{B}/api/x')"}, [(Severity.WARNING, B)]),
        ({"src/a.js": f"fetch('{B}/api/x'); fetch('{B}/api/y')"}, [(Severity.WARNING, B)]),
        ({"src/a.js": "fetch('http://127.0.0.1:8200/x')"}, [(Severity.WARNING, "http://127.0.0.1:8200")]),
        ({"src/a.js": "fetch('http://gateway:8000/x')"}, [(Severity.ERROR, "http://gateway:8000")]),
        ({"src/a.js": "fetch('http://localhost:9876/api/users')"}, [(Severity.ERROR, "http://localhost:9876")]),
        ({"src/a.js": "fetch(import.meta.env.VITE_A)", ".env": f"VITE_A={B}\n"}, [(Severity.INFO, B)]),
        (
            {"src/a.js": "fetch(import.meta.env.VITE_A)", ".env": "VITE_A=http://gateway:8000\n"},
            [(Severity.ERROR, "http://gateway:8000")],
        ),
        (
            {"src/a.js": "fetch(import.meta.env.VITE_A)", ".env.production": f"VITE_A={B}\n"},
            [(Severity.WARNING, B)],
        ),
        # Look-alikes.
        ({"src/a.js": "fetch(import.meta.env.VITE_A)", ".env.development": f"VITE_A={B}\n"}, []),
        ({"src/a.js": "fetch(import.meta.env.VITE_A)", ".env.local": f"VITE_A={B}\n"}, []),
        ({"src/a.js": "", ".env": "VITE_A=http://gateway:8000\n"}, []),
        (
            {
                "src/a.js": "fetch(import.meta.env.VITE_A)",
                ".env": "VITE_A=http://gateway:8000\n",
                "vite.config.js": "export default { server: { proxy: { '/api': process.env.VITE_A } } }",
            },
            [],
        ),
        ({"src/a.js": "fetch('http://localhost:9876/other')"}, []),
        ({"src/a.js": "fetch('http://localhost:9876/api/nowhere')"}, []),
        ({"src/a.js": "fetch('http://localhost:11434/api/users')"}, []),
        ({"src/a.js": "fetch('https://api.example.com/users')"}, []),
        ({"src/a.js": "fetch('http://gateway.example.com/users')"}, []),
        ({"src/a.test.js": "fetch('http://gateway:8000/x')"}, []),
        ({"src/mocks/a.js": "fetch('http://gateway:8000/x')"}, []),
        ({"src/a.js": "fetch('http://gateway:8000/x')", "package.json": '{"dependencies": {"@sveltejs/kit": "2"}}'}, []),
        ({"src/a.js": "fetch('http://localhost:9876/api/users')", "Makefile": "other --port 9876\n"}, []),
    ],
)  # fmt: skip
def test_what_is_said_of_an_address(
    tree: MakeTree, files: dict[str, str], expected: list[tuple[Severity, str]]
) -> None:
    assert said(tree(files, compose=COMPOSE)) == expected


def test_it_is_only_named_where_cors_is_right(tree: MakeTree) -> None:
    main = GATEWAY.replace("settings.origins", "['http://localhost:5173']")
    files = {"src/a.js": f"fetch('{B}/api/x')"}
    assert said(tree(files, main)) == [(Severity.INFO, B)]


@pytest.mark.parametrize(
    "part",
    [
        "    environment:\n      VITE_API: http://gateway:8000\n",
        "    environment:\n      - VITE_API=http://gateway:8000\n",
        "    build:\n      args:\n        VITE_API: http://gateway:8000\n",
        "    environment: *shared\n",
        "    environment:\n      <<: *shared\n",
    ],
)
def test_a_name_between_containers_in_the_compose_file_is_told(tree: MakeTree, part: str) -> None:
    compose = (
        f"x-a: &shared\n  VITE_API: http://gateway:8000\n{COMPOSE}  front:\n    image: y\n{part}"
    )
    files = {"src/a.js": "fetch(import.meta.env.VITE_API)"}
    assert said(tree(files, compose=compose)) == [(Severity.ERROR, "http://gateway:8000")]


# WEB809.


@pytest.mark.parametrize(
    ("call", "arguments", "lacking"),
    [
        (f"fetch('{B}/x', {{ method: 'PUT' }})", "", ["PUT"]),
        (f"fetch('{B}/x', {{ method: 'PUT' }})", "allow_methods=['put']", ["PUT"]),
        (f"axios.patch('{B}/x')", "allow_methods=['GET', 'POST']", ["PATCH"]),
        (f"axios.post('{B}/x', {{ a: 1 }})", "", ["POST"]),
        (f"fetch('{B}/x', {{ headers: {{ Authorization: t }} }})", "", ["authorization"]),
        (f"fetch('{B}/x', {{ headers: {{ 'X-A': t }} }})", "allow_headers=['x-b']", ["x-a"]),
        (f"fetch('{B}/x', {{ method: 'PUT' }})", "allow_methods=['*']", []),
        (f"fetch('{B}/x', {{ method: 'PUT' }})", "allow_methods=unknown()", []),
        (f"fetch('{B}/x', {{ method: 'PUT' }})", "**options", []),
        (f"fetch('{B}/x', {{ method: 'POST' }})", "", []),
        (f"axios.post('{B}/x', form)", "", []),
        (
            f"fetch('{B}/x', {{ headers: {{ Authorization: t }} }})",
            "allow_headers=['AUTHORIZATION']",
            [],
        ),
        (f"fetch('{B}/x', {{ headers: {{ 'Content-Type': 'application/json' }} }})", "", []),
        ("fetch('/api/x', { method: 'PUT' })", "", []),
        ("fetch('http://localhost:8999/x', { method: 'PUT' })", "", []),
        (f"fetch('{B}/x', {{ method: m }})", "", []),
    ],
)
def test_what_the_front_end_calls_with_is_compared(
    tree: MakeTree, call: str, arguments: str, lacking: list[str]
) -> None:
    main = GATEWAY.replace("allow_origins=settings.origins", f"allow_origins=['x'], {arguments}")
    found = verdict(tree({"src/a.js": call}, main.replace(", )", ")")), "WEB809")
    assert [part for f in found for part in f.wanted.split(", ")] == lacking


# Properties.

SOURCES = [
    f"const A = '{B}'\nconst c = axios.create({{ baseURL: `${{A}}/api`, headers: {{ 'X-A': 1 }} }})\n"
    "c.interceptors.request.use((c) => { c.headers.Authorization = `Bearer ${t}` })\n"
    "export default c\nc.put(`/x/${id}`, { a: 1 })\n",
    f"import c, {{ A as B }} from './a'\nfetch(`${{B}}/x` + y, {{ method: 'PATCH' }})\n"
    f"if (import.meta.env.DEV) fetch('{B}/é')\nfetch(import.meta.env.VITE_A ?? '{B}')\n",
]


@given(data=st.data())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_mutation_of_the_source_makes_the_reader_crash(
    tmp_path: Path, data: st.DataObject
) -> None:
    files: dict[str, bytes] = {"frontend/vite.config.js": b"export default {}"}
    for name, text in zip(("a.ts", "b.jsx"), SOURCES, strict=True):
        mutated = bytearray(text.encode())
        for _ in range(data.draw(st.integers(0, 5))):
            at = data.draw(st.integers(0, len(mutated)))
            mutated[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))
        files[f"frontend/src/{name}"] = bytes(mutated)
    for request in requests(gateway_tree(tmp_path, files)):
        path = request.address.place.path
        assert request.address.origin.encode()[:7] in files[path]
