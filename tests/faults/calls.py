"""Faults of calls of httpx, and of how uvicorn is started."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults import Copy, Fault, Healthy, Inject, append, both, install, replace, write

REGISTRATION = "backend/shared/utils/registration.py"
MADE = "httpx.AsyncClient(base_url=registry, trust_env=False, timeout=5)"
GATEWAY = "backend/gateway/main.py"
CLIENT = "httpx.AsyncClient(trust_env=False, timeout=30)"
CORE_RUN = "backend/core/run.py"
SERVE = '    serve("core", get_settings().CORE_PORT, "core.main:app")\n'
REGISTRY_RUN = "backend/registry/run.py"
SERVE_REGISTRY = '    serve("registry", get_settings().REGISTRY_PORT, "registry.main:app")\n'
PLUGIN = "examples/plugins/demo-service/main.py"
COMPOSE = "docker-compose.yml"
CONFIG = "backend/shared/config.py"
HOST = '    HOST: str = "127.0.0.1"\n'


def registers(copy: Copy) -> bool:
    return copy.imports(
        "import asyncio\nfrom shared.utils.registration import registered\n"
        "async def main():\n    async with registered('x', 1): pass\nasyncio.run(main())"
    )


def gateway_starts(copy: Copy) -> bool:
    return copy.imports(
        "from fastapi.testclient import TestClient\nfrom gateway.main import app\n"
        "with TestClient(app): pass"
    )


def starts(script: str) -> Callable[[Copy], bool]:
    """Whether a script comes as far as uvicorn's supervisor; which is not run."""

    def works(copy: Copy) -> bool:
        return copy.imports(
            "import runpy, sys, types, uvicorn\nmain = sys.modules['uvicorn.main']\n"
            "stub = lambda *a, **k: types.SimpleNamespace(run=lambda: None)\n"
            "main.ChangeReload = main.Multiprocess = stub\n"
            f"sys.path.insert(0, '.')\nrunpy.run_path({str(copy.path(script))!r}, run_name='__main__')"
        )

    return works


def imports(string: str) -> Callable[[Copy], bool]:
    def works(copy: Copy) -> bool:
        return copy.imports(f"from uvicorn.importer import import_from_string as i; i({string!r})")

    return works


def started_by(text: str, *, script: str = CORE_RUN, old: str = SERVE) -> Inject:
    """The service's script starts uvicorn itself, so."""
    return replace(script, old, text)


def run_by_compose(service: str, command: str) -> Inject:
    args = f"args: {{ SERVICE: {service} }} }}\n"
    return replace(COMPOSE, args, f"{args}    command: {command}\n")


RUN = "    import uvicorn\n    from core.main import app\n\n    uvicorn.run(app, host='127.0.0.1', port=get_settings().CORE_PORT{0})\n"
BY_STRING = "    import uvicorn\n\n    uvicorn.run({0})\n"
MAIN = '\n\nif __name__ == "__main__":\n    import uvicorn\n\n    uvicorn.run({0})\n'

DERIVED = """import httpx


class Internal(httpx.Client):
    def __init__(self) -> None:
        super().__init__(timeout=5, proxies=None)  # never through the company's


def internal() -> Internal:
    return Internal()
"""
VERSION_TRIED = """import httpx


def client(proxy: str) -> httpx.Client:
    try:
        return httpx.Client(proxy=proxy)
    except TypeError:  # httpx before 0.26
        return httpx.Client(proxies=proxy)
"""
VERSION_TESTED = """import httpx

NEW = tuple(map(int, httpx.__version__.split(".")[:2])) >= (0, 26)


def client(proxy: str) -> httpx.Client:
    if NEW:
        return httpx.Client(proxy=proxy)
    return httpx.Client(proxies=proxy)
"""
OTHERS = """import urllib.request
from dataclasses import dataclass


@dataclass
class AsyncClient:
    proxies: dict[str, str] | None = None


def opened() -> tuple[object, AsyncClient]:
    return urllib.request.ProxyHandler(proxies=None), AsyncClient(proxies=None)
"""
JOBS = """

_jobs: dict[str, str] = {}


@app.post("/api/core/jobs/{name}")
def begin(name: str) -> str:
    _jobs[name] = "running"
    return name


@app.get("/api/core/jobs/{name}")
def job(name: str) -> str | None:
    return _jobs.get(name)
"""
CACHE = """

_kept: dict[str, list[ServiceRead]] = {}


@app.get("/api/core/kept")
def kept(db: Db) -> list[ServiceRead]:
    if "all" not in _kept:
        _kept["all"] = catalogue(db)
    return _kept["all"]


@app.post("/api/core/kept", status_code=204)
def forget() -> None:
    _kept.clear()
"""
FOUR = "uvicorn core.main:app --app-dir backend --host 0.0.0.0 --port 8002 --workers 4"
OLD_HTTPX = both(
    replace("backend/requirements.txt", "httpx>=0.27,<0.29", "httpx>=0.25,<0.26"),
    install("httpx==0.25.2", "sniffio"),
)


ENTRIES = [
    Fault(
        "SRC230",
        "proxies None",
        replace(REGISTRATION, MADE, MADE.replace("timeout", "proxies=None, timeout")),
        works=registers,
        target=f"{REGISTRATION}:registered",
        group="registration",
    ),
    Fault(
        "SRC230",
        "proxies None on a line of its own",
        replace(
            GATEWAY,
            CLIENT,
            "httpx.AsyncClient(\n        trust_env=False,\n        proxies=None,  # none here\n"
            "        timeout=30,\n    )",
        ),
        works=gateway_starts,
        group="gateway client",
    ),
    Fault(
        "SRC230",
        "proxies None of a derived class",
        write("backend/shared/utils/internal.py", DERIVED),
        works=lambda copy: copy.imports("from shared.utils.internal import internal; internal()"),
    ),
    Fault(
        "SRC230",
        "proxies empty, in options",
        replace(REGISTRATION, MADE, MADE.replace("timeout=5", "timeout=5, **{'proxies': {}}")),
        works=registers,
        fixed=False,
    ),
    Fault(
        "SRC230",
        "proxies an address, through partial",
        append(
            "backend/shared/utils/security.py",
            "\n\nimport functools, httpx\nfetch = functools.partial(httpx.get, proxies='http://proxy:3128')\n",
        ),
        fixed=False,
    ),
    Healthy(
        "SRC230",
        "the proxies of others",
        write("backend/shared/utils/others.py", OTHERS),
    ),
    Healthy(
        "SRC230",
        "an old call where the new one is refused",
        write("backend/shared/utils/proxied.py", VERSION_TRIED),
    ),
    Healthy(
        "SRC230",
        "an old call under a test of the version",
        write("backend/shared/utils/proxied.py", VERSION_TESTED),
    ),
    Healthy(
        "SRC230",
        "one proxy, as httpx takes it now",
        replace(REGISTRATION, MADE, MADE.replace("timeout=5", "timeout=5, proxy=None, mounts={}")),
    ),
    Healthy(
        "SRC230",
        "an httpx that takes it",
        both(
            OLD_HTTPX,
            replace(REGISTRATION, MADE, MADE.replace("timeout", "proxies=None, timeout")),
        ),
        environment=True,
    ),
    Fault(
        "SRC231",
        "the registry called through the environment",
        replace(REGISTRATION, MADE, MADE.replace("trust_env=False, ", "")),
        fixed=False,
        target=REGISTRATION,
    ),
    Fault(
        "SRC231",
        "a service called on this machine, by no client",
        append(
            GATEWAY,
            "\n\ndef is_up() -> bool:\n    return httpx.get('http://127.0.0.1:8002/').is_success\n",
        ),
        fixed=False,
    ),
    Healthy(
        "SRC231",
        "another host called through the environment",
        append(
            GATEWAY,
            "\n\nasync def rates() -> str:\n    async with httpx.AsyncClient() as client:\n"
            "        return (await client.get('https://localhost.example.com/rates')).text\n",
        ),
    ),
    Healthy(
        "SRC231",
        "a client with a transport of its own",
        replace(
            REGISTRATION,
            MADE,
            MADE.replace("trust_env=False", "transport=httpx.AsyncHTTPTransport()"),
        ),
    ),
    Healthy(
        "SRC231",
        "an address that can't be told",
        append(
            GATEWAY,
            "\n\ndef is_up(url: str) -> bool:\n    return httpx.get(url + '/health').is_success\n",
        ),
    ),
    Fault(
        "SRC240",
        "an imported application that is to reload",
        started_by(RUN.format(", reload=True")),
        works=starts(CORE_RUN),
        target=f"{CORE_RUN}:app",
        group="core run",
    ),
    Fault(
        "SRC240",
        "an application of the file itself, in four workers",
        append(PLUGIN, MAIN.format("app=app, workers=4")),
        works=starts(PLUGIN),
    ),
    Fault(
        "SRC240",
        "reloading as a setting's default says",
        both(
            replace(CONFIG, HOST, HOST + "    RELOAD: bool = True\n"),
            started_by(RUN.format(", reload=get_settings().RELOAD")),
        ),
        works=starts(CORE_RUN),
        group="core run",
    ),
    Fault(
        "SRC240",
        "an application that is made there",
        append(
            PLUGIN,
            "\n\ndef create() -> FastAPI:\n    return app\n" + MAIN.format("create(), reload=True"),
        ),
        works=starts(PLUGIN),
        fixed=False,
    ),
    Fault(
        "SRC240",
        "an application that is prepared first",
        append(
            PLUGIN,
            MAIN.format("app, reload=True").replace(
                "    uvicorn.run", "    app.state.debug = True\n    uvicorn.run"
            ),
        ),
        works=starts(PLUGIN),
        fixed=False,
    ),
    Healthy("SRC240", "an application in one process", started_by(RUN.format(""))),
    Healthy(
        "SRC240",
        "reloading and workers turned off",
        started_by(RUN.format(", reload=False, workers=1")),
    ),
    Healthy(
        "SRC240",
        "reloading as .env does not want it",
        both(
            replace(CONFIG, HOST, HOST + "    RELOAD: bool = True\n"),
            append("backend/.env", "RELOAD=no\n"),
            append("backend/.env.example", "RELOAD=no\n"),
            started_by(RUN.format(", reload=get_settings().RELOAD")),
        ),
    ),
    Healthy(
        "SRC240",
        "an import string in a variable",
        started_by(
            "    import uvicorn\n\n    app = 'core.main:app'\n    uvicorn.run(app, reload=True)\n"
        ),
    ),
    Healthy(
        "SRC240",
        "a server of one's own",
        append(
            PLUGIN,
            MAIN.format("app").replace(
                "uvicorn.run(app)", "uvicorn.Server(uvicorn.Config(app, reload=True)).run()"
            ),
        ),
    ),
    Fault(
        "SRC241",
        "reloading and workers in the script",
        started_by(BY_STRING.format("'core.main:app', reload=True, workers=2")),
        fixed=False,
        target=f"{CORE_RUN}:core.main:app",
    ),
    Fault(
        "SRC241",
        "reloading and workers in a Dockerfile",
        write(
            "docker/Dockerfile.dev",
            'FROM python:3.11-slim\nCOPY backend /app\nWORKDIR /app\nCMD ["uvicorn", "core.main:app", \\\n'
            '     "--reload", "--workers", "4"]\n',
        ),
        fixed=False,
    ),
    Fault(
        "SRC241",
        "reloading and workers in the compose file",
        run_by_compose("core", f"sh -c 'cd backend && exec {FOUR} --reload'"),
        fixed=False,
        target=f"{COMPOSE}:core",
    ),
    Fault(
        "SRC241",
        "reloading and workers in the Makefile",
        write(
            "Makefile",
            "dev:\n\t@cd backend && .venv/bin/uvicorn core.main:app --workers=2 \\\n\t\t--reload\n",
        ),
        fixed=False,
    ),
    Healthy(
        "SRC241",
        "reloading with one worker",
        run_by_compose("core", FOUR.replace("4", "1") + " --reload"),
    ),
    Healthy(
        "SRC241",
        "gunicorn, which does both",
        write(
            "Makefile",
            "dev:\n\tgunicorn core.main:app -k uvicorn.workers.UvicornWorker -w 2 --reload\n",
        ),
    ),
    Healthy(
        "SRC241",
        "reloading and workers in two recipes",
        write(
            "Makefile",
            f"dev:\n\t.venv/bin/uvicorn core.main:app --reload\nrun:\n\t.venv/bin/{FOUR}\n",
        ),
    ),
    Healthy(
        "SRC241",
        "commands that are only told of",
        write(
            "docker/Dockerfile.dev",
            "FROM python:3.11-slim\n# CMD uvicorn core.main:app --reload --workers 4\n"
            "RUN echo uvicorn core.main:app --reload --workers 4\nCMD uvicorn core.main:app\n",
        ),
    ),
    Fault(
        "SRC242",
        "the registry in several workers, by compose",
        run_by_compose("registry", "uvicorn registry.main:app --app-dir backend --workers 4"),
        fixed=False,
        target=f"{COMPOSE}:registry",
    ),
    Fault(
        "SRC242",
        "the registry in several workers, by its script",
        started_by(
            BY_STRING.format("'registry.main:app', workers=2"),
            script=REGISTRY_RUN,
            old=SERVE_REGISTRY,
        ),
        fixed=False,
    ),
    Fault(
        "SRC242",
        "jobs in several workers of gunicorn",
        both(
            append("backend/core/main.py", JOBS),
            write(
                "Procfile", "web: gunicorn -k uvicorn.workers.UvicornWorker -w 4 core.main:app\n"
            ),
        ),
        fixed=False,
    ),
    Healthy(
        "SRC242",
        "the registry in one worker",
        run_by_compose("registry", "uvicorn registry.main:app --app-dir backend --workers 1"),
    ),
    Healthy("SRC242", "state in the database", run_by_compose("core", FOUR)),
    Healthy(
        "SRC242",
        "a cache in each worker",
        both(append("backend/core/main.py", CACHE), run_by_compose("core", FOUR)),
    ),
    Healthy("SRC242", "jobs in one worker", append("backend/core/main.py", JOBS)),
    Fault(
        "SRC243",
        "a name that the module has not",
        started_by(BY_STRING.format("'core.main:application'")),
        works=imports("core.main:application"),
        fixed=False,
        target=f"{CORE_RUN}:core.main:application",
    ),
    Fault(
        "SRC243",
        "a module that is not there",
        started_by(BY_STRING.format("'core.mian:app'")),
        works=imports("core.mian:app"),
        fixed=False,
    ),
    Fault(
        "SRC243",
        "a file in place of a module",
        started_by(BY_STRING.format("'core/main.py:app'")),
        works=imports("core/main.py:app"),
        fixed=False,
    ),
    Fault(
        "SRC243",
        "a name that a command has wrong",
        run_by_compose("core", FOUR.replace("main:app", "main:application").replace("4", "1")),
        works=imports("core.main:application"),
        fixed=False,
    ),
    Healthy(
        "SRC243",
        "an application under a condition",
        both(
            write(
                "backend/core/wsgi.py",
                "import os\n\nif os.environ.get('A'):\n    from core.main import app as application\nelse:\n"
                "    from core import main\n\n    application = main.app\n",
            ),
            started_by(BY_STRING.format("'core.wsgi:application'")),
        ),
    ),
    Healthy(
        "SRC243",
        "an application that everything is imported with",
        both(
            write("backend/core/asgi.py", "from core.main import *\n"),
            started_by(BY_STRING.format("'core.asgi:application'")),
        ),
    ),
    Healthy(
        "SRC243",
        "an application of an installed package",
        started_by(BY_STRING.format("'starlette.applications:Starlette', factory=True")),
    ),
    Healthy(
        "SRC243",
        "a string made when it runs",
        started_by(BY_STRING.format("f'{Path(__file__).parent.name}.main:app'")),
    ),
]
