"""Codes of AWS errors that pass by themselves."""

from __future__ import annotations

TRANSIENT = frozenset(
    {
        # Too many requests.
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "KmsThrottled",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        # A fault or an outage of AWS.
        "EC2UnexpectedException",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "InternalServiceErrorException",
        "ServerException",
        "ServiceException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        # The request was too slow or too old: the next one carries fresh credentials and a fresh signature.
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestTimeout",
        "RequestTimeoutException",
        # The resource is being changed.
        "ConcurrentModificationException",  # acm-pca: another change of the CA is under way
        "InvalidStateException",  # acm-pca: a CA whose certificate is still being installed
        "PriorRequestNotComplete",
        "ReplicatedWriteConflictException",
        "RequestInProgressException",
        "ResourceConflictException",  # lambda: the function is being updated
        "ResourceNotReadyException",
        "TransactionConflictException",
        "TransactionInProgressException",
        # Lambda cannot start the function now.
        "CodeArtifactUserPendingException",
        "EFSMountConnectivityException",
        "EFSMountTimeoutException",
        "ENILimitReachedException",
        "ENINotReadyException",
        "S3FilesMountConnectivityException",
        "S3FilesMountTimeoutException",
        "SnapStartNotReadyException",
        "SnapStartRegenerationFailureException",
        "SnapStartTimeoutException",
        "SubnetIPAddressLimitReachedException",
    }
)
"""Codes after which the same call may succeed later without help. The same goes for server errors (HTTP 5xx)."""
