"""Faults of the settings file."""

from __future__ import annotations

import re

from tests.faults import Copy, Fault, Healthy, Inject, append, both, remove, replace, write

ENV = "backend/.env"
DATABASE = "backend/shared/database.py"
SETTINGS = "backend/shared/config.py"


def settings_load(copy: Copy) -> bool:
    return copy.imports("from shared.config import get_settings; get_settings()")


def setting(key: str, line: str) -> Inject:
    """Replace a key's line, whatever its value."""

    def inject(copy: Copy) -> None:
        file = copy.path(ENV)
        text, count = re.subn(rf"^{key}=.*$", lambda _: line, file.read_text(), flags=re.M)
        assert count == 1
        file.write_text(text)

    return inject


def old_scheme(copy: Copy) -> None:
    replace(ENV, "postgresql://", "postgres://")(copy)


def own_connection(copy: Copy) -> None:
    """An engine whose connections psycopg2 makes by itself, from the address as it is."""
    file = copy.path(DATABASE)
    text = file.read_text().replace(
        "from sqlalchemy import", "import psycopg2\nfrom sqlalchemy import"
    )
    text = text.replace(
        "        get_settings().DATABASE_URL,\n",
        '        "postgresql+psycopg2://",\n'
        "        creator=lambda: psycopg2.connect(get_settings().DATABASE_URL),\n",
    )
    file.write_text(re.sub(r"(?m)^ +connect_args=.*\n", "", text))


def engine_connects(copy: Copy) -> bool:
    return copy.imports("from shared.database import get_engine; get_engine().connect()")


def open_double_quote(copy: Copy) -> None:
    """The lines up to the next quote are lost with it; the fix must leave them."""
    setting("SECRET_KEY", 'SECRET_KEY="open')(copy)
    append(ENV, '# a comment with a "quote"\n')(copy)


def exported(copy: Copy) -> None:
    file = copy.path(ENV)
    file.write_text(re.sub(r"^(?=\w+=)", "export ", file.read_text(), flags=re.M))


def carriage_returns(copy: Copy) -> None:
    file = copy.path(ENV)
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))


SOUND = """compose-file = "docker-compose.yml"
env-file = "backend/.env"
requirements = ["backend/requirements.txt"]
"""

ENTRIES = [
    Fault(
        "CFG901",
        "no settings file",
        remove(ENV),
        works=settings_load,
        against=("CFG902", "CFG903", "NET4", "WEB801"),
    ),
    Healthy(
        "CFG901",
        "no settings file, of which only the containers get the example",
        both(
            remove(ENV),
            replace(SETTINGS, 'env_file=BACKEND / ".env", ', ""),
            replace(
                "docker-compose.yml", "  core:\n", "  core:\n    env_file: backend/.env.example\n"
            ),
        ),
    ),
    Healthy(
        "CFG901",
        "no settings file and no example",
        lambda copy: copy.path("backend/.env.example").unlink(),
    ),
    Fault(
        "CFG902",
        "an open quote",
        setting("SECRET_KEY", "SECRET_KEY='open"),
        works=settings_load,
        target="SECRET_KEY",
    ),
    Healthy("CFG902", "export before every key", exported),
    Healthy("CFG902", "line ends of Windows", carriage_returns),
    Healthy("CFG902", "comments and blank lines", append(ENV, "\n\n# = not a setting\n   \n")),
    Fault(
        "CFG903",
        "no scheme in REGISTRY_URL",
        setting("REGISTRY_URL", "REGISTRY_URL=localhost:8001"),
        target="REGISTRY_URL",
    ),
    Fault("CFG903", "the old scheme of SQLAlchemy", old_scheme, target="DATABASE_URL"),
    Fault(
        "CFG903",
        "a port that is no number",
        setting("DATABASE_URL", "DATABASE_URL=postgresql://u:p@localhost:54x2/d"),
        fixed=False,
    ),
    Fault("CFG902", "an open quote that takes lines along", open_double_quote, target="SECRET_KEY"),
    Healthy(
        "CFG903",
        "a database of another kind",
        setting("DATABASE_URL", "DATABASE_URL=sqlite:///platform.db"),
    ),
    Fault(
        "CFG903",
        "SQLAlchemy's scheme for psycopg2 itself",
        both(own_connection, replace(ENV, "postgresql://", "postgresql+psycopg2://")),
        works=engine_connects,
        fixed=False,
        target="DATABASE_URL",
    ),
    Fault(
        "CFG903",
        "a scheme that Redis' client does not know",
        setting("REDIS_URL", "REDIS_URL=http://127.0.0.1:6379/0"),
        fixed=False,
        target="REDIS_URL",
    ),
    Healthy(
        "CFG903",
        "the old scheme, which the code replaces",
        both(
            old_scheme,
            replace(
                DATABASE,
                "get_settings().DATABASE_URL,",
                'get_settings().DATABASE_URL.replace("postgres://", "postgresql://", 1),',
            ),
        ),
    ),
    Healthy(
        "CFG903",
        "the old scheme, which a validator replaces",
        both(
            old_scheme,
            replace(SETTINGS, "from pydantic_settings", "import pydantic\nfrom pydantic_settings"),
            replace(
                SETTINGS,
                "    @property\n    def cors",
                '    @pydantic.field_validator("DATABASE_URL")\n    @classmethod\n'
                "    def known_scheme(cls, text: str) -> str:\n"
                '        head, _, rest = text.partition("://")\n'
                '        return "postgresql://" + rest if head == "postgres" else text\n\n'
                "    @property\n    def cors",
            ),
        ),
    ),
    Healthy("CFG903", "the old scheme for psycopg2 itself", both(own_connection, old_scheme)),
    Healthy(
        "CFG903",
        "a registry whose scheme the code writes",
        both(
            setting("REGISTRY_URL", "REGISTRY_URL=localhost:8001"),
            replace(
                "backend/shared/utils/registration.py", 'f"{settings.REG', 'f"http://{settings.REG'
            ),
            replace("backend/gateway/table.py", 'f"{settings.REG', 'f"http://{settings.REG'),
        ),
    ),
    Healthy(
        "CFG903",
        "sentinels for a library of their own",
        both(
            setting("REDIS_URL", "REDIS_URL=redis+sentinel://a:26379,b:26379/main"),
            replace("backend/gateway/table.py", "redis.from_url(", "sentinels.from_url("),
            replace(
                "backend/gateway/table.py", "import httpx\n", "import httpx\nimport sentinels\n"
            ),
            write("backend/sentinels.py", "def from_url(url: str, **_: object) -> object: ...\n"),
        ),
    ),
    Healthy(
        "CFG903",
        "quotes around an address",
        setting("REGISTRY_URL", 'REGISTRY_URL="http://127.0.0.1:8001"'),
    ),
    Fault(
        "CFG907",
        "a key twice",
        append(ENV, "\nHOST=0.0.0.0\n"),
        fixed=False,
        target="HOST",
    ),
    Healthy("CFG907", "the same twice", append(ENV, "\nHOST=127.0.0.1\n")),
    Healthy("CFG907", "one that builds on the first", append(ENV, '\nHOST="${HOST}"\n')),
    Healthy("CFG907", "a comment beside it", append(ENV, "\n# HOST=0.0.0.0\n")),
    Fault(
        "CFG914",
        "a port beyond the last",
        setting("DEMO_SERVICE_PORT", "DEMO_SERVICE_PORT=80033"),
        fixed=False,
        target="DEMO_SERVICE_PORT",
    ),
    Fault(
        "CFG914",
        "a port that is taken from the environment",
        both(
            append(ENV, "METRICS_PORT=900090\n"),
            write(
                "backend/core/metrics.py",
                "import os\nimport socket\n\nfrom dotenv import load_dotenv\n\nload_dotenv()\n\n\n"
                "def listen() -> socket.socket:\n"
                '    return socket.create_server(("127.0.0.1", int(os.environ["METRICS_PORT"])))\n',
            ),
        ),
        fixed=False,
        target="METRICS_PORT",
    ),
    Healthy(
        "CFG914",
        "a key that the code only names",
        both(
            append(ENV, "OLD_PORT=99999\n"),
            write("backend/core/old.py", '"""OLD_PORT is for the program before this one."""\n'),
        ),
    ),
    Healthy(
        "CFG914",
        "a code of a harbour",
        both(
            append(ENV, "HOME_PORT=700123\n"),
            write(
                "backend/core/ships.py",
                "import os\n\nHOME = f\"DE{os.environ.get('HOME_PORT', '')}\"\n",
            ),
        ),
    ),
    Healthy(
        "CFG914",
        "a port that is turned off",
        both(
            append(ENV, "METRICS_PORT=-1\n"),
            write(
                "backend/core/metrics.py",
                "import os\nimport socket\n\n"
                'port = int(os.getenv("METRICS_PORT", "-1"))\nif port >= 0:\n'
                '    server = socket.create_server(("127.0.0.1", port))\n',
            ),
        ),
    ),
    Healthy("CFG914", "a port of the front end's tools", append(ENV, "PORT=123456\n")),
    Healthy(
        "CFG914",
        "a number that a calculation makes a port of",
        both(
            append(ENV, "SEED_PORT=987654\n"),
            write(
                "backend/core/seed.py",
                "import os\nimport socket\n\n"
                'port = 1024 + int(os.environ.get("SEED_PORT", "1")) % 60000\n'
                "\n\ndef listen() -> socket.socket:\n"
                '    return socket.create_server(("127.0.0.1", port))\n',
            ),
        ),
    ),
    Healthy("CFG914", "a port that no code names", append(ENV, "\nOLD_PORT=99999\n")),
    Healthy("CFG914", "any free port", setting("DEMO_SERVICE_PORT", "DEMO_SERVICE_PORT=0")),
    Fault(
        "CFG915",
        "a compose file of another name",
        write("saas-doctor.toml", '# what is where\ncompose-file = "docker-compose.yaml"\n'),
        fixed=False,
        target="compose-file",
    ),
    Healthy("CFG915", "paths that are there", write("saas-doctor.toml", SOUND)),
]
