"""
One resource that Envoy is delivered, version after version: its state, and what a person has been told of it.

::

    nothing ── put ──▶ Served ◀── accepted ── Unjudged ── refused ──▶ Served, as it was before
                         │                       ▲
                         └─────── hand ──────────┘

A version that is wanted and fails its checks, or is quarantined, never gets as far as :meth:`Resource.hand`: it is a
:class:`Refusal`, as is one that Envoy refused. What is delivered (secrets are the first kind) adds where versions come
from and how they are checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from entrypoint.envoy.handover import Verdict

if TYPE_CHECKING:
    from entrypoint.aws.retrying import ProcessClock
    from entrypoint.envoy.handover import EnvoyResource, Handover, Ticket

CONFIRM_S = 5.0
"""Longest wait for Envoy's verdict on a new version, seconds; it takes milliseconds."""


class Content(Protocol):
    """One version of a resource with what is known of it."""

    @property
    def envoy(self) -> EnvoyResource:
        """What Envoy is handed."""


ContentT = TypeVar("ContentT", bound=Content)


class Refusal(NamedTuple):
    """
    A version that Envoy must not have, or does not want.

    Args:
        version: Its ``version_info``, or the VersionId alone if it was never read.
        reason: In words.
    """

    version: str
    reason: str


class Served(Generic[ContentT]):
    """The state of a resource of which Envoy owes no verdict: it has accepted this version, or does not use it."""

    def __init__(self, content: ContentT) -> None:
        self.content = content


class Unjudged(Generic[ContentT]):
    """
    The state of a resource of which Envoy was handed a version that it has not judged yet.

    Args:
        content: That version.
        good: What Envoy serves meanwhile, and goes back to if it refuses; None if it serves nothing.
        ticket: Is asked for the verdict.
    """

    def __init__(self, content: ContentT, good: ContentT | None, ticket: Ticket) -> None:
        self.content = content
        self.good = good
        self.ticket = ticket


class Resource(Generic[ContentT]):
    """
    A resource of this proxy.

    Args:
        name: Its xDS name.
        handover: The way to Envoy.
        used: Whether Envoy asks for it; otherwise there are no verdicts.
    """

    def __init__(self, name: str, handover: Handover, *, used: bool) -> None:
        self.name = name
        self.used = used
        self.state: Served[ContentT] | Unjudged[ContentT] | None = None
        """None until something is handed over."""
        self.rejected = Refusal("", "")
        """The version that Envoy refused last. It is never handed over again."""
        self.refusal: Refusal | None = None
        """The version that is current and not taken over, until a current one is served."""
        self.trouble = ""
        """What kept the last look from this resource, other than the version itself; empty if nothing did."""
        self._handover = handover
        self._told: tuple[str, str] | None = None

    @property
    def content(self) -> ContentT | None:
        """What Envoy was handed last and has not refused; None if nothing was."""
        return self.state.content if self.state else None

    @property
    def unjudged(self) -> bool:
        """True while Envoy's verdict is due."""
        return isinstance(self.state, Unjudged)

    @property
    def version(self) -> str:
        """The ``version_info`` of what Envoy was handed last; empty if nothing was."""
        return self.content.envoy.version if self.content else ""

    @property
    def in_envoy(self) -> tuple[ContentT, ...]:
        """What Envoy may be serving: what it was handed last, and if it has not judged that yet, what it had before."""
        before = self.state.good if isinstance(self.state, Unjudged) else None
        return tuple(content for content in (self.content, before) if content)

    def take_up(self, content: ContentT) -> None:
        """Go on from what Envoy was handed already; nothing is handed over."""
        self.state = Served(content)

    def put(self, content: ContentT) -> None:
        """Hand over a version that needs no verdict; raises OSError if that is not possible."""
        self._handover.put(self.name, content.envoy)
        self.state = Served(content)

    def hand(self, content: ContentT) -> None:
        """
        Hand over a version. Envoy's verdict is due then, unless Envoy does not use this resource.

        Raises:
            EnvoySilent: If the verdict could not be told from an earlier one.
            OSError: If it is not possible. In both cases nothing changes.
        """
        if not self.used:
            self.put(content)
            return
        ticket = self._handover.hand(self.name, content.envoy)
        good = self.state.good if isinstance(self.state, Unjudged) else self.content
        self.state = Unjudged(content, good, ticket)

    def verdict(self) -> Verdict | None:
        """
        Ask for the verdict that is due. If it is a refusal, what Envoy serves is handed over again.

        Returns:
            None if Envoy has not judged yet.

        Raises:
            OSError: If a refused version cannot be taken back.
        """
        handed = self.state
        if not isinstance(handed, Unjudged):
            return Verdict(accepted=True)
        verdict = handed.ticket.verdict()
        if verdict is None:
            return None
        if verdict.accepted:
            self.state = Served(handed.content)
        else:
            self.rejected = Refusal(handed.content.envoy.version, verdict.reason)
            self.state = Served(handed.good) if handed.good else None
            self.restore()
        return verdict

    def await_verdict(self, clock: ProcessClock) -> Verdict | None:
        """Wait for the verdict that is due, 5 seconds at most; otherwise as :meth:`verdict`."""
        deadline = clock.monotonic() + CONFIRM_S
        while clock.monotonic() < deadline:
            verdict = self.verdict()
            if verdict is not None:
                return verdict
            clock.sleep(self._handover.ask_every_s)
        return None

    def restore(self) -> None:
        """Hand over again what Envoy should be serving; raises OSError if that is not possible."""
        self._handover.restore(self.name, self.content.envoy if self.content else None)

    def begin_look(self) -> None:
        """Forget what kept the last look from it. A refusal stays."""
        self.trouble = ""

    def refuse(self, version: str, reason: str) -> None:
        """This version, which is current, is not taken over."""
        self.refusal = Refusal(version, reason)

    def complain(self, version: str, stage: str, reason: str) -> bool:
        """Note what keeps this look from it; True if a person has not been told so yet."""
        self.trouble = f"{stage}: {reason}"
        news = self._told != (version, reason)
        self._told = version, reason
        return news

    def settle(self) -> bool:
        """The current version is served; True if a person was told of trouble before."""
        self.refusal = None
        recovered = self._told is not None
        self._told = None
        return recovered
