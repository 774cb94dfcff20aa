"""Where Secrets Manager answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL")
"""As every AWS SDK reads them, the more specific one first."""

_SUFFIXES = {"cn-": "amazonaws.com.cn", "eusc-": "amazonaws.eu", "us-iso-": "c2s.ic.gov", "us-isob-": "sc2s.sgov.gov"}


class Endpoint(NamedTuple):
    """
    One HTTP(S) endpoint.

    Args:
        host: DNS name or address.
        port: TCP port.
        tls: Whether it speaks HTTPS.
    """

    host: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        """The ``Host`` header: the port is left out where it is the scheme's own."""
        return self.host if self.port == (443 if self.tls else 80) else f"{self.host}:{self.port}"


def secrets_manager_endpoint(region: str, environ: Mapping[str, str]) -> Endpoint:
    """
    The endpoint for a region, or the one the environment names instead.

    Args:
        region: For example ``eu-west-1``; decides the partition.
        environ: May hold ``AWS_ENDPOINT_URL`` and ``AWS_USE_FIPS_ENDPOINT``.

    Raises:
        ValueError: If the environment's URL is not HTTP(S).
    """
    for variable in ENDPOINT_VARIABLES:
        if environ.get(variable):
            return parse_endpoint(environ[variable])[0]
    suffix = next((suffix for prefix, suffix in _SUFFIXES.items() if region.startswith(prefix)), "amazonaws.com")
    service = "secretsmanager" + ("-fips" if environ.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true" else "")
    return Endpoint(f"{service}.{region}.{suffix}", 443, tls=True)


def parse_endpoint(url: str) -> tuple[Endpoint, str]:
    """
    The endpoint and the path of a URL.

    Args:
        url: With its scheme.

    Raises:
        ValueError: If it is not HTTP(S). The URL is not in the message: it could hold credentials.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("it is not an http or https URL")
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(parts.hostname, parts.port or (443 if tls else 80), tls), path
