"""Faults of the front end's files."""

from __future__ import annotations

import re

from tests.faults import Copy, Fault, Healthy, Inject, both, replace, write

VITE = "frontend/vite.config.js"

BARE = "import { defineConfig } from 'vite'\n\nexport default defineConfig({})\n"
FUNCTION = """import { defineConfig } from 'vite'

export default defineConfig(({ mode }) => {
  return {
    server: { port: 5173 },
    define: { __MODE__: mode },
  }
})
"""
COMMENTED = """export default {
  server: {
    // proxy: { '/api': 'http://127.0.0.1:8000' },
    port: 5173,
  },
}
"""
OTHER_ENTRY = """export default {
  server: {
    port: 5173,
    proxy: {
      '/static': 'http://127.0.0.1:9000',
    },
  },
}
"""
REGEX = "export default { server: { proxy: { '^/(api|auth)/.*': 'http://127.0.0.1:8000' } } }\n"
STRING = "module.exports = { server: { proxy: { '/api': 'http://127.0.0.1:8000' } } }\n"
LATER = """import { defineConfig } from 'vite'
import react from '@vitejs/plugin-react'

const config = { plugins: [react()], server: { port: 5173 } }
Object.assign(config.server, { proxy: { '/api': 'http://127.0.0.1:8000' } })

export default defineConfig(config)
"""
PLUGIN = """import { defineConfig } from 'vite'
import gateway from 'vite-plugin-gateway'

export default defineConfig({ plugins: [gateway({ to: 8000 })], server: { port: 5173 } })
"""
VARIABLE = "const config = { server: { proxy: { '/api': 'http://127.0.0.1:8000' } } }\nexport default config\n"


def loads(copy: Copy) -> bool:
    """Whether Node takes the file's syntax, and the API's prefix is in it."""
    text, port = copy.path(VITE).read_text(), copy.ports["gateway"]
    body = text.replace("import { defineConfig } from 'vite'", "const defineConfig = c => c")
    copy.path("frontend/probe.mjs").write_text(body)
    done = copy.run("node", "--check", "probe.mjs", cwd="frontend")
    copy.path("frontend/probe.mjs").unlink()
    return (
        done.returncode == 0
        and re.search(rf"'/api': \{{ target: 'http://(127.0.0.1|localhost):{port}'", text)
        is not None
    )


def target(expression: str) -> Inject:
    """The target of the proxy's entry for the API; `{gateway}` is the gateway's port."""

    def inject(copy: Copy) -> None:
        text = copy.path(VITE).read_text()
        made = "target: " + expression.replace("{gateway}", str(copy.ports["gateway"]))
        after, times = re.subn(r"target: '[^']*'", made, text)
        assert times == 1
        copy.path(VITE).write_text(after)

    return inject


ENTRIES = [
    Fault("WEB803", "no server", write(VITE, BARE), works=loads, group="vite"),
    Fault(
        "WEB803",
        "a server without proxy, in a function",
        write(VITE, FUNCTION),
        works=loads,
        group="vite",
    ),
    Fault(
        "WEB803",
        "the proxy is commented out",
        write(VITE, COMMENTED),
        works=loads,
        group="vite",
        at="frontend/vite.config.js:server: {",
    ),
    Fault(
        "WEB803",
        "a proxy for something else",
        write(VITE, OTHER_ENTRY),
        works=loads,
        group="vite",
        at="frontend/vite.config.js:proxy: {",
    ),
    Healthy("WEB803", "a pattern", write(VITE, REGEX)),
    Healthy("WEB803", "a string as target", write(VITE, STRING)),
    Healthy("WEB803", "in a variable", write(VITE, VARIABLE)),
    Healthy("WEB803", "put in after the configuration is made", write(VITE, LATER)),
    Healthy("WEB803", "a plugin of which nothing is known", write(VITE, PLUGIN)),
    Healthy(
        "WEB803",
        "nginx before the dev server",
        both(
            write(VITE, BARE),
            write("docker/nginx.conf", "location / { proxy_pass http://127.0.0.1:5173; }\n"),
        ),
    ),
    Healthy(
        "WEB803",
        "an entry for the one path that is called",
        replace(VITE, "'/api':", "'/api/demo':"),
    ),
    Healthy(
        "WEB803",
        "calls of a client whose base is elsewhere",
        both(
            write(VITE, BARE),
            replace("frontend/src/main.js", "await fetch('/api/", "await client.get('/api/"),
            write("frontend/src/client.js", "export const BASE = import.meta.env.VITE_API_URL\n"),
        ),
    ),
    Healthy(
        "WEB803",
        "no proxy, and no call by a path",
        both(
            write(VITE, BARE),
            replace("frontend/src/main.js", "fetch('/api/", "fetch('https://api.example.com/"),
        ),
    ),
    Fault(
        "WEB811",
        "a target without a scheme",
        target("'127.0.0.1:{gateway}'"),
        target="/api",
        group="vite",
    ),
    Fault(
        "WEB811",
        "a port that is nobody's",
        target("'http://localhost:8088'"),
        works=loads,
        target="/api",
        group="vite",
    ),
    Fault(
        "WEB811",
        "a port that is nobody's, as text",
        write(VITE, STRING.replace("8000", "8088")),
        target="/api",
        group="vite",
    ),
    Healthy(
        "WEB811",
        "a port that a script names",
        both(
            target("'http://127.0.0.1:8088'"),
            write("scripts/dev.sh", "exec caddy reverse-proxy --from :8088 --to :8000\n"),
        ),
    ),
    Healthy(
        "WEB811",
        "a target from the environment",
        target("process.env.API ?? 'http://127.0.0.1:8088'"),
    ),
    Healthy(
        "WEB811",
        "another machine",
        target("'https://staging.saas.example'"),
    ),
]
