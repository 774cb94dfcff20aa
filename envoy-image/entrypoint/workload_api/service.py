"""
The methods of ``SpiffeWorkloadAPI`` (SPIFFE standards ``SPIFFE_Workload_Endpoint.md`` and ``SPIFFE_Workload_API.md``).

A call never ends with OK, because some clients do not come back from that (java-spiffe). Nor is anybody told
PermissionDenied while nothing is there yet: for some that is final.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from entrypoint.grpc.framing import CallEnded, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Never

    from entrypoint.grpc.service import Services
    from entrypoint.grpc.socket import Peer
    from entrypoint.workload_api.store import SvidStore

SERVICE = "SpiffeWorkloadAPI"
"""It has no package."""
SECURITY_HEADER = "workload.spiffe.io"
"""Must be ``true``: a request that somebody else has an innocent program send does not have it (section 5)."""
_OTHER_PROFILES = ("FetchJWTSVID", "FetchJWTBundles", "ValidateJWTSVID", "FetchWITSVID", "FetchWITBundles")


def workload_services(store: SvidStore) -> Services:
    """Return the methods by which applications get their SVIDs and the bundle; those of other profiles refuse."""
    return {
        f"/{SERVICE}/FetchX509SVID": partial(_stream, lambda: store.svids),
        f"/{SERVICE}/FetchX509Bundles": partial(_stream, lambda: store.bundles),
        **{f"/{SERVICE}/{method}": _refuse for method in _OTHER_PROFILES},
    }


def _stream(message: Callable[[], bytes], metadata: Mapping[str, str], peer: Peer) -> WorkloadStream:
    del peer
    _check_header(metadata)
    return WorkloadStream(message)


def _refuse(metadata: Mapping[str, str], peer: Peer) -> Never:
    del peer
    _check_header(metadata)
    raise CallEnded(Status.UNIMPLEMENTED, "only the X509 profile is here: FetchX509SVID and FetchX509Bundles")


def _check_header(metadata: Mapping[str, str]) -> None:
    if metadata.get(SECURITY_HEADER) != "true":
        raise CallEnded(Status.INVALID_ARGUMENT, "security header missing from request")


class WorkloadStream:
    """
    One call: an answer at once, and another whenever it has changed. See :class:`entrypoint.grpc.service.Stream`.

    Args:
        message: Returns the answer of now; empty while there is none.
    """

    def __init__(self, message: Callable[[], bytes]) -> None:
        self.awaits_request = True
        self._message = message
        self._sent = b""

    def receive(self, message: bytes) -> list[bytes]:
        """Take the only request, whatever is in it, and answer; a call that nothing can be said to ends."""
        del message
        if not self.awaits_request:
            raise CallEnded(Status.INVALID_ARGUMENT, "this method takes one request")
        self.awaits_request = False
        if not self._message():
            raise CallEnded(Status.UNAVAILABLE, "there is no valid identity yet")
        return self.update()

    def half_close(self) -> list[bytes]:
        """Stay open: a client that has said everything waits for what comes."""
        if self.awaits_request:
            raise CallEnded(Status.INVALID_ARGUMENT, "this method takes one request")
        return []

    def update(self) -> list[bytes]:
        """Return the answer if it is another one than was sent."""
        message = self._message()
        if self.awaits_request or not message or message == self._sent:
            return []
        self._sent = message
        return [message]
