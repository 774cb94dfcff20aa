"""
What one stream of a client is about: which secrets, what it was sent, and what it made of that.

On a new stream everything is sent, also to a client that says it has that version: sameness of content is cheap to see
for Envoy, and what a watcher that died had sent is not known here.

The two ways of xDS, by its rules (https://www.envoyproxy.io/docs/envoy/v1.40.0/api-docs/xds_protocol). No sockets here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import sha256
from typing import TYPE_CHECKING

from entrypoint.grpc.framing import CallRefused, Status
from entrypoint.xds.messages import (
    named_secret,
    read_delta_request,
    read_request,
    write_delta_response,
    write_response,
)
from meshcert.envoy.api import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from entrypoint.xds.board import Board, Offer

_ALL = "*"
_MOST_UNANSWERED = 16
"""Answers whose verdict is waited for; of a client that never gives one, older ones are forgotten."""


class Subscription(ABC):
    """
    One stream.

    Args:
        board: Where the secrets are.
        is_envoy: Whether this client's word counts on the board; others only read.
        on_unknown: Told of every name that is none.
    """

    def __init__(self, board: Board, *, is_envoy: bool, on_unknown: Callable[[str], object]) -> None:
        self._board = board
        self._is_envoy = is_envoy
        self._on_unknown = on_unknown
        self._asked: dict[str, str] = {}
        self._last: dict[str, Offer] = {}
        self._taken: dict[str, Offer] = {}
        self._refused: dict[str, Offer] = {}
        self._sent: dict[str, dict[str, Offer]] = {}
        self._nonce = 0
        self._wants_all = False
        self._begun = False

    @abstractmethod
    def receive(self, message: bytes) -> bytes | None:
        """
        Take one request.

        Args:
            message: From the client.

        Returns:
            What to send; None if there is nothing.

        Raises:
            WireFault: If it is no such message.
            CallRefused: If it asks for another kind of resource.
        """

    @abstractmethod
    def news(self) -> bytes | None:
        """What to send because the board has changed; None if nothing that this stream is about has."""

    def _subscribe(self, names: Iterable[str]) -> None:
        for asked in names:
            if name := self._board.known_as(asked):
                self._asked[asked] = name
            else:
                self._on_unknown(asked)

    def _judge(self, nonce: str, refusal: str | None) -> None:
        """What the client made of an answer."""
        for asked, offer in self._sent.pop(nonce, {}).items():
            name = self._board.known_as(asked)
            if refusal is None:
                self._taken[asked] = offer
                if self._is_envoy:
                    self._board.accepted(name, offer)
                continue
            self._refused[asked] = offer
            if self._last.get(asked) == offer and asked in self._taken:
                self._last[asked] = self._taken[asked]  # it keeps that
            if self._is_envoy:
                self._board.refused(name, offer, refusal)

    def _to_send(self) -> dict[str, Offer]:
        """What this client was not sent yet, and has not refused."""
        found = {}
        for asked, name in self._asked.items():
            offer = self._board.up(name)
            if offer and offer != self._last.get(asked) and offer != self._refused.get(asked):
                found[asked] = offer
        return found

    def _note_sent(self, offers: dict[str, Offer]) -> str:
        """The nonce under which these are sent."""
        self._nonce += 1
        self._last |= offers
        self._sent[str(self._nonce)] = offers
        if len(self._sent) > _MOST_UNANSWERED:
            del self._sent[next(iter(self._sent))]
        return str(self._nonce)


class StateOfTheWorld(Subscription):
    """``StreamSecrets``: an answer holds everything the stream is about; Envoy has a stream for each secret."""

    def receive(self, message: bytes) -> bytes | None:
        """Take one ``DiscoveryRequest``; see :meth:`Subscription.receive`."""
        request = read_request(message)
        check_type(request.type_url)
        if request.nonce:
            self._judge(request.nonce, request.refusal)
            if request.nonce != str(self._nonce):
                return None  # it was written before the last answer arrived; what it asks for may be out of date
        self._wants_all = self._wants_all or not (request.names or self._begun)
        names = self._board.names if self._wants_all else request.names
        self._begun = True
        self._asked = {asked: self._asked[asked] for asked in names if asked in self._asked}
        self._subscribe(asked for asked in names if asked not in self._asked)
        return self.news()

    def news(self) -> bytes | None:
        """See :meth:`Subscription.news`."""
        if not self._to_send():
            return None
        offers = {asked: offer for asked, name in self._asked.items() if (offer := self._board.up(name))}
        secrets = [named_secret(asked, offer.body) for asked, offer in offers.items()]
        return write_response(version_of(offers), self._note_sent(offers), secrets)


class Delta(Subscription):
    """``DeltaSecrets``: an answer holds what has changed."""

    def receive(self, message: bytes) -> bytes | None:
        """Take one ``DeltaDiscoveryRequest``; see :meth:`Subscription.receive`."""
        request = read_delta_request(message)
        check_type(request.type_url)
        if request.nonce:
            self._judge(request.nonce, request.refusal)
        for asked in request.unsubscribe:
            for kept in (self._asked, self._last, self._taken, self._refused):
                kept.pop(asked, None)
        names = request.subscribe
        if _ALL in names or not (names or self._begun):
            names = (*(name for name in names if name != _ALL), *self._board.names)
        for asked in names:
            self._last.pop(asked, None)  # who subscribes again has lost it
        self._begun = True
        self._subscribe(names)
        return self.news()

    def news(self) -> bytes | None:
        """See :meth:`Subscription.news`."""
        offers = self._to_send()
        if not offers:
            return None
        secrets = [(asked, offer.version, named_secret(asked, offer.body)) for asked, offer in offers.items()]
        return write_delta_response(version_of(offers), self._note_sent(offers), secrets)


def fetch(board: Board, message: bytes, on_unknown: Callable[[str], object]) -> bytes:
    """
    The answer to ``FetchSecrets``: one ``DiscoveryRequest``, one ``DiscoveryResponse``.

    Raises:
        WireFault: If it is no such message.
        CallRefused: If it asks for another kind of resource, or a secret is not there yet.
    """
    request = read_request(message)
    check_type(request.type_url)
    offers = {}
    for asked in request.names or board.names:
        if not (name := board.known_as(asked)):
            on_unknown(asked)
        elif offer := board.up(name):
            offers[asked] = offer
        else:
            raise CallRefused(Status.UNAVAILABLE, f"{name} is not there yet")
    return write_response(version_of(offers), "", [named_secret(asked, offer.body) for asked, offer in offers.items()])


def check_type(type_url: str) -> None:
    """Raise CallRefused if this is not the type of secrets; a client may leave it out."""
    if type_url not in {"", SECRET}:
        raise CallRefused(Status.INVALID_ARGUMENT, "this server has secrets only")


def version_of(offers: dict[str, Offer]) -> str:
    """One version for all of them: of a single secret its VersionId, else SHA-256 over names and VersionIds."""
    if len(offers) == 1:
        return next(iter(offers.values())).version
    return sha256("".join(f"{asked}={offers[asked].version}\n" for asked in sorted(offers)).encode()).hexdigest()
