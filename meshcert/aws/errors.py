"""
Translates errors of AWS into errors of meshcert.

Codes are grouped by what a caller can do about them. For a code in no group, the HTTP status decides.
"""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  botocore's own, the base of its connection errors
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
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
        "InvalidClientTokenId",  # credentials of a fresh role that AWS does not know everywhere yet
        "KMSAccessDeniedException",
        "KmsAccessDenied",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
MISSING = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",  # SQS sends this for QueueDoesNotExist
        "ClusterNotFoundException",
        "NotFoundException",  # kms: there is no such key
        "ParameterNotFound",
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
        "InvalidArgsException",
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
        "MalformedCSRException",
        "MalformedPolicyDocumentException",
        "ModeNotSupportedException",
        "NamespaceNotFoundException",
        "NoPublishedVersionException",
        "PlatformTaskDefinitionIncompatibilityException",
        "PlatformUnknownException",
        "PreconditionNotMetException",
        "PublicPolicyException",
        "RecursiveInvocationException",
        "RequestAlreadyProcessedException",
        "RequestFailedException",
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
_NOT_SENT = (EndpointConnectionError, ConnectTimeoutError, CredentialRetrievalError, MetadataRetrievalError)
_SERVER_ERRORS = HTTPStatus.INTERNAL_SERVER_ERROR
_DEPLOY_AGAIN = "Deploy the stacks again: CloudFormation creates it"


@contextmanager
def aws_errors(operation: str, resource: str, *, carries_material: bool = False) -> Iterator[None]:
    """
    Translate errors of AWS that are raised in the block.

    Args:
        operation: The call, ``service:Operation``.
        resource: The name or ARN that the call is about.
        carries_material: The request holds a key or a passphrase. AWS quotes requests in its messages ("Value '...'
            failed to satisfy constraint"), so neither the message nor the original error is kept then.

    Raises:
        AwsUnavailable: For throttling, server errors and connections that fail.
        AccessDenied: If the role may not make the call.
        IdentityMissing: If the resource does not exist.
        AwsRefused: For every other error.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as exc:
        ours = _translate(exc, operation, resource, with_message=not carries_material)
        if carries_material:
            raise ours from None
        raise ours from exc


def error_code(exc: ClientError) -> str:
    """The code of an AWS error, for example ``ThrottlingException``."""
    return str(exc.response.get("Error", {}).get("Code", "Unknown"))


def _translate(exc: ClientError | BotoCoreError, operation: str, resource: str, *, with_message: bool) -> MeshcertError:
    if isinstance(exc, _UNREACHABLE):
        not_sent = isinstance(exc, _NOT_SENT)
        return AwsUnavailable(operation, resource, type(exc).__name__, without_effect=not_sent)
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
        # What has failed on AWS's side may have come to an end there. 503 alone says that it was not begun.
        failed_there = status >= _SERVER_ERRORS and status != HTTPStatus.SERVICE_UNAVAILABLE
        return AwsUnavailable(operation, resource, code, without_effect=not failed_there)
    return AwsRefused(operation, resource, code, message)
