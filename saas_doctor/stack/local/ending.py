"""How a member of the local stack is ended."""

from __future__ import annotations

import os
import signal

from saas_doctor.model import DoctorError
from saas_doctor.processes import Identity
from saas_doctor.stack import Say
from saas_doctor.stack.local.jobs import Record, State

_OVER = 20.0
"""Seconds beyond its job's patience that a supervisor may take to end it."""


def end(state: State, record: Record, say: Say) -> None:
    """End a supervisor and its job, gently first; raises DoctorError where it stays."""
    if not (record.runs or record.is_supervised):
        return
    say(record.name, "stopping")
    if record.supervisor and record.is_supervised:
        _ask_to_end(record.supervisor)
        if not record.supervisor.ends_within(record.patience + _OVER):
            record.supervisor.end()
        record = state.read(record.name) or record
    if record.process and not record.process.end(record.stop, record.patience):
        raise DoctorError(
            f"{record.name} (pid {record.process.pid}) can't be ended: it is another user's; "
            "run this as the user who ran `up`"
        )


def _ask_to_end(identity: Identity) -> None:
    try:
        os.kill(identity.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise DoctorError(
            f"pid {identity.pid} can't be ended: it is another user's; run this as the user who ran `up`"
        ) from None
