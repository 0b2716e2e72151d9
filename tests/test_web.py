"""The front end's files: what its Vite configuration says, what its source calls, what is allowed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas_doctor import rules
from saas_doctor.edits import apply_edits
from saas_doctor.facts import Facts
from saas_doctor.facts.frontend import Call, FrontendCalls, SourceFile, calls_in
from saas_doctor.facts.vite import ViteConfig, read_config
from saas_doctor.model import Absent, Finding, Place, Undecided
from saas_doctor.platform import Platform
from tests.testbed import require
from tests.trees import MakeTree, gateway_tree, mended, verdict


@pytest.fixture
def tree(tmp_path: Path) -> MakeTree:
    """Makes a platform with a front end of these files (with a leading slash, beside it), and a gateway."""

    def make(files: dict[str, str]) -> Platform:
        named = {n[1:] if n[0] == "/" else f"frontend/{n}": t for n, t in files.items()}
        return gateway_tree(tmp_path, named)

    return make


EXAMPLES = int(os.environ.get("SD_EXAMPLES", "200"))


def vite(text: str, name: str = "vite.config.ts") -> ViteConfig:
    return read_config(Path(name), name, text.encode())


def file(text: str | bytes, name: str = "a.js") -> SourceFile:
    return SourceFile(Path(name), name, text.encode() if isinstance(text, str) else text)


def call(path: str, *, whole: bool = True) -> Call:
    return Call(path, Place("src/a.ts", 1), whole)


# Which origins are demanded.


@pytest.mark.parametrize(
    ("config", "origins"),
    [
        ("export default {}", ["http://localhost:5173"]),
        ("export default { server: { port: 3000 } }", ["http://localhost:3000"]),
        ("export default {\n  server: {\n    host: true,\n    port: 3000,\n  },\n}", ["http://localhost:3000"]),
        ("export default { 'server': { 'port': 3000 } }", ["http://localhost:3000"]),
        ("export default { preview: {\n port: 4173 } }", ["http://localhost:5173"]),
        ("export default { server: { hmr: { port: 24678 } } }", ["http://localhost:5173"]),
        ("export default { server: { strictPort: true } }", ["http://localhost:5173"]),
        ("export default { server: {\n // port: 3000,\n /* port: 1 */ } }", ["http://localhost:5173"]),
        ("export default { server: { proxy: { '/api': 'http://127.0.0.1:8000' }, port: 3000 } }", ["http://localhost:3000"]),
        ("const config = { server: { port: 3000 } }\nexport default config\n", ["http://localhost:3000"]),
        ("export default { server: { port: Number(process.env.PORT) } }", []),
        ("export default { server: { port } }", []),
        ("export default { server: { ...common } }", []),
        ("export default { server: { https: true } }", []),
        ("import { config } from './other'\nexport default config\n", []),
        ("export default mergeConfig(base, {})", []),
        ("export default { server }", []),
    ],
)  # fmt: skip
def test_only_an_origin_that_vite_is_known_to_serve_is_demanded(
    tree: MakeTree, config: str, origins: list[str]
) -> None:
    frontend = tree({"vite.config.js": config}).config.frontend
    assert frontend is not None
    assert list(frontend.origins) == origins


def test_the_port_of_the_script_counts_before_the_configuration(tree: MakeTree) -> None:
    package = '{"scripts": {"dev": "vite --host --port 3100", "preview": "vite preview --port 1"}}'
    platform = tree({"vite.config.js": "export default {}", "package.json": package})
    assert platform.config.frontend
    assert platform.config.frontend.origins == ("http://localhost:3100",)


# What the source calls.


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fetch('/api/users')", [("/api/users", True, True)]),
        ("fetch(`/api/users/${id}`)", [("/api/users/", False, True)]),
        ("fetch('/api/users/' + id)", [("/api/users/", False, True)]),
        ("axios.create({ baseURL: '/api' })", [("/api", False, True)]),
        ("client.get('/api/users')", [("/api/users", True, False)]),
        ("const BASE = '/api'", [("/api", True, False)]),
        ("fetch(HOST + '/api/users')", []),
        ("fetch(`${HOST}/api/users`)", []),
        ("fetch('http://localhost:8000/api/users')", []),
        ("import x from './api/users'", []),
        ("import x from '@/api/users'", []),
        ("fetch('/apifoo')", []),
    ],
)
def test_calls_by_a_path_are_read_from_the_source(
    text: str, found: list[tuple[str, bool, bool]]
) -> None:
    calls = calls_in(file(text), "/api")
    assert [(c.path, c.whole, certain) for c, certain in calls] == found


def test_an_origin_that_is_none_breaks_no_check(tmp_path: Path) -> None:
    config = '[frontend]\norigins = ["http://localhost:(173", "http://localhost:5174"]\n'
    files = {
        "saas-doctor.toml": config,
        "frontend/package.json": '{"devDependencies": {"vite": "^6"}}',
        "frontend/vite.config.ts": "export default {}",
        "frontend/src/api.ts": "fetch('/api/users')",
    }
    (finding,) = verdict(gateway_tree(tmp_path, files), "WEB803")
    assert "no proxy for /api" in finding.message


def test_comments_are_not_there_and_nothing_moves() -> None:
    text = b"a('http://x') // fetch('/api/a')\n/* '/api/b'\n*/ b(\"//\") // '\nfetch('/api/c')"
    (found,) = [c for c, _ in calls_in(file(text), "/api")]
    assert str(found.place) == "a.js:4:7"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "axios.create({ baseURL: 'http://localhost:8000' })",
        "axios.create({ baseURL: import.meta.env.VITE_API_URL })",
        "const HOST = 'http://127.0.0.1:8000'",
    ],
)
def test_a_clients_call_may_go_to_another_origin(tree: MakeTree, elsewhere: str) -> None:
    platform = tree(
        {
            "vite.config.js": "export default {}",
            "src/a.js": elsewhere,
            "src/b.js": "c.get('/api/x')",
        }
    )
    assert Facts(platform).get(FrontendCalls).relative == ()
    assert verdict(platform, "WEB803") == []


def test_tests_mocks_and_what_is_built_are_no_calls(tree: MakeTree) -> None:
    names = ["a.test.ts", "mocks/handlers.ts", "__tests__/b.ts", "dist/c.js", "node_modules/d.js"]
    files = {f"src/{name}": "fetch('/api/x')" for name in names}
    platform = tree({"vite.config.js": "export default {}", **files})
    assert Facts(platform).get(FrontendCalls).relative == ()


# The Vite configuration.

ENTRY = "'/api': 'http://127.0.0.1:8000'"
READ = [
    "export default { server: { proxy: { %s } } }",
    "export default defineConfig({ server: { proxy: { %s } } })",
    "export default defineConfig(({ mode }) => ({ server: { proxy: { %s } } }))",
    "export default defineConfig(async () => { const x = 1; return { server: { proxy: { %s } } } })",
    "export default defineConfig(function () { return { server: { proxy: { %s } } } })",
    "export default { server: { proxy: { %s } } } satisfies UserConfig",
    "export default ({ server: { proxy: { %s } } }) as UserConfig",
    "module.exports = { server: { proxy: { %s } } }",
    "const config: UserConfig = { server: { proxy: { %s } } }\nexport default config",
    "const server = { proxy: { %s } }\nexport default { server }",
    "const table = { %s }\nexport default defineConfig({ server: { proxy: table } })",
    "export default { 'server': { \"proxy\": { %s } } }",
    "export default mergeConfig({ plugins: [] }, { server: { proxy: { %s } } })",
    "const base = { plugins: [] }\nexport default mergeConfig(base, defineConfig({ server: { proxy: { %s } } }))",
    "export default function ({ mode }) { return { server: { proxy: { %s } } } }",
    "export default function config() { return { server: { proxy: { %s } } } }",
    "const config = { server: { proxy: { %s } } }\nexport { config as default }",
    "const config = { server: { proxy: { %s } } }\nexport = config",
    "exports.default = { server: { proxy: { %s } } }",
    "export default { plugins: [{ transform() { return 1 } }], server: { proxy: { %s } } }",
    "export default { ...base, server: { proxy: { %s } } }",
]


@pytest.mark.parametrize("text", READ)
def test_every_form_of_the_configuration_is_read_and_an_entry_put_in(text: str) -> None:
    name = "vite.config.ts"
    read = vite(text % ENTRY, name)
    assert (read.keys, read.unknown) == (("/api",), "")
    other = vite(text % "'/static': 'http://127.0.0.1:9000'", name)
    assert not other.covers(call("/api/x"))
    after = other.with_proxy("/api", "http://127.0.0.1:8100").result
    assert vite(after.decode(), name).keys == ("/api", "/static")


@pytest.mark.parametrize(
    "text",
    [
        "export default makeConfig()",
        "import config from './base'\nexport default config",
        "export default mergeConfig(base, {})",
        "export default mergeConfig({}, base)",
        "export default { ...base }",
        "export default { server: {}, ...base }",
        "export default { server: { ...base } }",
        "export default { server: { proxy: { ...base } } }",
        "export default { server: makeServer() }",
        "export default { server: { proxy: dev ? {} : undefined } }",
        "export default { server: { proxy: { [prefix]: target } } }",
        "export default { [name]: {} }",
        "export default defineConfig(({ mode }) => { if (mode) return {}; return { server: {} } })",
        "const config = {}\nconfig.server = { proxy: table }\nexport default config",
        "const config = { server: {} }\nconfig.server.proxy = table\nexport default config",
        "const config = {}\nObject.assign(config, base)\nexport default config",
        "const config = { server: {} }\nconfig.server!.proxy = table\nexport default config",
        "const config = { server: {} }\nconfig['server'].proxy = {}\nexport default config",
        "const config = {}\nObject.assign(config.server!, { proxy })\nexport default config",
        "const config = {}\nsetProxy(config)\nexport default defineConfig(config)",
        "const server = {}\nconst same = server\nsame.proxy = {}\nexport default { server }",
        "export default Object.assign({}, base, { server: {} })",
        "export default { server: Object.assign({}, base) }",
        "import mock from 'vite-plugin-mock'\nexport default { plugins: [mock()] }",
        "import { sveltekit } from '@sveltejs/kit/vite'\nexport default { plugins: [sveltekit()] }",
        "const proxy = require('vite-plugin-proxy')\nmodule.exports = { plugins: [proxy()] }",
        "export default { plugins: [{ config: () => ({ server: { proxy } }) }] }",
        "export default { plugins: [{ configResolved(c) { c.server.proxy = p } }] }",
        "export default { server: {",
        "",
    ],
)
def test_what_is_computed_or_comes_from_elsewhere_is_undecided(tree: MakeTree, text: str) -> None:
    platform = tree({"vite.config.ts": text, "src/a.ts": "fetch('/api/x')"})
    assert [type(f) for f in verdict(platform, "WEB803")] == [Undecided]


@pytest.mark.parametrize(
    "more",
    [
        {"package.json": '{"scripts": {"dev": "node server.js", "build": "vite build"}}'},
        {"package.json": '{"scripts": {"dev": "NODE_ENV=x tsx server.ts"}}'},
        {"package.json": '{"scripts": {"dev": "vite build --watch"}}'},
        {"src/b.ts": "import { worker } from './mocks/browser'\nawait worker.start()"},
        {"src/b.ts": "import MockAdapter from 'axios-mock-adapter'\nnew MockAdapter(client)"},
        {"/nginx/dev.conf": "location / { proxy_pass http://frontend:5173; }"},
        {"/Caddyfile": "localhost {\n  reverse_proxy frontend:5173\n}\n"},
    ],
)
def test_what_stands_before_the_dev_server_may_serve_the_api(
    tree: MakeTree, more: dict[str, str]
) -> None:
    files = {"vite.config.ts": "export default {}", "src/a.ts": "fetch('/api/x')"}
    assert [type(f) for f in verdict(tree(files), "WEB803")] == [Finding]
    assert [type(f) for f in verdict(tree({**files, **more}), "WEB803")] == [Undecided]


@pytest.mark.parametrize(
    "text",
    [
        "import react from '@vitejs/plugin-react'\nexport default { plugins: [react()] }",
        "const config = {}\nexport default defineConfig(config)",
        "const server = {}\nexport default { server, preview: server }",
        "import path from 'node:path'\nexport default { resolve: { alias: path.resolve('.') } }",
    ],
)
def test_what_can_set_no_proxy_leaves_no_doubt(tree: MakeTree, text: str) -> None:
    platform = tree({"vite.config.ts": text, "src/a.ts": "fetch('/api/x')"})
    assert [type(f) for f in verdict(platform, "WEB803")] == [Finding]


@pytest.mark.parametrize(
    ("key", "path", "whole", "covered"),
    [
        ("/api", "/api/x", True, True),
        ("/api/", "/api/x", True, True),
        ("/", "/api/x", True, True),
        ("/ap", "/api/x", True, True),
        ("/api/v1", "/api/v1/x", True, True),
        ("/api/v1", "/api/", False, True),
        ("/api/v1", "/api/v2", True, False),
        ("^/api", "/api/x", True, True),
        ("^/(api|auth)/.*", "/api/x", True, True),
        ("^/api/users/.*", "/api/x", True, False),
        ("^/api/(?<name>x)", "/api/y", True, True),
        ("/static", "/api/x", True, False),
    ],
)
def test_keys_are_prefixes_and_patterns(key: str, path: str, whole: bool, covered: bool) -> None:
    config = vite(f"export default {{ server: {{ proxy: {{ '{key}': 'http://a' }} }} }}")
    assert config.covers(call(path, whole=whole)) is covered


@pytest.mark.parametrize(
    "text",
    [
        "export default mergeConfig(base, { server: { proxy: { %s } } })",
        "export default { server: { proxy: { %s, ...more } } }",
        "export default { server: { proxy: { [name]: x, %s } } }",
        "import p from './plugin'\nexport default { plugins: [p()], server: { proxy: { %s } } }",
    ],
)
def test_an_entry_that_is_seen_counts_beside_what_is_not(tree: MakeTree, text: str) -> None:
    platform = tree({"vite.config.ts": text % ENTRY, "src/a.ts": "fetch('/api/x')"})
    assert verdict(platform, "WEB803") == []


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("vite", "vite.config.js"),
        ("vite --config dev.config.ts", "dev.config.ts"),
        ("cross-env A=1 vite -c dev.config.ts --host", "dev.config.ts"),
        ("vite --config=dev.config.ts", "dev.config.ts"),
        ("vite build --config dev.config.ts", "vite.config.js"),
        ("vite --host '", "vite.config.js"),
    ],
)
def test_the_configuration_that_the_script_names_counts(
    tree: MakeTree, script: str, name: str
) -> None:
    files = dict.fromkeys(
        ("vite.config.js", "vite.config.ts", "dev.config.ts"), "export default {}"
    )
    files["package.json"] = json.dumps({"scripts": {"dev": script}})
    assert Facts(tree(files)).get(ViteConfig).name == f"frontend/{name}"


@pytest.mark.parametrize("package", ["", "[]", '{"scripts": 1}', '{"scripts": {"dev": 1}}', "{"])
def test_a_package_of_any_kind_is_read(tree: MakeTree, package: str) -> None:
    files = {"vite.config.js": "export default {}", "package.json": package}
    assert Facts(tree(files)).get(ViteConfig).name == "frontend/vite.config.js"


def test_another_dev_server_is_not_vite(tree: MakeTree) -> None:
    package = '{"proxy": "http://localhost:8100", "dependencies": {"react-scripts": "5"}}'
    platform = tree({"vite.config.js": "", "package.json": package})
    platform.path("frontend/vite.config.js").unlink()
    with pytest.raises(Absent, match="react-scripts"):
        verdict(platform, "WEB803")


def test_an_entry_for_all_is_not_put_before_those_for_parts(tree: MakeTree) -> None:
    text = "export default { server: { proxy: { '/api/v1': 'http://127.0.0.1:8100' } } }"
    platform = tree({"vite.config.js": text, "src/a.js": "fetch('/api/v2/x')"})
    (finding,) = verdict(platform, "WEB803")
    assert "/api/v2/x" in finding.message
    assert finding.data["no_fix"]


# WEB811.


@pytest.mark.parametrize(
    ("target", "after"),
    [
        ("localhost:8100", "http://localhost:8100"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("http://localhost:9876", "http://localhost:8100"),
        ("http://127.0.0.1:9876/base", "http://127.0.0.1:8100/base"),
    ],
)
def test_a_target_that_leads_nowhere_is_put_right(tree: MakeTree, target: str, after: str) -> None:
    for form in ("'%s'", '{ target: "%s", ws: true }', "{ target: `%s` }"):
        text = "export default { server: { proxy: { '/api': " + form + " } } } // é\r\n"
        platform = tree({"vite.config.js": text % target})
        (action,) = mended(platform, "WEB811")
        assert action.result.decode() == text % after


@pytest.mark.parametrize(
    "entry",
    [
        "'/api': 'http://localhost:8100'",
        "'/api': 'https://api.example.com'",
        "'/api': 'http://gateway:8000'",
        "'/api': 'http://localhost'",
        "'/api': process.env.TARGET",
        "'/api': `http://localhost:${PORT}`",
        "'/api': { ...common, target: 'http://localhost:9876' }",
        "'/other': 'http://localhost:9876'",
        "// '/api': 'http://localhost:9876'\n",
    ],
)
def test_a_target_that_may_be_right_is_silent(tree: MakeTree, entry: str) -> None:
    text = f"export default {{ server: {{ proxy: {{ {entry} }} }} }}"
    assert verdict(tree({"vite.config.js": text}), "WEB811") == []


@pytest.mark.parametrize("name", ["Makefile", "scripts/dev.sh", "backend/other.py", "backend/.env"])
def test_a_port_that_a_file_names_is_somebodys(tree: MakeTree, name: str) -> None:
    text = "export default { server: { proxy: { '/api': 'http://localhost:9876' } } }"
    platform = tree({"vite.config.js": text})
    path = platform.path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("PORT = 9876\n")
    assert verdict(platform, "WEB811") == []


def test_an_entry_in_a_comment_is_not_there() -> None:
    config = vite(f"export default {{ server: {{ /* proxy: {{ {ENTRY} }} */ }} }}")
    assert config.keys is None
    assert config.level == "proxy"


def test_the_finding_names_the_call_and_has_no_fix_without_a_gateway(tree: MakeTree) -> None:
    files = {"vite.config.mts": "export default {}", "src/a.vue": "<script>\nfetch('/api/x')"}
    (finding,) = verdict(tree(files), "WEB803")
    assert isinstance(finding, Finding)
    assert "frontend/src/a.vue:2:7 (/api/x)" in finding.wanted
    assert not finding.data["no_fix"]


def test_the_entry_keeps_every_other_byte(tree: MakeTree) -> None:
    text = "export default {\r\n\tserver: { // dev\r\n\t\tport: 3000,\r\n\t},\r\n}\r\n"
    platform = tree({"vite.config.js": text, "src/a.js": "fetch('/api/x')"})
    fix = rules.fixes()["WEB803"]
    (finding,) = verdict(platform, "WEB803")
    (action,) = fix.function(finding, **Facts(platform).arguments(fix.facts))
    after: bytes = action.result  # type: ignore[attr-defined]
    assert b"target: 'http://127.0.0.1:8100', changeOrigin: true" in after
    assert b"\n" not in after.replace(b"\r\n", b"")
    kept = re.sub(rb"\s*proxy: \{.*?\},\s*\},", b"", after, flags=re.S)
    assert kept.split() == text.encode().split()


# Properties.

_FILL = st.sampled_from(["", " ", "\n", "\n  ", " // é\n", " /* é */ ", "\r\n\t"])
_MORE = st.sampled_from(["", "port: 5173", "port: 5173,", "open: true, host: 'é'"])


@given(
    head=st.sampled_from(
        [
            text.split(" server:")[0]
            for text in READ
            if " server: { proxy: { %s } } }" in text and "..." not in text
        ]
    ),
    level=st.sampled_from(["server", "proxy", "entry"]),
    fills=st.tuples(_FILL, _FILL, _FILL, _FILL),
    more=_MORE,
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_an_entry_that_is_put_in_is_read_again(
    head: str, level: str, fills: tuple[str, str, str, str], more: str
) -> None:
    tail = next(text for text in READ if text.startswith(head + " server:")).split("%s } } }")[1]
    one, two, three, four = fills
    inner = {
        "server": f"{one}{four}",
        "proxy": f"{one}server:{two}{{{three}{more}{four}}}{one}",
        "entry": f"{one}server: {{{two}proxy:{three}{{{four}}},{one}{more}{two}}}{one}",
    }[level]
    config = vite(f"{head}{inner}}}{tail}")
    assert (config.level, config.unknown) == (level, "")
    edit = config.with_proxy("/api", "http://127.0.0.1:8000")
    after = vite(edit.result.decode())
    assert after.unknown == ""
    assert after.covers(call("/api/x"))
    (only,) = edit.edits
    assert config.data[only.start : only.end].strip(b" \t") == b""
    assert edit.result.replace(only.text, config.data[only.start : only.end], 1) == config.data


@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_mutation_of_the_bytes_makes_the_reader_crash(data: st.DataObject) -> None:
    text = bytearray(data.draw(st.sampled_from(READ)).replace("%s", ENTRY).encode())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))
    config = read_config(Path("v.ts"), "v.ts", bytes(text))
    try:
        edit = config.with_proxy("/api", "http://127.0.0.1:8000")
    except Absent:
        return
    assert apply_edits(bytes(text), edit.edits) == edit.result


@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_mutation_of_the_bytes_makes_the_scanner_crash(data: st.DataObject) -> None:
    sources = (
        "fetch(`/api/${x}`)\n// '/api/no'\n",
        "<script>a({ baseURL: '/api' }) /* x */</script>",
    )
    name = data.draw(st.sampled_from(["a.ts", "a.jsx", "a.vue"]))
    text = bytearray("".join(sources).encode())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))
    for found, _ in calls_in(file(bytes(text), name), "/api"):
        assert found.path.startswith("/api")


@pytest.mark.parametrize("text", ["export default {}", *READ[:5], READ[7]])
def test_node_takes_the_configuration_with_the_entry(tmp_path: Path, text: str) -> None:
    require(shutil.which("node"), "node")
    config = vite(text.replace("%s", "'/static': 'http://127.0.0.1:9000'"), "vite.config.js")
    after = config.with_proxy("/api", "http://127.0.0.1:8000").result
    file = tmp_path / ("vite.config.cjs" if b"module.exports" in after else "vite.config.mjs")
    file.write_bytes(after)
    node = shutil.which("node")
    assert node
    done = subprocess.run([node, "--check", str(file)], stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0
