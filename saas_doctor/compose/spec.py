"""The canonical Compose model: what `docker compose config --format json` of Compose 5 prints.

Encoded with msgspec, each of these gives Compose's own JSON, with its keys in the order in which
Compose hashes them. What is not set is left out. A `$` stands for itself, where `config` shows it
doubled. Byte counts and durations are text as there ("52428800", "1m30s"), paths are absolute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct, field

Names = tuple[str, ...]
Pairs = Mapping[str, str]
Variables = Mapping[str, str | None]
"""None: to be taken from the shell, where it is not set."""
Command = Annotated[tuple[str, ...] | None, Meta(title="command")]
Test = Annotated[tuple[str, ...], Meta(title="test")]
Hosts = Annotated[tuple[str, ...], Meta(title="NAME=ADDRESS")]
Bytes = Annotated[str, Meta(title="bytes")]
Duration = Annotated[str, Meta(title="duration")]
Pause = Annotated[str, Meta(title="duration, empty for none")]
Mode = Annotated[str | None, Meta(title="octal mode")]
Number = int | float
Count = Annotated[int, Meta(title="count")]
External = Annotated[bool, Meta(title="not made by the project")]
Shown = Annotated[str, Meta(title="text, number or truth")]


class _Part(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A part of the model."""


class Weight(_Part, frozen=True, kw_only=True):
    path: str = field(name="Path")
    weight: int = field(name="Weight")


class Rate(_Part, frozen=True, kw_only=True):
    path: str = field(name="Path")
    rate: Bytes = field(name="Rate")


class BlockIO(_Part, frozen=True, kw_only=True):
    weight: int = 0
    weight_device: tuple[Weight, ...] = ()
    device_read_bps: tuple[Rate, ...] = ()
    device_read_iops: tuple[Rate, ...] = ()
    device_write_bps: tuple[Rate, ...] = ()
    device_write_iops: tuple[Rate, ...] = ()


class Ulimit(_Part, frozen=True, kw_only=True):
    soft: int = 0
    hard: int = 0


Ulimits = Mapping[str, int | Ulimit]


class Grant(_Part, frozen=True, kw_only=True):
    """A secret or config that a service or build is given; `mode` is octal text ("0440")."""

    source: str = ""
    target: str = ""
    uid: str = ""
    gid: str = ""
    mode: Mode = None


class Build(_Part, frozen=True, kw_only=True):
    """`context` is an absolute folder or a URL; `dockerfile` is relative to it, or absolute."""

    context: str = ""
    dockerfile: str = ""
    dockerfile_inline: str = ""
    entitlements: Names = ()
    args: Variables = field(default_factory=dict)
    provenance: Shown = ""
    sbom: Shown = ""
    ssh: Names = ()
    labels: Pairs = field(default_factory=dict)
    cache_from: Names = ()
    cache_to: Names = ()
    no_cache: bool = False
    no_cache_filter: Names = ()
    additional_contexts: Pairs = field(default_factory=dict)
    pull: bool = False
    extra_hosts: Hosts = ()
    isolation: str = ""
    network: str = ""
    target: str = ""
    secrets: tuple[Grant, ...] = ()
    shm_size: Bytes = ""
    tags: Names = ()
    ulimits: Ulimits = field(default_factory=dict)
    platforms: Names = ()
    privileged: bool = False


class Hook(_Part, frozen=True, kw_only=True):
    """A command that is run at a moment of a container's life."""

    command: Command
    image: str = ""
    user: str = ""
    privileged: bool = False
    working_dir: str = ""
    environment: Variables = field(default_factory=dict)
    per_replica: bool = False


class Trigger(_Part, frozen=True, kw_only=True):
    path: str
    action: str
    target: str = ""
    exec: Hook
    include: Names = ()
    ignore: Names = ()
    initial_sync: bool = False


class Develop(_Part, frozen=True, kw_only=True):
    watch: tuple[Trigger, ...] = ()


class CredentialSpec(_Part, frozen=True, kw_only=True):
    config: str = ""
    file: str = ""
    registry: str = ""


class Dependency(_Part, frozen=True, kw_only=True):
    """`condition` is service_started, service_healthy or service_completed_successfully."""

    condition: str = ""
    restart: bool = False
    required: bool


class DeviceRequest(_Part, frozen=True, kw_only=True):
    """`count` is -1 for all."""

    capabilities: Names = ()
    driver: str = ""
    count: Count = 0
    device_ids: Names = ()
    options: Pairs = field(default_factory=dict)


class Discrete(_Part, frozen=True, kw_only=True):
    kind: str
    value: int


class GenericResource(_Part, frozen=True, kw_only=True):
    discrete_resource_spec: Discrete | None = None


class Resource(_Part, frozen=True, kw_only=True):
    cpus: Number = 0
    memory: Bytes = ""
    pids: int = 0
    devices: tuple[DeviceRequest, ...] = ()
    generic_resources: tuple[GenericResource, ...] = ()


class Resources(_Part, frozen=True, kw_only=True):
    limits: Resource | None = None
    reservations: Resource | None = None


class Update(_Part, frozen=True, kw_only=True):
    parallelism: int | None = None
    delay: Pause = ""
    failure_action: str = ""
    monitor: Pause = ""
    max_failure_ratio: Number = 0
    order: str = ""


class RestartPolicy(_Part, frozen=True, kw_only=True):
    condition: str = ""
    delay: Duration = ""
    max_attempts: int | None = None
    window: Duration = ""


class Preference(_Part, frozen=True, kw_only=True):
    spread: str = ""


class Placement(_Part, frozen=True, kw_only=True):
    constraints: Names = ()
    preferences: tuple[Preference, ...] = ()
    max_replicas_per_node: int = 0


class Deploy(_Part, frozen=True, kw_only=True):
    mode: str = ""
    replicas: int | None = None
    labels: Pairs = field(default_factory=dict)
    update_config: Update | None = None
    rollback_config: Update | None = None
    resources: Resources = field(default_factory=Resources)
    restart_policy: RestartPolicy | None = None
    placement: Placement = field(default_factory=Placement)
    endpoint_mode: str = ""


class Device(_Part, frozen=True, kw_only=True):
    source: str = ""
    target: str = ""
    permissions: str = ""


class Provider(_Part, frozen=True, kw_only=True):
    type: str = ""
    options: Mapping[str, Names] = field(default_factory=dict)


class EnvFile(_Part, frozen=True, kw_only=True):
    path: str = ""
    required: bool = True
    format: str = ""


class Healthcheck(_Part, frozen=True, kw_only=True):
    """`test` is empty, or begins with CMD, CMD-SHELL or NONE."""

    test: Test = ()
    timeout: Duration = ""
    interval: Duration = ""
    retries: int | None = None
    start_period: Duration = ""
    start_interval: Duration = ""
    disable: bool = False


class Logging(_Part, frozen=True, kw_only=True):
    driver: str = ""
    options: Pairs = field(default_factory=dict)


class ServiceModel(_Part, frozen=True, kw_only=True):
    endpoint_var: str = ""
    model_var: str = ""


class ServiceNetwork(_Part, frozen=True, kw_only=True):
    """How a service is in a network."""

    aliases: Names = ()
    driver_opts: Pairs = field(default_factory=dict)
    gw_priority: int = 0
    interface_name: str = ""
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: Names = ()
    mac_address: str = ""
    priority: int = 0


class Port(_Part, frozen=True, kw_only=True):
    """One port of the container; `published` is empty, a port, or a range of which any will do."""

    name: str = ""
    mode: str = ""
    host_ip: str = ""
    target: int = 0
    published: str = ""
    protocol: str = ""
    app_protocol: str = ""


class Bind(_Part, frozen=True, kw_only=True):
    selinux: str = ""
    propagation: str = ""
    create_host_path: bool = True
    recursive: str = ""


class VolumeOptions(_Part, frozen=True, kw_only=True):
    labels: Pairs = field(default_factory=dict)
    nocopy: bool = False
    subpath: str = ""


class Tmpfs(_Part, frozen=True, kw_only=True):
    size: Bytes = ""
    mode: int = 0


class ImageOptions(_Part, frozen=True, kw_only=True):
    subpath: str = ""


class Mount(_Part, frozen=True, kw_only=True):
    """One entry of `volumes`; `type` is bind, volume, tmpfs, image, npipe or cluster.

    `source` is an absolute path, a key of the project's volumes, or empty: a volume without name.
    """

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind: Bind | None = None
    volume: VolumeOptions | None = None
    tmpfs: Tmpfs | None = None
    image: ImageOptions | None = None


class Service(_Part, frozen=True, kw_only=True):
    """A service, its keys in the order in which they are hashed.

    `command` and `entrypoint` are always there: None is the image's own, and empty is none.
    """

    profiles: Names = ()
    annotations: Pairs = field(default_factory=dict)
    attach: bool | None = None
    build: Build | None = None
    develop: Develop | None = None
    blkio_config: BlockIO | None = None
    cap_add: Names = ()
    cap_drop: Names = ()
    cgroup_parent: str = ""
    cgroup: str = ""
    cpu_count: int = 0
    cpu_percent: Number = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    cpus: Number = 0
    cpuset: str = ""
    cpu_shares: int = 0
    command: Command
    configs: tuple[Grant, ...] = ()
    container_name: str = ""
    credential_spec: CredentialSpec | None = None
    depends_on: Mapping[str, Dependency] = field(default_factory=dict)
    deploy: Deploy | None = None
    device_cgroup_rules: Names = ()
    devices: tuple[Device, ...] = ()
    dns: Names = ()
    dns_opt: Names = ()
    dns_search: Names = ()
    domainname: str = ""
    entrypoint: Command
    provider: Provider | None = None
    environment: Variables = field(default_factory=dict)
    env_file: tuple[EnvFile, ...] = ()
    expose: Names = ()
    external_links: Names = ()
    extra_hosts: Hosts = ()
    group_add: Names = ()
    gpus: tuple[DeviceRequest, ...] = ()
    hostname: str = ""
    healthcheck: Healthcheck | None = None
    image: str = ""
    init: bool | None = None
    ipc: str = ""
    isolation: str = ""
    labels: Pairs = field(default_factory=dict)
    label_file: Names = ()
    links: Names = ()
    logging: Logging | None = None
    mem_limit: Bytes = ""
    mem_reservation: Bytes = ""
    memswap_limit: Bytes = ""
    mem_swappiness: Bytes = ""
    mac_address: str = ""
    models: Mapping[str, ServiceModel | None] = field(default_factory=dict)
    network_mode: str = ""
    networks: Mapping[str, ServiceNetwork | None] = field(default_factory=dict)
    oom_kill_disable: bool = False
    oom_score_adj: int = 0
    pid: str = ""
    pids_limit: int = 0
    platform: str = ""
    ports: tuple[Port, ...] = ()
    privileged: bool = False
    pull_policy: str = ""
    read_only: bool = False
    restart: str = ""
    runtime: str = ""
    scale: int | None = None
    secrets: tuple[Grant, ...] = ()
    security_opt: Names = ()
    shm_size: Bytes = ""
    stdin_open: bool = False
    stop_grace_period: Duration = ""
    stop_signal: str = ""
    storage_opt: Pairs = field(default_factory=dict)
    sysctls: Pairs = field(default_factory=dict)
    tmpfs: Names = ()
    tty: bool = False
    ulimits: Ulimits = field(default_factory=dict)
    use_api_socket: bool = False
    user: str = ""
    userns_mode: str = ""
    uts: str = ""
    volumes: tuple[Mount, ...] = ()
    volumes_from: Names = ()
    working_dir: str = ""
    pre_start: tuple[Hook, ...] = ()
    post_start: tuple[Hook, ...] = ()
    pre_stop: tuple[Hook, ...] = ()

    @property
    def replicas(self) -> int:
        """How many containers run it."""
        if self.scale is not None:
            return self.scale
        replicas = self.deploy.replicas if self.deploy else None
        return 1 if replicas is None else replicas


class Pool(_Part, frozen=True, kw_only=True):
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    aux_addresses: Pairs = field(default_factory=dict)


class Ipam(_Part, frozen=True, kw_only=True):
    driver: str = ""
    config: tuple[Pool, ...] = ()
    options: Pairs = field(default_factory=dict)


class Network(_Part, frozen=True, kw_only=True):
    """`name` is the engine's, and so in the other things that a project declares."""

    name: str = ""
    driver: str = ""
    driver_opts: Pairs = field(default_factory=dict)
    ipam: Ipam = field(default_factory=Ipam)
    external: External = False
    internal: bool = False
    attachable: bool = False
    labels: Pairs = field(default_factory=dict)
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None


class Volume(_Part, frozen=True, kw_only=True):
    name: str = ""
    driver: str = ""
    driver_opts: Pairs = field(default_factory=dict)
    external: External = False
    labels: Pairs = field(default_factory=dict)


class Source(_Part, frozen=True, kw_only=True):
    """A secret or config: from a `file` (absolute), the `environment` variable, or its `content`."""

    name: str = ""
    file: str = ""
    environment: str = ""
    content: str = ""
    external: External = False
    labels: Pairs = field(default_factory=dict)
    driver: str = ""
    driver_opts: Pairs = field(default_factory=dict)
    template_driver: str = ""


class Project(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A project; its networks, volumes, secrets and configs by their keys in the file."""

    name: str
    services: Mapping[str, Service]
    networks: Mapping[str, Network] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    secrets: Mapping[str, Source] = field(default_factory=dict)
    configs: Mapping[str, Source] = field(default_factory=dict)
