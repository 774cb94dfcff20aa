"""Signature Version 4: AWS's own examples, and whatever botocore signs in the same way."""

from __future__ import annotations

import datetime as dt
import string
from typing import Any

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from entrypoint.aws.http_exchange import HttpRequest
from entrypoint.aws.signature import Credentials, SigningScope, signature_headers

SUITE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SUITE_TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthA"
    "x7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY"
    "9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PLAIN = string.ascii_letters + string.digits


def _signed(request: HttpRequest, credentials: Credentials, scope: SigningScope, now: float) -> dict[str, str]:
    return dict(signature_headers(request, credentials, scope, now))


def _suite(method: str, path: str = "/", body: bytes = b"", **headers: str) -> HttpRequest:
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return HttpRequest(method, path, [("Host", "example.amazonaws.com"), *fields], body)


@pytest.mark.parametrize(
    ("request_", "token", "signature"),
    [
        (_suite("GET"), "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (_suite("POST"), "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            *(_suite("GET", f"/-._~0123456789{string.ascii_uppercase}{string.ascii_lowercase}"), ""),
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        (_suite("GET", "/\u1234"), "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        (
            *(_suite("GET", My_Header1=" value1", My_Header2=' "a   b   c"'), ""),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            *(_suite("POST", My_Header1="value1"), ""),
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            *(_suite("POST", My_Header1="VALUE1"), ""),
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ),
        (
            *(_suite("POST", body=b"Param1=value1", Content_Type="application/x-www-form-urlencoded"), ""),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (_suite("POST"), SUITE_TOKEN, "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
    ],
    ids=[
        *("get-vanilla", "post-vanilla", "get-unreserved", "get-utf8", "get-header-value-trim"),
        *("post-header-key-sort", "post-header-value-case", "post-x-www-form-urlencoded", "post-sts-header-before"),
    ],
)
def test_aws_own_test_suite_is_signed_as_aws_does(request_: HttpRequest, token: str, signature: str) -> None:
    """Those of its cases that have neither a query nor a header twice: no request of ours has either."""
    at = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC).timestamp()

    signed = _signed(request_, SUITE._replace(token=token), SigningScope("us-east-1", "service"), at)

    own = [*(name.lower() for name, _ in request_.headers), "x-amz-date", *(["x-amz-security-token"] if token else [])]
    assert signed["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={';'.join(sorted(own))}, Signature={signature}"
    )
    assert signed.get("X-Amz-Security-Token", "") == token


def test_s3s_example_is_signed_as_s3_does() -> None:
    """The object of its page "Signature Calculations for the Authorization Header"."""
    request = HttpRequest("GET", "/test.txt", [("Host", "examplebucket.s3.amazonaws.com"), ("Range", "bytes=0-9")])
    credentials = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")

    signed = _signed(
        request, credentials, SigningScope("us-east-1", "s3"), dt.datetime(2013, 5, 24, tzinfo=dt.UTC).timestamp()
    )

    assert signed["Authorization"].endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )
    assert signed["X-Amz-Content-Sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(
    request_=st.builds(
        HttpRequest,
        st.sampled_from(["GET", "POST"]),
        st.text(f"{PLAIN}-./", max_size=40).map(lambda rest: f"/{rest}".replace("//", "/").replace("/.", "/")),
        st.just([("Host", "bucket.s3.eu-west-1.amazonaws.com")]),
        st.binary(max_size=200),
    ),
    credentials=st.builds(
        Credentials,
        st.text(PLAIN, min_size=1, max_size=20),
        st.text(f"{PLAIN}+/", min_size=1, max_size=40),
        st.text(f"{PLAIN}+/=", max_size=60),
    ),
    service=st.sampled_from(["s3", "secretsmanager", "dynamodb", "servicediscovery"]),
    value=st.text(string.ascii_letters + string.punctuation + " ", max_size=30),
)
def test_whatever_botocore_signs_is_signed_alike(
    request_: HttpRequest, credentials: Credentials, service: str, value: str
) -> None:
    """Every service of ours, with and without a session, any body, any value of a header."""
    # botocore takes doubled slashes and dots out of a path that is not S3's; we ask these services for "/" alone.
    path = request_.path if service == "s3" else "/"
    request_ = request_._replace(path=path, headers=[*request_.headers, ("X-Any", value)])
    kind: Any = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    signer = kind(BotocoreCredentials(*credentials[:2], credentials.token or None), service, "eu-west-1")
    headers = dict(request_.headers)
    theirs: Any = AWSRequest(request_.method, f"https://{headers['Host']}{request_.path}", headers, request_.body)
    theirs.context["client_config"] = None
    signer.add_auth(theirs)
    now = dt.datetime.strptime(theirs.context["timestamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC).timestamp()

    signed = _signed(request_, credentials, SigningScope("eu-west-1", service), now)

    assert signed["Authorization"] == theirs.headers["Authorization"]


def test_credentials_show_nothing_of_themselves() -> None:
    """In a log, a trace or a message."""
    assert repr(SUITE._replace(token=SUITE_TOKEN)) == str(SUITE) == "<Credentials>"
