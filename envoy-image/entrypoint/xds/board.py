"""
Where the rotation puts secrets up for Envoy to take, and reads what Envoy said of them; in memory only.

The one thing that the rotation's thread and the server's thread share. Every call takes microseconds, so neither waits
for the other.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from entrypoint.envoy.handover import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LONGEST_REASON = 500


class Offer(NamedTuple):
    """
    A secret that is put up.

    Args:
        version: Its VersionId.
        body: What :func:`entrypoint.xds.messages.secret_body` makes of it; ``repr`` leaves it out.
    """

    version: str
    body: bytes

    def __repr__(self) -> str:
        return f"<Offer {self.version}>"


class Board:
    """
    The secrets of one proxy, by SDS name.

    A version that Envoy refuses is taken down at once, and the last one it accepted is up again.

    Args:
        names: Those of :func:`meshcert.envoy.identity_name` and ``trust_name``.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        plain = [name.partition("/")[2] for name in self._names]
        # SPIRE's agent uses plain names. One that an identity shares with a hierarchy would be a guess.
        self._asked_as = {
            short: name for short, name in zip(plain, self._names, strict=True) if plain.count(short) == 1
        }
        self._asked_as |= {name: name for name in self._names}
        self._lock = Lock()
        self._up: dict[str, Offer] = {}
        self._good: dict[str, Offer] = {}
        self._refused: dict[str, tuple[Offer, str]] = {}
        self._on_news: Callable[[], object] = bool

    @property
    def names(self) -> tuple[str, ...]:
        """Every secret's SDS name."""
        return self._names

    def known_as(self, asked: str) -> str:
        """The SDS name of the secret that a client calls by this name; empty if there is none."""
        return self._asked_as.get(asked, "")

    def on_news(self, call: Callable[[], object]) -> None:
        """Have this called, from the thread that calls :meth:`put_up`, whenever another version is up."""
        self._on_news = call

    def put_up(self, name: str, offer: Offer) -> None:
        """Offer this from now on; that Envoy has refused it before is forgotten."""
        with self._lock:
            self._up[name] = offer
            if name in self._refused and self._refused[name][0] == offer:
                del self._refused[name]
        self._on_news()

    def take_down(self, name: str) -> None:
        """Offer nothing under this name: Envoy keeps what it has."""
        with self._lock:
            self._up.pop(name, None)

    def up(self, name: str) -> Offer | None:
        """What is offered; None if nothing is."""
        with self._lock:
            return self._up.get(name)

    def word(self, name: str, version: str = "") -> Verdict | None:
        """
        What Envoy said of this version since it was put up, or if that is left out, what it said first of any.

        Returns:
            None if it has not said anything yet.
        """
        with self._lock:
            good = self._good.get(name)
            if good and (not version or (good.version == version and good == self._up.get(name))):
                return Verdict(accepted=True)
            if name in self._refused:
                refused, reason = self._refused[name]
                if version in {"", refused.version}:
                    return Verdict(accepted=False, reason=reason)
            return None

    def accepted(self, name: str, offer: Offer) -> None:
        """Envoy says that it has taken this over."""
        with self._lock:
            self._good[name] = offer

    def refused(self, name: str, offer: Offer, reason: str) -> None:
        """Envoy says that it will not have this."""
        with self._lock:
            self._refused[name] = offer, " ".join(reason.split())[:LONGEST_REASON]
            if self._up.get(name) != offer:
                return
            if good := self._good.get(name):
                self._up[name] = good
            else:
                del self._up[name]
