"""A service of the canonical model as the engine's own arguments for creating its container."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from saas_doctor.compose.spec import (
    DeviceRequest,
    Healthcheck,
    Service,
    Ulimits,
)
from saas_doctor.model import DoctorError
from saas_doctor.stack.docker.marks import Scope
from saas_doctor.stack.docker.mounts import volumes, volumes_from
from saas_doctor.stack.docker.units import Json, count, filled, nanoseconds, seconds


def arguments(
    scope: Scope,
    service: str,
    number: int,
    *,
    image: str,
    labels: Mapping[str, str],
    containers: Mapping[str, str],
    proxies: Mapping[str, str] | None = None,
    inherited: Mapping[str, str] | None = None,
) -> Json:
    """The body of the engine's `POST /containers/create`, for the first network alone.

    `containers` are the ids of other services' containers, whose namespaces this one may share;
    `proxies` what the Docker client's configuration gives each container; `inherited` the volumes
    without name, by their place, that a former container leaves to this one.
    """
    spec = scope.project.services[service]
    mode = _mode(spec.network_mode, containers)
    first = next(iter(networks(spec)), None)
    environment = {**(proxies or {}), **spec.environment}
    config: Json = {
        "Image": image,
        "Labels": dict(labels),
        "Env": [k if v is None else f"{k}={v}" for k, v in environment.items()],
        "Hostname": spec.hostname,
        "Domainname": spec.domainname,
        "User": spec.user,
        "Tty": spec.tty,
        "OpenStdin": spec.stdin_open,
        "WorkingDir": spec.working_dir,
        "StopSignal": spec.stop_signal,
        "MacAddress": spec.mac_address,
        "ExposedPorts": {name: {} for name in _exposed(spec)},
        "Healthcheck": _healthcheck(spec.healthcheck),
    }
    config = filled(**config)
    if spec.entrypoint is not None:
        config["Entrypoint"] = list(spec.entrypoint)
    if spec.command is not None:
        config["Cmd"] = list(spec.command)
    if spec.stop_grace_period:
        config["StopTimeout"] = int(seconds(spec.stop_grace_period))
    host = _host(spec, containers)
    host["NetworkMode"] = mode or (scope.project.networks[first].name if first else "none")
    binds, mounts, anonymous = volumes(scope.project, spec, inherited or {})
    host |= {"Binds": binds, "Mounts": mounts}
    config["Volumes"] = {place: {} for place in anonymous}
    config["HostConfig"] = filled(**host)
    if first and not mode:
        name, endpoint = connection(scope, service, number, first)
        config["NetworkingConfig"] = {"EndpointsConfig": {name: endpoint}}
    return config


def networks(spec: Service) -> list[str]:
    """The keys of the networks that a service is in; it is created in the first of them."""
    if spec.network_mode:
        return []
    return sorted(spec.networks, key=lambda key: (-(_priority(spec, key)), key))


def _priority(spec: Service, key: str) -> int:
    given = spec.networks[key]
    return given.priority if given else 0


def connection(scope: Scope, service: str, number: int, key: str) -> tuple[str, Json]:
    """The engine's name of a network, and how a container of the service is in it."""
    spec = scope.project.services[service]
    given = spec.networks[key]
    aliases = [scope.container_name(service, number), service, *(given.aliases if given else ())]
    endpoint: Json = {"Aliases": list(dict.fromkeys(aliases)), "Links": list(_links(scope, spec))}
    if given:
        endpoint["DriverOpts"] = dict(given.driver_opts)
        endpoint["MacAddress"] = given.mac_address
        endpoint["IPAMConfig"] = filled(
            IPv4Address=given.ipv4_address,
            IPv6Address=given.ipv6_address,
            LinkLocalIPs=list(given.link_local_ips),
        )
    return scope.project.networks[key].name, filled(**endpoint)


def _links(scope: Scope, spec: Service) -> Iterator[str]:
    for link in spec.links:
        name, _, alias = link.partition(":")
        yield f"{scope.container_name(name, 1)}:{alias or name}"
    for link in spec.external_links:
        name, _, alias = link.partition(":")
        yield f"{name}:{alias or name}"


def _mode(text: str, containers: Mapping[str, str]) -> str:
    """A namespace: another service's is that of its container."""
    kind, _, name = text.partition(":")
    if kind != "service":
        return text
    if name not in containers:
        raise DoctorError(f"{text}: {name} has no container whose namespace can be shared")
    return f"container:{containers[name]}"


def shares_with(spec: Service) -> set[str]:
    """The services whose containers this one's is bound to: it is made anew when they are."""
    spaces = (spec.network_mode, spec.ipc, spec.pid)
    shared = {text[8:] for text in spaces if text.startswith("service:")}
    return shared | {
        v.partition(":")[0] for v in spec.volumes_from if not v.startswith("container:")
    }


def _exposed(spec: Service) -> Iterator[str]:
    for port in spec.ports:
        yield f"{port.target}/{port.protocol or 'tcp'}"
    for text in spec.expose:
        numbers, _, protocol = text.partition("/")
        first, _, last = numbers.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield f"{number}/{protocol or 'tcp'}"


def _healthcheck(check: Healthcheck | None) -> Json | None:
    if check is None:
        return None
    if check.disable:
        return {"Test": ["NONE"]}
    return filled(
        Test=list(check.test),
        Interval=nanoseconds(check.interval),
        Timeout=nanoseconds(check.timeout),
        StartPeriod=nanoseconds(check.start_period),
        StartInterval=nanoseconds(check.start_interval),
        Retries=check.retries,
    )


def _host(spec: Service, containers: Mapping[str, str]) -> Json:
    limits, reserved = _resources(spec)
    bindings: dict[str, list[Json]] = {}
    for port in spec.ports:
        place = {"HostIp": port.host_ip, "HostPort": port.published}
        bindings.setdefault(f"{port.target}/{port.protocol or 'tcp'}", []).append(place)
    host: Json = {
        "PortBindings": bindings,
        "RestartPolicy": restart_policy(spec),
        "Privileged": spec.privileged,
        "ReadonlyRootfs": spec.read_only,
        "Init": spec.init,
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "SecurityOpt": [_security(option) for option in spec.security_opt],
        "GroupAdd": list(spec.group_add),
        "Dns": list(spec.dns),
        "DnsOptions": list(spec.dns_opt),
        "DnsSearch": list(spec.dns_search),
        "ExtraHosts": [_extra_host(entry) for entry in spec.extra_hosts],
        "IpcMode": _mode(spec.ipc, containers),
        "PidMode": _mode(spec.pid, containers),
        "UsernsMode": spec.userns_mode,
        "UTSMode": spec.uts,
        "CgroupnsMode": spec.cgroup,
        "CgroupParent": spec.cgroup_parent,
        "Runtime": spec.runtime,
        "Isolation": spec.isolation,
        "ShmSize": count(spec.shm_size),
        "Sysctls": dict(spec.sysctls),
        "StorageOpt": dict(spec.storage_opt),
        "Tmpfs": dict(entry.partition(":")[::2] for entry in spec.tmpfs),
        "Ulimits": list(_ulimits(spec.ulimits)),
        "Annotations": dict(spec.annotations),
        "OomKillDisable": spec.oom_kill_disable,
        "OomScoreAdj": spec.oom_score_adj,
        "Memory": limits.get("memory") or count(spec.mem_limit),
        "MemoryReservation": reserved.get("memory") or count(spec.mem_reservation),
        "MemorySwap": count(spec.memswap_limit),
        "MemorySwappiness": int(spec.mem_swappiness) if spec.mem_swappiness else None,
        "NanoCpus": limits.get("cpus") or int(spec.cpus * 10**9),
        "PidsLimit": limits.get("pids") or spec.pids_limit,
        "CpuCount": spec.cpu_count,
        "CpuPercent": int(spec.cpu_percent),
        "CpuShares": spec.cpu_shares,
        "CpuPeriod": spec.cpu_period,
        "CpuQuota": spec.cpu_quota,
        "CpuRealtimePeriod": spec.cpu_rt_period,
        "CpuRealtimeRuntime": spec.cpu_rt_runtime,
        "CpusetCpus": spec.cpuset,
        "Devices": [
            {
                "PathOnHost": d.source,
                "PathInContainer": d.target or d.source,
                "CgroupPermissions": d.permissions or "rwm",
            }
            for d in spec.devices
        ],
        "DeviceCgroupRules": list(spec.device_cgroup_rules),
        "DeviceRequests": [_device_request(d) for d in (*spec.gpus, *reserved.get("devices", ()))],
        "VolumesFrom": [volumes_from(entry, containers) for entry in spec.volumes_from],
    }
    if spec.logging:
        host["LogConfig"] = filled(Type=spec.logging.driver, Config=dict(spec.logging.options))
    if spec.blkio_config:
        host |= _block_io(spec)
    return host


def _resources(spec: Service) -> tuple[Json, Json]:
    """What `deploy.resources` limits and reserves."""
    resources = spec.deploy.resources if spec.deploy else None
    limits, reserved = (resources.limits, resources.reservations) if resources else (None, None)
    return (
        filled(memory=count(limits.memory), cpus=int(float(limits.cpus) * 10**9), pids=limits.pids)
        if limits
        else {},
        filled(memory=count(reserved.memory), devices=reserved.devices) if reserved else {},
    )


def _block_io(spec: Service) -> Json:
    given = spec.blkio_config
    if given is None:
        return {}

    def rates(of: Sequence[Any]) -> list[Json]:
        return [{"Path": r.path, "Rate": count(str(r.rate))} for r in of]

    return {
        "BlkioWeight": given.weight,
        "BlkioWeightDevice": [{"Path": w.path, "Weight": w.weight} for w in given.weight_device],
        "BlkioDeviceReadBps": rates(given.device_read_bps),
        "BlkioDeviceReadIOps": rates(given.device_read_iops),
        "BlkioDeviceWriteBps": rates(given.device_write_bps),
        "BlkioDeviceWriteIOps": rates(given.device_write_iops),
    }


def restart_policy(spec: Service) -> Json:
    """The engine's restart policy; `{}` is none."""
    if spec.restart:
        name, _, most = spec.restart.partition(":")
        if name == "no":
            return {}
        return filled(Name=name, MaximumRetryCount=int(most) if most.isdecimal() else 0)
    given = spec.deploy.restart_policy if spec.deploy else None
    if given is None:
        return {}
    name = {"none": "", "any": "always", "": "always"}.get(given.condition, given.condition)
    return filled(Name=name, MaximumRetryCount=given.max_attempts or 0)


def _security(option: str) -> str:
    """A profile in a file is given to the engine whole."""
    key, sign, value = (
        re.split("([=:])", option, maxsplit=1) if re.search("[=:]", option) else (option, "", "")
    )
    if key != "seccomp" or value in ("unconfined", "builtin"):
        return option.replace(":", "=", 1) if sign == ":" and "=" not in option else option
    try:
        return f"seccomp={Path(value).read_text(encoding='utf-8')}"
    except OSError as error:
        raise DoctorError(f"security_opt names {value}: {error.strerror}") from None


def _extra_host(entry: str) -> str:
    name, _, address = (
        entry.replace("=", ":", 1).partition(":") if "=" in entry else entry.partition(":")
    )
    return f"{name}:{address.strip('[]')}"


def _ulimits(limits: Ulimits) -> Iterator[Json]:
    for name, given in limits.items():
        soft, hard = (given, given) if isinstance(given, int) else (given.soft, given.hard)
        yield {"Name": name, "Soft": soft, "Hard": hard}


def _device_request(device: DeviceRequest) -> Json:
    return {
        "Driver": device.driver,
        "Count": device.count if device.count or device.device_ids else -1,
        "DeviceIDs": list(device.device_ids) or None,
        "Capabilities": [list(device.capabilities or ("gpu",))],
        "Options": dict(device.options),
    }
