"""What this task has to say of its identities: what Envoy serves, and what it would not take over."""

from __future__ import annotations

import ssl
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from entrypoint.envoy.acceptance import Leaf, SecretCounters, secret_counters, served_leaves, whole_bytes
from entrypoint.envoy.install import leaf_of
from entrypoint.judging.der import serial_number
from meshcert.envoy import identity_name, secrets_used
from meshcert.errors import MaterialRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from entrypoint.envoy.admin import Admin
    from entrypoint.rotating.delivery import Served
    from meshcert.proxy import ProxySettings

LONGEST_REASON = 256
SILENT = "Envoy's administration interface does not answer: this is what it said before"
UNSEEN = "Envoy names this version, but shows no single certificate that carries the identity's names"


class Stage(StrEnum):
    """
    How far a version got on its way into Envoy; what goes wrong is told with it, in the log and to the mesh.

    Whichever it is, to an operator it is one thing, a rotation that failed: Envoy serves the last good version.
    """

    FETCH = "fetch"
    """AWS does not give it."""
    PREFLIGHT = "preflight"
    """It must not be served."""
    TRIAL = "trial"
    """An upstream refuses it."""
    ENVOY = "envoy"
    """Envoy cannot be handed it, or does not take it."""
    SERVED = "served"
    """Envoy serves something else than what it was handed."""


class Standing(NamedTuple):
    """
    How one identity stands in this task.

    Args:
        version: VersionId that Envoy serves; empty if it serves none.
        serial_number: Of the certificate Envoy shows for it, lower-case hex; empty if it shows none.
        not_after: End of that certificate's validity, seconds since 1970, UTC; 0 if it shows none.
        refused: VersionId that this task would not take over; empty if there is none.
        error: Why, or what else is wrong, the :class:`Stage` first; at most 256 characters.
    """

    version: str
    serial_number: str
    not_after: int
    refused: str = ""
    error: str = ""


class _Refusal(NamedTuple):
    version: str
    reason: str


class Standings:
    """
    Keeps what became of each identity's versions, and asks Envoy for the rest.

    Args:
        proxy: Of the container.
        admin: Of its Envoy.
        handed: What Envoy was handed under an SDS name and may serve, the last first.
    """

    def __init__(self, proxy: ProxySettings, admin: Admin, handed: Callable[[str], Iterable[Served]]) -> None:
        used = secrets_used(proxy)
        self._references = {
            name: reference for name, reference in proxy.identities.items() if identity_name(name) in used
        }
        self._admin = admin
        self._handed = handed
        self._refusals: dict[str, _Refusal] = {}
        self._troubles: dict[str, str] = {}
        self._doubts: dict[str, str] = {}
        self._expired: dict[str, str] = {}
        self._said: dict[str, Standing] = {}

    def begin_look(self, name: str) -> None:
        """Forget what kept the last look from this secret; a refusal stays."""
        self._troubles.pop(name, None)

    def trouble(self, name: str, stage: Stage, reason: str) -> None:
        """Something other than the version itself is wrong."""
        self._troubles[name] = f"{stage}: {reason}"

    def doubt_peers(self, name: str, reason: str) -> None:
        """What keeps peers from being checked as they should; empty: nothing. It is said with every identity."""
        self._doubts[name] = reason

    def expired(self, name: str, reason: str) -> None:
        """What is served has expired, which is said before anything else; empty: it has not."""
        self._expired[name] = reason

    def refuse(self, name: str, version: str, stage: Stage, reason: str) -> None:
        """This version must not be served here."""
        self._refusals[name] = _Refusal(version, f"{stage}: {reason}")

    def accept(self, name: str) -> None:
        """The current version is a good one, and served."""
        self._refusals.pop(name, None)

    def shown(self, name: str) -> str | None:
        """The version that Envoy itself says it serves under an SDS name; None if it does not answer."""
        try:
            return secret_counters(self._admin).get(name, SecretCounters()).version
        except OSError:
            return None

    def read(self) -> dict[str, Standing]:
        """
        How each identity stands, by its name in the mesh.

        If Envoy does not answer, that is what it said last, with an error; empty if it never said anything.
        """
        silent = ""
        try:
            self._ask()
        except OSError:
            silent = SILENT
        return {name: self._standing(name, said, silent) for name, said in self._said.items()}

    def _ask(self) -> None:
        counters = secret_counters(self._admin)
        leaves = served_leaves(self._admin)
        said = {}
        for name, reference in self._references.items():
            counter = counters.get(identity_name(name))
            version = counter.version if counter else ""
            leaf = self._leaf(name, version, [leaf for leaf in leaves if leaf.names.issuperset(reference.names)])
            said[name] = Standing(version, leaf.serial, leaf.not_after) if leaf else Standing(version, "", 0)
        self._said = said

    def _leaf(self, name: str, version: str, carriers: list[Leaf]) -> Leaf | None:
        """
        The certificate of this version among those that carry the identity's names.

        ``/certs`` does not say which secret a certificate came from. Where two identities share names, the one that
        was handed over under this version is looked for.
        """
        if len(carriers) > 1:
            serials = {_serial(served) for served in self._handed(identity_name(name)) if served.version == version}
            carriers = [leaf for leaf in carriers if leaf.serial in serials]
        return carriers[0] if len(carriers) == 1 else None

    def _standing(self, name: str, said: Standing, silent: str) -> Standing:
        secret = identity_name(name)
        refusal = self._refusals.get(secret, _Refusal("", ""))
        unseen = "" if said.serial_number else UNSEEN
        doubt = next((f"{bundle}: {reason}" for bundle, reason in self._doubts.items() if reason), "")
        reason = refusal.reason or self._troubles.get(secret, "") or silent or unseen or doubt
        expired = self._expired.get(secret, "")
        error = "; ".join(part for part in (expired, reason) if part)
        return said._replace(refused=refusal.version, error=_shortened(error))


def reason_of(error: Exception) -> str:
    """An error in one line: faults without their remedies, which are in the log."""
    if isinstance(error, MaterialRejected):
        return "; ".join(f"{fault.place}: {fault.problem}" for fault in error.faults)
    return str(error)


def _shortened(reason: str) -> str:
    words = " ".join(reason.split())
    return words if len(words) <= LONGEST_REASON else words[: LONGEST_REASON - 1] + "…"


def _serial(served: Served) -> str:
    leaf = leaf_of(served.content)
    return whole_bytes(serial_number(ssl.PEM_cert_to_DER_cert(leaf))) if leaf else ""
