"""What Envoy made of the secrets it was handed, from its own counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from entrypoint.admin import Admin


class SecretCounters(NamedTuple):
    """
    Envoy's counters of one secret (``sds.<name>.*``).

    Args:
        accepted: ``update_success``.
        rejected: ``update_rejected``: the content was refused, the last good one stays.
        failed: ``update_failure``: the file could not be read as a DiscoveryResponse.
        version: ``version_text``: what is served.
    """

    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    version: str = ""


def secret_counters(admin: Admin) -> dict[str, SecretCounters]:
    """
    The counters of every secret Envoy has subscribed to, by SDS name.

    Raises:
        OSError: If Envoy does not answer.
    """
    found: dict[str, SecretCounters] = {}
    for line in admin.get("/stats?filter=%5Esds%5C.").splitlines():
        stat, _, value = line.partition(": ")
        name, _, counter = stat.removeprefix("sds.").rpartition(".")
        before = found.get(name, SecretCounters())
        match counter:
            case "update_success":
                found[name] = before._replace(accepted=int(value))
            case "update_rejected":
                found[name] = before._replace(rejected=int(value))
            case "update_failure":
                found[name] = before._replace(failed=int(value))
            case "version_text":
                found[name] = before._replace(version=value.strip('"'))
    return found
