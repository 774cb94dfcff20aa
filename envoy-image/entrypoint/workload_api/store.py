"""What the Workload API answers now. In memory only; one thread writes it, and the server's thread reads it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from entrypoint.workload_api.messages import X509Svid


class SvidStore:
    """The answers to each call: whole messages, because every message of the Workload API is the full state."""

    def __init__(self) -> None:
        self.svids = b""
        """An ``X509SVIDResponse``; empty while there is none."""
        self.bundles = b""
        """An ``X509BundlesResponse``; empty while there is none."""
        self._on_change: Callable[[], object] = bool

    def on_change(self, call: Callable[[], object]) -> None:
        """Have this called after every change, in the thread that makes it."""
        self._on_change = call

    def offer(
        self,
        trust_domain: str,
        bundle: bytes,
        svids: Sequence[X509Svid],
        federated: Mapping[str, bytes] = MappingProxyType({}),
    ) -> bool:
        """
        Answer with this from now on.

        Args:
            trust_domain: The domain of the bundle and of all SVIDs.
            bundle: Its roots, DER, one after the other.
            svids: The default one first. If there is none, who asks for them has to come again.
            federated: The roots of foreign trust domains, DER, by their names.

        Returns:
            Whether anything has changed.
        """
        from entrypoint.workload_api.messages import x509_bundles_response, x509_svid_response  # not part of a start

        answers = (
            x509_svid_response(svids, bundle, federated),
            x509_bundles_response(trust_domain, bundle, federated),
        )
        if answers == (self.svids, self.bundles):
            return False
        self.svids, self.bundles = answers
        self._on_change()
        return True
