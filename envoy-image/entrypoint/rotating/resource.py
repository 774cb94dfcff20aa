"""
One resource that is delivered to Envoy, version after version: its state, and what has been logged about it.

::

    nothing ── put ──▶ Served ◀── accepted ── Unjudged ── refused ──▶ Served, as it was before
                         │                       ▲
                         └─────── hand ──────────┘

A wanted version that fails its checks, or is quarantined, never reaches :meth:`Resource.hand`: it becomes a
:class:`Refusal`, as does one that Envoy has refused. Each kind of resource (secrets are the first) adds where versions
come from and how they are checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from entrypoint.envoy.handover import Verdict
from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    from entrypoint.aws.retrying import ProcessClock
    from entrypoint.envoy.handover import EnvoyResource, Handover, Ticket

CONFIRM_S = 5.0
"""Longest wait for Envoy's verdict on a new version, seconds; it takes milliseconds."""


class Content(Protocol):
    """One version of a resource, with what is known about it."""

    @property
    def envoy(self) -> EnvoyResource:
        """The form that Envoy is handed."""


ContentT = TypeVar("ContentT", bound=Content)


class Refusal(NamedTuple):
    """
    A version that Envoy must not get, or has refused.

    Args:
        version: The ``version_info``, or just the VersionId if the version was never read.
        hosts: The upstream hosts that refused it in a trial; empty if it was judged here.
    """

    version: str
    reason: str
    hosts: tuple[str, ...] = ()


class Served(Generic[ContentT]):
    """The state while no verdict is due: Envoy has accepted this version, or does not use the resource."""

    def __init__(self, content: ContentT) -> None:
        self.content = content


class Unjudged(Generic[ContentT]):
    """
    The state while Envoy has a version that it has not judged yet.

    Args:
        good: The version that Envoy serves meanwhile, and returns to if it refuses the new one; None if there is none.
        ticket: Knows the verdict.
    """

    def __init__(self, content: ContentT, good: ContentT | None, ticket: Ticket) -> None:
        self.content = content
        self.good = good
        self.ticket = ticket


class Resource(Generic[ContentT]):
    """
    A resource of this proxy.

    Args:
        used: True if Envoy asks for it; otherwise there are no verdicts.
    """

    def __init__(self, name: str, handover: Handover, *, used: bool) -> None:
        self.name = name
        self.used = used
        self.state: Served[ContentT] | Unjudged[ContentT] | None = None
        """None until something is handed over."""
        self.rejected = Refusal("", "")
        """The version that Envoy refused last. It is never handed over again."""
        self.refusal: Refusal | None = None
        """The current version that is not taken over; None again once the current version is served."""
        self.trouble = ""
        """What was in the way of the last look, apart from the version itself; empty if nothing was."""
        self._handover = handover
        self._told: tuple[str, str] | None = None

    @property
    def content(self) -> ContentT | None:
        """The version that Envoy was handed last and has not refused; None if there is none."""
        return self.state.content if self.state else None

    @property
    def unjudged(self) -> bool:
        """True while Envoy's verdict is due."""
        return isinstance(self.state, Unjudged)

    @property
    def version(self) -> str:
        """The ``version_info`` of the version that Envoy was handed last; empty if there is none."""
        return self.content.envoy.version if self.content else ""

    @property
    def in_envoy(self) -> tuple[ContentT, ...]:
        """The versions that Envoy may serve: the last one, and the one before it if the last one is not judged yet."""
        before = self.state.good if isinstance(self.state, Unjudged) else None
        return tuple(content for content in (self.content, before) if content)

    def take_up(self, content: ContentT) -> None:
        """Note a version that Envoy has already; nothing is handed over."""
        self.state = Served(content)

    def put(self, content: ContentT) -> None:
        """Hand over a version that needs no verdict; raises OSError if that fails."""
        self._handover.put(self.name, content.envoy)
        self.state = Served(content)

    def hand(self, content: ContentT) -> None:
        """
        Hand over a version. Envoy's verdict is then due, unless it does not use this resource.

        Raises:
            EnvoySilent: If the verdict could not be distinguished from an earlier one.
            OSError: If that fails. In both cases nothing changes.
        """
        if not self.used:
            self.put(content)
            return
        ticket = self._handover.hand(self.name, content.envoy)
        good = self.state.good if isinstance(self.state, Unjudged) else self.content
        self.state = Unjudged(content, good, ticket)

    def verdict(self) -> Verdict | None:
        """
        Ask for the verdict that is due. After a refusal, the version that Envoy serves is handed over again.

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
        """Wait up to 5 seconds for the verdict that is due; otherwise like :meth:`verdict`."""
        deadline = clock.monotonic() + CONFIRM_S
        while clock.monotonic() < deadline:
            verdict = self.verdict()
            if verdict is not None:
                return verdict
            clock.sleep(self._handover.ask_every_s)
        return None

    def restore(self) -> None:
        """Hand over again the version that Envoy should serve; raises OSError if that fails."""
        self._handover.restore(self.name, self.content.envoy if self.content else None)

    def begin_look(self) -> None:
        """Forget what was in the way of the last look. A refusal stays."""
        self.trouble = ""

    def refuse(self, version: str, reason: str, hosts: tuple[str, ...] = ()) -> None:
        """Note that this version, the current one, is not taken over; see :class:`Refusal`."""
        self.refusal = Refusal(version, reason, hosts)

    def complain(self, version: str, stage: str, reason: str) -> bool:
        """Note what is in the way of this look; True if that is new and must be logged."""
        self.trouble = f"{stage}: {reason}"
        news = self._told != (version, reason)
        self._told = version, reason
        return news

    def settle(self) -> bool:
        """Note that the current version is served; True if trouble was logged before."""
        self.refusal = None
        recovered = self._told is not None
        self._told = None
        return recovered
