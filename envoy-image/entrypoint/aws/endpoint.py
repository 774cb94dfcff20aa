"""The endpoints of the AWS services that this container asks."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\s/:?#@\[\]]+)(:(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^\s?#]*)?(?P<query>\?[^\s#]*)?",
    re.IGNORECASE,
)
"""A pattern instead of ``urllib.parse``, whose import, with ``ipaddress``, takes a fiftieth of the start."""
_PORTS = range(1, 65_536)

CA_BUNDLE = "AWS_CA_BUNDLE"
_ANY_URL = "AWS_ENDPOINT_URL"
_S3_URL = "AWS_ENDPOINT_URL_S3"


class Endpoint(NamedTuple):
    """
    One HTTP(S) endpoint.

    Args:
        tls: True for HTTPS.
    """

    host: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        """The ``Host`` header, without the port if it is the scheme's default."""
        return self.host if self.port == (443 if self.tls else 80) else f"{self.host}:{self.port}"


def secrets_manager_endpoint(region: str, environ: Mapping[str, str]) -> Endpoint:
    """Secrets Manager's endpoint; raises ValueError as :func:`object_endpoint` does."""
    return _endpoint("secretsmanager", "AWS_ENDPOINT_URL_SECRETS_MANAGER", region, environ)


def dynamodb_endpoint(region: str, environ: Mapping[str, str]) -> Endpoint:
    """DynamoDB's endpoint; raises ValueError as :func:`object_endpoint` does."""
    return _endpoint("dynamodb", "AWS_ENDPOINT_URL_DYNAMODB", region, environ)


def cloud_map_endpoint(region: str, environ: Mapping[str, str]) -> Endpoint:
    """The endpoint of Cloud Map's ``DiscoverInstances``; raises ValueError as :func:`object_endpoint` does."""
    return _endpoint("data-servicediscovery", "AWS_ENDPOINT_URL_SERVICEDISCOVERY", region, environ)


def sts_endpoint(region: str, environ: Mapping[str, str]) -> Endpoint:
    """The endpoint of AWS STS in a region; raises ValueError as :func:`object_endpoint` does."""
    return _endpoint("sts", "AWS_ENDPOINT_URL_STS", region, environ)


def object_endpoint(region: str, environ: Mapping[str, str], bucket: str) -> tuple[Endpoint, str]:
    """
    Amazon S3's endpoint for the objects of a bucket, and the prefix of each object's path.

    AWS has a host name for every bucket. An endpoint from the environment need not have one, so the bucket then goes
    into the path, which S3 understands too.

    Args:
        environ: May hold ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL`` and ``AWS_USE_FIPS_ENDPOINT``.
        bucket: Its name, without dots.

    Raises:
        ValueError: If the environment's URL is not HTTP(S).
    """
    endpoint = _endpoint("s3", _S3_URL, region, environ)
    if environ.get(_S3_URL) or environ.get(_ANY_URL):
        return endpoint, f"/{bucket}"
    return endpoint._replace(host=f"{bucket}.{endpoint.host}"), ""


def _endpoint(service: str, variable: str, region: str, environ: Mapping[str, str]) -> Endpoint:
    """
    The endpoint for a region, or the one the environment names instead.

    Args:
        service: First part of its DNS name.
        variable: Name of the service's own variable, which takes precedence over ``AWS_ENDPOINT_URL``.
        region: For example ``eu-west-1``; decides the partition.
        environ: May also hold ``AWS_ENDPOINT_URL`` and ``AWS_USE_FIPS_ENDPOINT``.

    Raises:
        ValueError: If the environment's URL is not HTTP(S).
    """
    if url := environ.get(variable) or environ.get(_ANY_URL):
        return parse_endpoint(url)[0]
    suffix = next((suffix for prefix, suffix in _SUFFIXES.items() if region.startswith(prefix)), "amazonaws.com")
    fips = environ.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true"
    # Their only endpoints in GovCloud are the FIPS endpoints (botocore's rules say the same).
    if fips and not (service in ("dynamodb", "sts") and region.startswith("us-gov-")):
        service += "-fips"
    return Endpoint(f"{service}.{region}.{suffix}", 443, tls=True)


def authorities_file(environ: Mapping[str, str]) -> str:
    """
    The path of the CA certificates that AWS's are checked against, PEM; empty for the system's.

    Args:
        environ: May hold ``AWS_CA_BUNDLE``, which every AWS SDK reads.

    Raises:
        ValueError: If that file cannot be read.
    """
    file = environ.get(CA_BUNDLE, "")
    if file and not os.access(file, os.R_OK):
        raise ValueError(f"{CA_BUNDLE} cannot be read")
    return file


def parse_endpoint(url: str) -> tuple[Endpoint, str]:
    """
    The endpoint and the path of a URL.

    Raises:
        ValueError: If it is not HTTP(S). The URL is not in the message: it could hold credentials.
    """
    parts = _URL.fullmatch(url)
    if parts is None or int(parts["port"] or 1) not in _PORTS:
        raise ValueError("it is not an http or https URL")
    tls = parts["scheme"].lower() == "https"
    port = int(parts["port"] or (443 if tls else 80))
    host = parts["host"].lower().strip("[]")
    return Endpoint(host, port, tls), f"{parts['path'] or '/'}{parts['query'] or ''}"
