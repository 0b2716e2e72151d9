"""The images that the reference platform's Compose file names, made here: no registry is asked.

Debian's Python, Postgres and Redis under the names of the official images. They are made once a
machine (some minutes) and then loaded from the cache (some seconds).
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import docker
from filelock import FileLock

from tests.testbed import engine
from tests.testbed.platforms import CACHE

PYTHON, POSTGRES, REDIS = NAMES = "python:3.11-slim", "postgres:16", "redis:7"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
# A machine behind a proxy that opens TLS has its authority in the host's bundle, and pip its own.
_CHANGES = [
    f"ENV PIP_CERT=/{_CERTIFICATES} PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore",
    f"LABEL {engine.LABEL}=1",
    'CMD ["python"]',
]
_SERVERS = f"""FROM {PYTHON}
RUN apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qqy install \
    --no-install-recommends postgresql redis-server > /dev/null && \
    rm -rf /var/lib/apt/lists /var/lib/postgresql/*/main && \
    ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ && install -d -m 1777 /run/postgresql
COPY entrypoint /
"""
_POSTGRES = """#!/bin/sh
# What the official entrypoint does with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB.
set -e
: "${PGDATA:=/var/lib/postgresql/data}" "${POSTGRES_USER:=postgres}"
: "${POSTGRES_DB:=$POSTGRES_USER}" "${POSTGRES_PASSWORD:?is not set}"
mkdir -p "$PGDATA" && chown postgres "$PGDATA" && chmod 700 "$PGDATA"
as="setpriv --reuid=postgres --regid=postgres --init-groups"
cd /
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    echo "$POSTGRES_PASSWORD" > /run/secret
    chown postgres /run/secret
    $as initdb -D "$PGDATA" -U "$POSTGRES_USER" --auth-local=trust --auth-host=scram-sha-256 \
        --pwfile=/run/secret --encoding=UTF8 --locale=C.UTF-8 --no-sync
    rm /run/secret
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    if [ "$POSTGRES_DB" != postgres ]; then
        # Not by TCP: who asks for health by TCP must not take this server for the real one.
        $as pg_ctl -D "$PGDATA" -o "-c listen_addresses= -k /tmp" -w start
        $as createdb -h /tmp -U "$POSTGRES_USER" "$POSTGRES_DB"
        $as pg_ctl -D "$PGDATA" -m fast -w stop
    fi
fi
exec $as postgres -D "$PGDATA" -c "listen_addresses=*"
"""
_REDIS = """#!/bin/sh
exec redis-server --bind "* -::*" --protected-mode no
"""


def obtainable() -> bool:
    """Whether `provide` has what it needs."""
    return os.geteuid() == 0 and shutil.which("debootstrap") is not None


def provide(host: str) -> None:
    """See to it that the engine has the images; one that it has already is taken as it is.

    Those that are made carry the tests' label, and go with the rest at the end.
    """
    text = repr((_PACKAGES, _CHANGES, _SERVERS, _POSTGRES, _REDIS))
    saved = CACHE / f"images-{hashlib.sha256(text.encode()).hexdigest()[:12]}.tar"
    CACHE.mkdir(parents=True, exist_ok=True)
    client = docker.DockerClient(base_url=host, timeout=600)
    with FileLock(f"{engine.FOLDER}.images.lock"):
        if all(_is_there(client, name) for name in NAMES):
            return
        if saved.exists():
            _run("docker", "-H", host, "load", "-qi", str(saved))
            return
        _make_python(client)
        _build(client, POSTGRES, _POSTGRES, "STOPSIGNAL SIGINT\n")
        _build(client, REDIS, _REDIS)
        partial = saved.with_suffix(".partial")
        _run("docker", "-H", host, "save", "-o", str(partial), *NAMES)
        partial.rename(saved)


def _is_there(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    return True


def _make_python(client: docker.DockerClient) -> None:
    if _is_there(client, PYTHON):
        return
    with tempfile.TemporaryDirectory(prefix="sd-image-") as folder:
        root = Path(folder, "root")
        _run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root))
        shutil.copy(Path("/", _CERTIFICATES), root / _CERTIFICATES)
        (root / "usr/bin/python").symlink_to("python3")
        for left in (*root.glob("var/cache/apt/**/*.deb"), *root.glob("usr/share/doc/*/*.gz")):
            left.unlink(missing_ok=True)
        archive = Path(folder, "root.tar")
        _run("tar", "-C", str(root), "-cf", str(archive), ".")
        name, _, tag = PYTHON.partition(":")
        client.api.import_image(str(archive), repository=name, tag=tag, changes=_CHANGES)


def _build(client: docker.DockerClient, name: str, entrypoint: str, more: str = "") -> None:
    if _is_there(client, name):
        return
    dockerfile = f'{_SERVERS}{more}ENTRYPOINT ["/entrypoint"]\n'
    files: Mapping[str, tuple[str, int]] = {
        "Dockerfile": (dockerfile, 0o644),
        "entrypoint": (entrypoint, 0o755),
    }
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path, (text, mode) in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), mode
            tar.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=name, rm=True, forcerm=True)


def _run(*argv: str) -> None:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
