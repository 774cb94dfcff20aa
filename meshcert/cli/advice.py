"""A clear line for each way in which a command can fail, with the next step and the exit code."""

from __future__ import annotations

from meshcert.cli import exit_codes
from meshcert.errors import (
    AccessDenied,
    AwsRefused,
    AwsUnavailable,
    IdentityElsewhere,
    IdentityMissing,
    MeshcertError,
    MeshInvalid,
    NotReady,
    SettingsInvalid,
)

_CHOOSE = "set AWS_PROFILE to one that can"
_SIGN_IN = f"Sign in (`aws sso login`), or {_CHOOSE}"
_OPERATOR = "the role in the renewal stack's output OperatorRole may run every command"
_CLIENT = (
    "the one that `identities.NAME.client` makes may read this identity's secret, in the account and region of its "
    "cell if the mesh has cells, and no operator's may"
)
_THROTTLED = ("Throttl", "TooManyRequests", "RequestLimit", "RequestThrottled", "ProvisionedThroughput", "SlowDown")
_EXPIRED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "LoginRefreshRequired",
    "LoginTokenLoadError",
    "RequestExpired",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
)

_CREDENTIALS = {
    "NoRegionError": ("no region", "Set AWS_REGION, for example AWS_REGION=eu-west-1"),
    "ProfileNotFound": ("AWS_PROFILE names no profile of yours", "`aws configure list-profiles` lists them"),
    **dict.fromkeys(("NoCredentialsError", "PartialCredentialsError"), ("no AWS credentials", _SIGN_IN)),
    "MfaCodeMissing": ("a profile asks for an MFA code, and here is no terminal to type it at", _SIGN_IN),
    **dict.fromkeys(_EXPIRED, ("your AWS session has expired", _SIGN_IN)),
    **dict.fromkeys(
        (
            "AuthFailure",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "MissingAuthenticationTokenException",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ),
        ("AWS does not know these credentials", f"{_SIGN_IN}; see that this machine's clock is right"),
    ),
    **dict.fromkeys(
        ("CredentialRetrievalError", "MetadataRetrievalError"), ("your AWS credentials could not be got", _SIGN_IN)
    ),
}
"""What is wrong with the operator's credentials, by AWS's or botocore's code."""


def advice_in_cell(error: MeshcertError, cell: str, profile: str) -> tuple[str, int]:
    """The same where each cell may have a profile of its own."""
    line, code = advice(error)
    chosen = f"profile {profile}" if profile else "AWS_PROFILE"
    line = line.replace("AWS_PROFILE names no profile", f"{chosen} is no profile")
    return line.replace(_CHOOSE, f"give --profile {cell}=NAME of one that can"), code


def advice(error: MeshcertError) -> tuple[str, int]:
    """The line that tells an operator of an error, with the next step; and the exit code."""
    code = _code(error)
    if code in _CREDENTIALS:
        what, remedy = _CREDENTIALS[code]
        return f"{what}. {remedy}", exit_codes.REFUSED
    if isinstance(error, AccessDenied):
        who = _CLIENT if error.operation == "secretsmanager:GetSecretValue" else _OPERATOR
        return f"AWS denies it: {error}. Use a role with this right: {who}", exit_codes.REFUSED
    if isinstance(error, AwsUnavailable):
        return _unavailable(error), exit_codes.UNAVAILABLE
    if isinstance(error, IdentityMissing | MeshInvalid | SettingsInvalid):
        return str(error), exit_codes.USAGE
    if isinstance(error, NotReady):
        return str(error), exit_codes.UNAVAILABLE
    return str(error), exit_codes.REFUSED if isinstance(
        error, AwsRefused | IdentityElsewhere
    ) else exit_codes.NEEDS_A_PERSON


def session_expired(error: MeshcertError) -> bool:
    """True if the operator has to sign in again; a function gets fresh credentials by itself."""
    return _code(error) in _EXPIRED


def _code(error: MeshcertError) -> str:
    if isinstance(error, AwsRefused):
        return error.code
    return error.reason if isinstance(error, AwsUnavailable) else ""


def _unavailable(error: AwsUnavailable) -> str:
    if error.reason.startswith(_THROTTLED):
        return f"AWS throttles {error.operation}, and five tries were not enough. Run it again in a minute"
    if error.reason.endswith(("ConnectionError", "TimeoutError", "SSLError", "ConnectionClosedError")):
        return (
            f"AWS cannot be reached ({error.operation}: {error.reason}). "
            "Look at the network, AWS_REGION and AWS_ENDPOINT_URL"
        )
    return f"AWS could not answer: {error}. Run it again in a minute"
