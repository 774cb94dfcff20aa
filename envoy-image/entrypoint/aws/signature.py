"""
Signature Version 4, with which AWS's services know who asks (IAM user guide, "Signature Version 4 for API requests").

By hand, because loading a library that signs takes longer than all of a start's requests; which ones were weighed:
docs/benchmarks.md, "A quarter of a CPU". Tested against AWS's own test suite and against botocore.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING

from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from entrypoint.aws.http_exchange import HttpRequest

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Credentials(NamedTuple):
    """
    What a request is signed with; ``repr`` shows none of it.

    Args:
        token: The session token; empty for a user's own keys.
    """

    access_key_id: str
    secret_access_key: str
    token: str = ""

    def __repr__(self) -> str:
        return "<Credentials>"


class SigningScope(NamedTuple):
    """
    What a signature is good for, for one day.

    Args:
        region: For example ``eu-west-1``.
        service: As AWS signs for it, for example ``secretsmanager``.
    """

    region: str
    service: str


def signature_headers(
    request: HttpRequest, credentials: Credentials, scope: SigningScope, now: float
) -> list[tuple[str, str]]:
    """
    The headers to send besides the request's own: date, session token, signature.

    Amazon S3 also wants the body's hash, and has the path signed as it is sent; every other service has it escaped once
    more.

    Args:
        request: All of its headers are signed, ``Host`` among them, and none stands twice. Its path has no query.
            Unless S3 is asked, it has no doubled slash and no segment of dots: AWS takes these out before it compares.
        now: Seconds since 1970, UTC; AWS refuses what is five minutes off.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    of_s3 = scope.service == "s3"
    content = hashlib.sha256(request.body).hexdigest()
    headers = [("X-Amz-Date", moment)]
    if credentials.token:
        headers.append(("X-Amz-Security-Token", credentials.token))
    if of_s3:
        headers.append(("X-Amz-Content-Sha256", content))
    signed = sorted((name.lower(), " ".join(value.split())) for name, value in (*request.headers, *headers))
    names = ";".join(name for name, _ in signed)
    canonical = "\n".join(
        [
            request.method,
            request.path if of_s3 else escaped(request.path, b"/"),
            "",
            *(f"{name}:{value}" for name, value in signed),
            "",
            names,
            content,
        ]
    )
    day = moment[:8]
    place = f"{day}/{scope.region}/{scope.service}/aws4_request"
    to_sign = "\n".join([_ALGORITHM, moment, place, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    proof = f"Credential={credentials.access_key_id}/{place}, SignedHeaders={names}, Signature={signature}"
    return [*headers, ("Authorization", f"{_ALGORITHM} {proof}")]


def escaped(text: str, unescaped: bytes = b"") -> str:
    """
    A text as RFC 3986 escapes what is not unreserved.

    Args:
        unescaped: Further bytes that are left alone.
    """
    return "".join(chr(byte) if byte in _UNRESERVED or byte in unescaped else f"%{byte:02X}" for byte in text.encode())
