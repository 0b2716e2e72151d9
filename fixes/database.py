"""Repairs what keeps the platform's address and its Postgres server apart."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions import Action
from saas_doctor.actions.servers import StartBrewed, StartCluster, StartContainer
from saas_doctor.facts.database_address import Address, with_tls
from saas_doctor.facts.dotenv import EnvFile
from saas_doctor.facts.stopped_servers import StoppedServers
from saas_doctor.model import Absent, Finding, Risk
from saas_doctor.rules import fix


@fix("DB501", risk=Risk.CHANGES)
def reach_server(
    finding: Finding, address: Address, stopped: StoppedServers, env: EnvFile
) -> Iterator[Action]:
    """Start the platform's server, or name the one that lets it in."""
    server = stopped.meant
    if finding.data["address"]:
        yield env.file.set(address.variable, finding.data["address"])
    elif server and server.cluster:
        yield StartCluster(address, *server.cluster)
    elif server and server.formula:
        yield StartBrewed(address, server.formula)
    elif server:
        yield StartContainer(address, server.container, server.words)


@fix("DB507")
def name_own_server(finding: Finding, address: Address, env: EnvFile) -> Iterator[Action]:
    """Name the platform's own server."""
    yield env.file.set(address.variable, finding.data["address"])


@fix("DB508")
def prefer_tls(_: Finding, address: Address, env: EnvFile) -> Iterator[Action]:
    """Take TLS where the server has it."""
    setting = env.file.find(address.variable)
    if setting is None or not env.file.says_plainly(setting):
        raise Absent(f"{address.variable} is put together from other values in {env.name}")
    yield env.file.set(address.variable, with_tls(setting.value, "prefer"))
