"""Faults of the settings file."""

from __future__ import annotations

import re

from tests.faults import Copy, Fault, Healthy, Inject, append, remove, replace, write

ENV = "backend/.env"


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
