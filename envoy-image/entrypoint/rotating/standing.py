"""The standing of this task's identities: what Envoy serves, and which version it has not taken over."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from entrypoint.envoy.acceptance import Leaf, SecretCounters, secret_counters, served_leaves, whole_bytes
from meshcert.envoy import identity_name
from meshcert.errors import MaterialRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from entrypoint.envoy.admin import Admin
    from entrypoint.rotating.secret import Secret
    from meshcert.proxy import ProxySettings

LONGEST_REASON = 256
SILENT = "Envoy's administration interface does not answer: this is what it said before"
BY_DNS = "Cloud Map has not answered yet, so these backends are found by DNS: "
UNSEEN = "Envoy names this version, but shows no single certificate that carries the identity's names"


class Stage(StrEnum):
    """
    The step of a version on its way into Envoy; the log and the acknowledgements name it with each error.

    For an operator every stage means the same: the rotation has failed, and Envoy serves the last good version.
    """

    FETCH = "fetch"
    """AWS does not return it."""
    PREFLIGHT = "preflight"
    """It must not be served."""
    TRIAL = "trial"
    """An upstream refuses it."""
    ENVOY = "envoy"
    """It cannot be handed to Envoy, or Envoy refuses it."""
    SERVED = "served"
    """Envoy serves something other than it was handed."""


class Standing(NamedTuple):
    """
    The standing of one identity in this task.

    Args:
        version: VersionId that Envoy serves; empty if it serves none.
        serial_number: Serial number of the certificate that Envoy shows for it, lower-case hex; empty if it shows none.
        not_after: End of that certificate's validity, seconds since 1970, UTC; 0 if it shows none.
        refused: VersionId that this task would not take over; empty if there is none.
        error: The reason for that, or what else is wrong, after the :class:`Stage`; at most 256 characters.
        refused_by: The upstream hosts that refused it in a trial, joined by a space; at most 256 characters.
    """

    version: str
    serial_number: str
    not_after: int
    refused: str = ""
    error: str = ""
    refused_by: str = ""


class FileStanding(NamedTuple):
    """
    The standing of one source of the user's in files.

    Args:
        version: What identifies the content that Envoy serves; empty if it serves none.
        not_after: End of its certificate's validity, or of its last root's, seconds since 1970, UTC; 0 if unknown.
        refused: The content that this task would not take over; empty if there is none.
        error: The reason for that, or what else is wrong, after the :class:`Stage`; at most 256 characters.
    """

    version: str
    not_after: int
    refused: str = ""
    error: str = ""


class Standings:
    """
    The standing of each identity of a proxy: what Envoy says about it, and why it does not have a newer version.

    Args:
        found_by_dns: Returns the backends that only DNS has named. It is told as an error of each identity, and is no
            refusal: nothing goes back for it.
        federation: Returns what is in the way of newer bundles of foreign trust domains; told in the same way.
    """

    def __init__(
        self,
        proxy: ProxySettings,
        secrets: Mapping[str, Secret],
        admin: Admin,
        found_by_dns: Callable[[], tuple[str, ...]] = tuple,
        federation: Callable[[], str] = str,
    ) -> None:
        self._secrets = secrets
        self._identities = {name: secret for name in proxy.identities if (secret := secrets[identity_name(name)]).used}
        self._admin = admin
        self._found_by_dns = found_by_dns
        self._federation = federation
        self._said: dict[str, Standing] = {}
        self._files = [secret for secret in secrets.values() if secret.wanted.file]
        self._served_files: dict[str, str] = {}

    def shown(self, name: str) -> str | None:
        """The version that Envoy says it serves under an SDS name; None if it does not answer."""
        try:
            return secret_counters(self._admin).get(name, SecretCounters()).version
        except OSError:
            return None

    def read(self) -> dict[str, Standing]:
        """
        The standing of each identity, by its name in the mesh.

        If Envoy does not answer, these are its last answers with an error added; empty if it has never answered.
        """
        silent = ""
        try:
            self._ask()
        except OSError:
            silent = SILENT
        return {name: self._standing(self._identities[name], said, silent) for name, said in self._said.items()}

    def _ask(self) -> None:
        counters = secret_counters(self._admin)
        leaves = served_leaves(self._admin)
        said = {}
        for name, secret in self._identities.items():
            counter = counters.get(secret.name)
            version = counter.version if counter else ""
            names = secret.wanted.reference.names
            leaf = _leaf(secret, version, [leaf for leaf in leaves if leaf.names.issuperset(names)])
            said[name] = Standing(version, leaf.serial, leaf.not_after) if leaf else Standing(version, "", 0)
        self._said = said
        self._served_files = {each.name: counters.get(each.name, SecretCounters()).version for each in self._files}

    def files(self) -> dict[str, FileStanding]:
        """The standing of each source in files, by its SDS name, as Envoy last said it; empty before that."""
        return {
            secret.name: _of_files(secret, self._served_files[secret.name])
            for secret in self._files
            if secret.name in self._served_files
        }

    def _standing(self, secret: Secret, said: Standing, silent: str) -> Standing:
        refused, refusal, hosts = secret.refusal or ("", "", ())
        unseen = "" if said.serial_number else UNSEEN
        doubts = (f"{each.name}: {each.lists_trouble}" for each in self._secrets.values() if each.lists_trouble)
        by_dns = ", ".join(self._found_by_dns())
        others = next(doubts, "") or self._federation() or (by_dns and BY_DNS + by_dns)
        reason = refusal or secret.trouble or silent or unseen or others
        error = "; ".join(part for part in (secret.expired, reason) if part)
        return said._replace(refused=refused, error=_shortened(error), refused_by=_joined(hosts))


def _of_files(secret: Secret, version: str) -> FileStanding:
    served = next((content for content in secret.in_envoy if content.envoy.version == version), None)
    refused, refusal, _ = secret.refusal or ("", "", ())
    error = "; ".join(part for part in (secret.expired, refusal or secret.trouble) if part)
    return FileStanding(version, served.not_after if served else 0, refused, _shortened(error))


def _joined(hosts: Iterable[str]) -> str:
    """As many whole hosts as fit: a part of an address would pass for another host."""
    joined = " ".join(hosts)
    return joined if len(joined) <= LONGEST_REASON else joined[: LONGEST_REASON + 1].rpartition(" ")[0]


def _leaf(secret: Secret, version: str, carriers: list[Leaf]) -> Leaf | None:
    """
    The certificate of this version among those that carry the identity's names.

    ``/certs`` does not say which secret a certificate came from. If two identities share names, the certificate that
    was handed over with this version is the right one.
    """
    if len(carriers) > 1:
        handed = (content for content in secret.in_envoy if content.envoy.version == version)
        serials = {whole_bytes(content.leaf.serial) for content in handed if content.leaf}
        carriers = [leaf for leaf in carriers if leaf.serial in serials]
    return carriers[0] if len(carriers) == 1 else None


def reason_of(error: Exception) -> str:
    """The error in one line, without the remedies, which are in the log."""
    if isinstance(error, MaterialRejected):
        return "; ".join(f"{fault.place}: {fault.problem}" for fault in error.faults)
    return str(error)


def _shortened(reason: str) -> str:
    words = " ".join(reason.split())
    return words if len(words) <= LONGEST_REASON else words[: LONGEST_REASON - 1] + "…"
