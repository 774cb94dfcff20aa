"""Envoy's own report on what it was handed: counters of secrets and routes, and certificates."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from meshcert.bounded_json import read_json
from meshcert.san import Dns, Uri
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from entrypoint.envoy.admin import Admin
    from meshcert.san import San


class SecretCounters(NamedTuple):
    """
    Envoy's counters of one secret (``sds.<name>.*``), or of another resource that is delivered.

    Args:
        accepted: ``update_success``.
        rejected: ``update_rejected``: the content was refused, and the last good one stays.
        failed: ``update_failure``, when the file cannot be read as a DiscoveryResponse, plus ``key_rotation_failed``,
            when a file that it names cannot be read; ours names none.
        version: ``version_text``: the version that is served.
    """

    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    version: str = ""


def secret_counters(admin: Admin) -> dict[str, SecretCounters]:
    """
    The counters of every secret Envoy has subscribed to, by SDS name.

    Raises:
        OSError: If Envoy does not answer, or not as Envoy does.
    """
    return _counters(admin, "/stats?filter=%5Esds%5C.", "sds.")


def _counters(admin: Admin, path: str, before_name: str) -> dict[str, SecretCounters]:
    found: dict[str, SecretCounters] = {}
    for line in admin.get(path).splitlines():
        stat, _, value = line.partition(": ")
        name, _, counter = stat.partition(before_name)[2].rpartition(".")
        before = found.get(name, SecretCounters())
        try:
            match counter:
                case "update_success":
                    found[name] = before._replace(accepted=int(value))
                case "update_rejected":
                    found[name] = before._replace(rejected=int(value))
                case "update_failure" | "key_rotation_failed":
                    found[name] = before._replace(failed=before.failed + int(value))
                case "version_text":
                    found[name] = before._replace(version=value.strip('"'))
        except ValueError as error:
            raise ConnectionError(f"GET /stats: {stat} is no number") from error
    return found


def route_counters(admin: Admin) -> dict[str, SecretCounters]:
    """
    The same counters of every route configuration (``http.<stat_prefix>.rds.<name>.*``), by its name.

    Raises:
        OSError: If Envoy does not answer, or not as Envoy does.
    """
    return _counters(admin, "/stats?filter=%5Ehttp%5C..*%5C.rds%5C.", ".rds.")


class Leaf(NamedTuple):
    """
    A certificate in one of Envoy's TLS contexts.

    Args:
        serial: Serial number, lower-case hex, whole bytes.
        not_after: End of its validity, seconds since 1970, UTC.
        names: DNS names and URIs.
    """

    serial: str
    not_after: int
    names: frozenset[San]


def served_leaves(admin: Admin) -> frozenset[Leaf]:
    """
    The certificates in Envoy's TLS contexts (``/certs``), whoever configured them.

    Raises:
        OSError: If Envoy does not answer, or not as Envoy does.
    """
    text = admin.get("/certs")
    try:
        contexts = read_json(text).get("certificates", ())
        return frozenset(_leaf(chain[0]) for context in contexts if (chain := context.get("cert_chain")))
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConnectionError(f"GET /certs: the answer cannot be read ({type(error).__name__})") from error


def whole_bytes(serial: int) -> str:
    """A serial number in the form that Envoy and :class:`meshcert.material.certificate_facts.CertificateFacts` use."""
    digits = f"{serial:x}"
    return digits.zfill(len(digits) + len(digits) % 2)


def _leaf(certificate: dict[str, Any]) -> Leaf:
    return Leaf(
        whole_bytes(int(certificate["serial_number"], 16)),
        int(datetime.fromisoformat(certificate["expiration_time"]).timestamp()),
        frozenset(_names(certificate.get("subject_alt_names", ()))),
    )


def _names(listed: Iterable[dict[str, str]]) -> Iterator[San]:
    """The names in Envoy's ``SubjectAlternateName`` objects, each of which has one key, its kind."""
    for name in listed:
        if "dns" in name:
            yield Dns(name["dns"])
        elif "uri" in name:
            yield Uri(name["uri"])
