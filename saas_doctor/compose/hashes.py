"""The hash by which Compose tells whether a container is still what its service says."""

from __future__ import annotations

from hashlib import sha256

import msgspec
from msgspec.structs import replace

from saas_doctor.compose.spec import Service

_ESCAPED = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})
"""What Go's JSON writes in another way than msgspec's; these can be in texts alone."""


def config_hash(service: Service) -> str:
    """The label `com.docker.compose.config-hash` of a service's containers, in hexadecimal.

    It equals that of Compose 5: how the image is made and how many containers there are don't count.
    """
    deploy = replace(service.deploy, replicas=None) if service.deploy else None
    counted = replace(
        service, build=None, pull_policy="", scale=None, deploy=deploy, depends_on={}, profiles=()
    )
    # Keys of maps are sorted, those of a Struct are in its order.
    text = msgspec.json.encode(counted, order="deterministic").decode()
    return sha256(text.translate(_ESCAPED).encode()).hexdigest()
