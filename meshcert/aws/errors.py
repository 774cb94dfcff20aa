"""
AWS's errors become ours, in one place.

Codes are grouped by what a caller can do about them. A code that is in no group is judged by its HTTP status.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  botocore's own, the base of its connection errors
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
)

from meshcert.contract.aws_errors import TRANSIENT
from meshcert.errors import AccessDenied, AwsRefused, AwsUnavailable, IdentityMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcert.errors import MeshcertError

DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "EC2AccessDeniedException",
        "InvalidClientTokenId",  # a fresh role's credentials, not known everywhere yet
        "KMSAccessDeniedException",
        "KmsAccessDenied",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
MISSING = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",  # what SQS says in place of QueueDoesNotExist to clients of any age
        "ClusterNotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "ServiceNotActiveException",
        "ServiceNotFoundException",
    }
)
REFUSED = frozenset(
    {
        "BatchEntryIdsNotDistinct",
        "BatchRequestTooLong",
        "ClientException",
        "CodeArtifactUserDeletedException",
        "CodeArtifactUserFailedException",
        "ConditionalCheckFailedException",
        "DataAlreadyAcceptedException",
        "DecryptionFailure",
        "DurableExecutionAlreadyStartedException",
        "EFSIOException",
        "EFSMountFailureException",
        "EmptyBatchRequest",
        "EncryptionFailure",
        "InvalidAddress",
        "InvalidArnException",
        "InvalidBatchEntryId",
        "InvalidMessageContents",
        "InvalidParameterException",
        "InvalidParameterValueException",
        "InvalidRequestContentException",
        "InvalidRequestException",
        "InvalidRuntimeException",
        "InvalidSecurity",
        "InvalidSecurityGroupIDException",
        "InvalidSequenceTokenException",
        "InvalidSubnetIDException",
        "InvalidZipFileException",
        "ItemCollectionSizeLimitExceededException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "KmsDisabled",
        "KmsInvalidKeyUsage",
        "KmsInvalidState",
        "KmsNotFound",
        "KmsOptInRequired",
        "LimitExceededException",
        "MalformedPolicyDocumentException",
        "ModeNotSupportedException",
        "NamespaceNotFoundException",
        "NoPublishedVersionException",
        "PlatformTaskDefinitionIncompatibilityException",
        "PlatformUnknownException",
        "PreconditionNotMetException",
        "PublicPolicyException",
        "RecursiveInvocationException",
        "RequestTooLargeException",
        "ResourceAlreadyExistsException",
        "ResourceExistsException",
        "RuntimeAliasDeletedException",
        "RuntimeVersionDeletedException",
        "S3FilesMountFailureException",
        "SerializedRequestEntityTooLargeException",
        "ServiceQuotaExceededException",
        "SnapStartException",
        "TooManyEntriesInBatchRequest",
        "UnsupportedFeatureException",
        "UnsupportedMediaTypeException",
        "UnsupportedOperation",
        "ValidationException",
    }
)

_UNREACHABLE = (ConnectionError, HTTPClientError, IncompleteReadError, CredentialRetrievalError, MetadataRetrievalError)
_SERVER_ERRORS = 500
_DEPLOY_AGAIN = "Deploy the stacks again: CloudFormation creates it"


@contextmanager
def aws_errors(operation: str, resource: str, *, carries_material: bool = False) -> Iterator[None]:
    """
    Raise our errors for AWS's.

    Args:
        operation: The call, ``service:Operation``.
        resource: What it is about: a name or an ARN.
        carries_material: The request holds a key or a passphrase. AWS quotes requests in its messages ("Value '...'
            failed to satisfy constraint"), so then neither the message nor the original error is kept.

    Raises:
        AwsUnavailable: For throttling, server errors and connections that fail.
        AccessDenied: If the role may not.
        IdentityMissing: If the resource does not exist.
        AwsRefused: For everything else that AWS says.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as exc:
        ours = _translate(exc, operation, resource, with_message=not carries_material)
        if carries_material:
            raise ours from None
        raise ours from exc


def error_code(exc: ClientError) -> str:
    """AWS's code for an error, for example ``ThrottlingException``."""
    return str(exc.response.get("Error", {}).get("Code", "Unknown"))


def _translate(exc: ClientError | BotoCoreError, operation: str, resource: str, *, with_message: bool) -> MeshcertError:
    if isinstance(exc, _UNREACHABLE):
        return AwsUnavailable(operation, resource, type(exc).__name__)
    if not isinstance(exc, ClientError):
        return AwsRefused(operation, resource, type(exc).__name__, str(exc) if with_message else "")
    code = error_code(exc)
    message = str(exc.response.get("Error", {}).get("Message", "")) if with_message else ""
    if code in DENIED:
        return AccessDenied(operation, resource, code, message)
    if code in MISSING:
        return IdentityMissing(resource, _DEPLOY_AGAIN)
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in TRANSIENT or (code not in REFUSED and status >= _SERVER_ERRORS):
        return AwsUnavailable(operation, resource, code)
    return AwsRefused(operation, resource, code, message)
