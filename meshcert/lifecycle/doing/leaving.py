"""What is left to do for an identity that no mesh file declares any more."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING

from meshcert.errors import MeshcertError, Rejected
from meshcert.lifecycle.audit import AuditEntry
from meshcert.lifecycle.deciding.steps import Action
from meshcert.lifecycle.doing.recording import order_ended, record
from meshcert.lifecycle.orders import COMPROMISED

if TYPE_CHECKING:
    from meshcert.lifecycle.compromise import CompromisedCertificate
    from meshcert.lifecycle.ports import Lease, Ports

logger = logging.getLogger(__name__)

GONE = "no mesh file declares the identity any more"


def forget(lease: Lease, by: str, ports: Ports) -> None:
    """
    Forget an identity, once its certificates with a compromised key are revoked.

    No instance is waited for: nobody of the mesh has to serve them any more. One that its CA refuses to revoke is left
    to a person, and the audit log says so. If AWS is out, the next tick goes on.

    Args:
        lease: The identity's.
        by: Who caused the look.

    Raises:
        LeaseLost: If another run has taken over.
        MeshcertError: If the table cannot be reached.
    """
    memory, now = lease.memory, ports.clock.now()
    for each in memory.compromise.outstanding(now) if memory.compromise else ():
        try:
            outcome = _revoke(each, ports)
        except MeshcertError as error:
            logger.warning("%s cannot be forgotten yet: %s", lease.identity, error)
            ports.table.release(lease, memory, now + dt.timedelta(seconds=ports.policy.look_again_s))
            return
        why = f"its key is compromised, and {GONE}; serial number {each.serial_number}"
        record(ports.audit, AuditEntry(now, lease.identity, str(Action.REVOKE), why, by, each.version, outcome=outcome))
        memory = memory.revoking(each.serial_number, now)
        ports.table.save(lease, memory)
    orders = (memory.order, *memory.waiting) if memory.order else memory.waiting
    for order in (order for order in orders if order.kind == COMPROMISED):
        # Which certificates it is about was never known here.
        outcome = f"dropped: {GONE}; revoke by hand what its CA's audit report names"
        record(ports.audit, order_ended(lease.identity, order, outcome, now))
    ports.table.forget(lease)


def _revoke(certificate: CompromisedCertificate, ports: Ports) -> str:
    try:
        ports.authorities.revoke(certificate.certificate_authority_arn, certificate.serial_number)
    except Rejected as error:
        return f"to be revoked by hand: {type(error).__name__}: {error}"
    return "done"
