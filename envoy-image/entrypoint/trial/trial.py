"""
The trial of a new client certificate before Envoy gets it, with one endpoint of each upstream that will see it.

An endpoint that refuses it is one voice and may lie or be behind: then others of the same upstream are asked, and the
majority decides.

The pre-flight cannot know whether the peers accept the certificate: their trust bundle may lack its root, they may
demand another name, their revocation list may contain it. So a real handshake asks them.

There is a trial only while a proxy runs, never at its start: a container must start even if its upstreams do not, and
it has no older certificate to keep. A new trust bundle needs no trial, because it judges others.
"""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from entrypoint.trial.addresses import addresses_of
from entrypoint.trial.connection import (
    MOST_ADDRESSES,
    Acceptance,
    Presented,
    TrialResult,
    client_context,
    connected,
    presented,
    shake_hands,
)
from meshcert.envoy import certificate_name, roots_name
from meshcert.errors import Fault, RefusedByUpstreams

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from entrypoint.log import Log
    from meshcert.envoy import Addresses
    from meshcert.envoy.api import Json
    from meshcert.proxy import Backend, BackendTls, ProxySettings

LONGEST_TRIAL_S = 2.0
"""Seconds for all upstreams together. One that has not answered by then does not hold up a rotation."""
MOST_AT_ONCE = 8
_SPARE_S = 0.2
"""Seconds kept for the answer of an upstream whose other hosts are asked, too."""

_REMEDY = "Its proxy logs why (event connection-refused): mend its trust or names, or the certificate"


class Trial:
    """
    Tries client certificates.

    Args:
        addresses: Names the DNS server that Envoy asks.
        trusted: Returns the roots that Envoy checks a backend against, PEM; empty if it has none.
    """

    def __init__(
        self, proxy: ProxySettings, addresses: Addresses, trusted: Callable[[BackendTls], str], log: Log
    ) -> None:
        self._backends = proxy.backends
        self._resolver = addresses.dns_resolver
        self._trusted = trusted
        self._log = log

    def refuse_if_upstreams_do(self, name: str, version: str, new: Json, served: Json) -> None:
        """
        Refuse a certificate that an upstream refuses.

        An upstream that cannot be reached, or is not the right server, does not count as refusing. Nor does one that
        refuses the served certificate too, because keeping that one would not help.

        Args:
            name: SDS name of the certificate.
            version: The new material's VersionId, for the log.
            new: The new material as an SDS resource.
            served: What Envoy serves. Without its key, which a restarted watcher may lack, nothing is refused.

        Raises:
            RefusedByUpstreams: With the hosts that accept the served and refuse the new one, and one fault for each
                upstream.
        """
        shown = presented(new)
        answers = self._answers(name, shown, presented(served)) if shown else {}
        refusing = {upstream: answer for upstream, answer in answers.items() if answer.outcome is Acceptance.REFUSED}
        if refusing:
            faults = (
                Fault(f"upstream {upstream}", f"it refuses the new client certificate ({answer.reason})", _REMEDY)
                for upstream, answer in refusing.items()
            )
            hosts = (f"{upstream}@{host}" for upstream, answer in refusing.items() for host in answer.hosts)
            raise RefusedByUpstreams(name, tuple(faults), tuple(hosts))
        if answers:
            unknown = {upstream: answer.reason for upstream, answer in answers.items() if answer.reason}
            write = self._log.warning if unknown else self._log.info
            write("certificate-tried", secret=name, version=version, upstreams=len(answers), undecided=unknown)

    def _answers(self, name: str, new: Presented, served: Presented | None) -> dict[str, TrialResult]:
        """Every upstream's answer by its name, those that gave none included."""
        # A backend that is not authenticated, or by roots that only Envoy has, could be anybody.
        backends = [
            backend
            for backend in self._backends
            if backend.tls and certificate_name(backend.tls.certificate) == name and roots_name(backend.tls.trust)
        ]
        questions = _Questions(new, served, self._resolver, self._trusted)
        found: SimpleQueue[tuple[str, TrialResult]] = SimpleQueue()
        waiting = iter(backends)

        def ask() -> None:
            # All threads share it, so each backend is taken once.
            for backend in waiting:
                found.put((backend.name, questions.ask(backend)))

        # Threads are not joined when the time is over, because the system's resolver cannot be interrupted.
        for _ in range(min(MOST_AT_ONCE, len(backends))):
            Thread(target=ask, daemon=True).start()
        answers = {backend.name: TrialResult(Acceptance.UNKNOWN, "it does not answer in time") for backend in backends}
        answers.update(_until(questions.deadline, found, len(backends)))
        return answers


class _Questions:
    """The two certificates of one trial, and the time that all upstreams have together."""

    def __init__(
        self, new: Presented, served: Presented | None, resolver: str, trusted: Callable[[BackendTls], str]
    ) -> None:
        self.deadline = time.monotonic() + LONGEST_TRIAL_S
        self._new = new
        self._served = served
        self._resolver = resolver
        self._trusted = trusted
        self._contexts: dict[tuple[Presented, str, str], ssl.SSLContext] = {}

    def ask(self, backend: Backend) -> TrialResult:
        """The backend's answer; of several hosts, the majority's. Never raises."""
        try:
            addresses = addresses_of(backend.host, self._resolver, max(0.001, self.deadline - time.monotonic()))
            answer, address = self._compared(backend, addresses, self.deadline)
        except OSError as error:
            return TrialResult(Acceptance.UNKNOWN, f"it cannot be reached ({error.strerror or error})")
        except Exception as error:  # noqa: BLE001  its values could be secret, and a trial must not end a rotation
            return TrialResult(Acceptance.UNKNOWN, f"internal fault: {type(error).__name__}")
        if answer.outcome is not Acceptance.REFUSED:
            return answer
        return self._majority(backend, answer, [other for other in dict.fromkeys(addresses) if other != address])

    def _majority(self, backend: Backend, first: TrialResult, others: list[str]) -> TrialResult:
        """The answer of an upstream of which one host refuses."""
        refusing, accepting = list(first.hosts), []
        for address in others[: MOST_ADDRESSES - 1]:
            try:
                answer, _ = self._compared(backend, [address], self.deadline - _SPARE_S)
            except Exception:  # noqa: BLE001, S112  a host that cannot be asked has no voice; see ask()
                continue
            refusing += answer.hosts
            accepting += [address] if answer.outcome is Acceptance.ACCEPTED else []
        if len(accepting) < len(refusing):
            return first._replace(hosts=tuple(refusing))
        what = f"{', '.join(refusing)} refuses it ({first.reason}), and {', '.join(accepting)} accepts it"
        return TrialResult(Acceptance.UNKNOWN, what)

    def _compared(self, backend: Backend, addresses: list[str], deadline: float) -> tuple[TrialResult, str]:
        """
        The answer of the first of these addresses that can be reached, and that address.

        It is refused only if the same host accepts what is served.
        """
        answer, address = self._shown(self._new, backend, addresses, deadline)
        if answer.outcome is not Acceptance.REFUSED:
            return answer, address
        if self._served is None:
            what = "and there is no key to compare with"
        else:
            control, _ = self._shown(self._served, backend, [address], deadline)
            if control.outcome is Acceptance.ACCEPTED:
                return answer._replace(hosts=(address,)), address
            what = f"but what is served now is {control.outcome.value} ({control.reason})"
        return TrialResult(Acceptance.UNKNOWN, f"it refuses it ({answer.reason}), {what}"), address

    def _shown(
        self, what: Presented, backend: Backend, addresses: list[str], deadline: float
    ) -> tuple[TrialResult, str]:
        context = self._context(what, backend)
        connection, address = connected(addresses, backend.port, deadline)
        return shake_hands(connection, backend, context, deadline), address

    def _context(self, what: Presented, backend: Backend) -> ssl.SSLContext:
        """A context that all backends of a kind share, because opening a key takes longer than a handshake."""
        roots = self._trusted(backend.tls) if backend.tls else ""
        kind = (what, roots, backend.protocol)
        if kind not in self._contexts:
            self._contexts[kind] = client_context(what, roots, backend.protocol)
        return self._contexts[kind]


def _until(
    deadline: float, found: SimpleQueue[tuple[str, TrialResult]], count: int
) -> Iterator[tuple[str, TrialResult]]:
    for _ in range(count):
        try:
            yield found.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            return
