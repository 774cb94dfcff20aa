"""
Who may talk to whom: every pair of a caller and somebody else's listener, derived from the mesh file alone.

A pair is declared if the caller names the callee among its backends or, for a client outside the mesh, if the listener
names the client. Every other pair is undeclared: its caller must be refused, unless the listener trusts it anyway.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from meshcert.mesh.rendering.settings import proxy_settings
from meshcert.proxy import TlsMode
from meshcert.san import proves_any
from meshcert.tls_sources import FederatedTrust

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcert.mesh.mesh import Mesh
    from meshcert.proxy import Backend, Listener, ProxySettings
    from meshcert.tls_sources import TlsTrust


class Manner(StrEnum):
    """How a declared pair talks."""

    MUTUAL = "mutual TLS"
    ONE_WAY = "one-way TLS"
    PLAIN = "plain text"


class RefusalCause(StrEnum):
    """
    Why a listener refuses a good certificate, in the words of its access log (:mod:`meshcert.envoy.causes`).

    ``NOT_ALLOWED`` is about requests: the handshake is good, and no allow rule names the caller.
    """

    NO_CERTIFICATE = "no-certificate"
    OTHER_TRUST_DOMAIN = "other-trust-domain"
    UNKNOWN_ISSUER = "unknown-issuer"
    WRONG_NAME = "wrong-name"
    NOT_ALLOWED = "not-allowed"


class Caller(NamedTuple):
    """
    Somebody who may call.

    Args:
        name: Name of a service, or of an identity that no service presents: a client outside the mesh.
        identities: The identities it can present; empty: none.
        outside: Whether it is a client outside the mesh.
    """

    name: str
    identities: tuple[str, ...]
    outside: bool = False


class Callee(NamedTuple):
    """
    A listener that may be called.

    Args:
        service: The service whose Envoy has it.
        proxy: Name of the virtual gateway or virtual node.
        listener: The listener.
    """

    service: str
    proxy: str
    listener: Listener

    @property
    def name(self) -> str:
        """For example ``orders:9443``."""
        return f"{self.service}:{self.listener.port}"

    @property
    def asks_for_certificates(self) -> bool:
        """Whether it can refuse anybody."""
        return self.listener.tls.mode is not TlsMode.DISABLED and bool(self.listener.tls.trust)


class Pair(NamedTuple):
    """
    A caller and somebody else's listener.

    Args:
        declared: Whether the mesh file lets them talk.
        manner: How they talk, or would.
        trusted: The caller's identities that the listener's rules let in; None stands for no certificate at all.
    """

    caller: Caller
    callee: Callee
    declared: bool
    manner: Manner
    trusted: tuple[str | None, ...]

    @property
    def presented(self) -> tuple[str | None, ...]:
        """What the caller can present, one after the other; None is no certificate."""
        return self.caller.identities or (None,)

    def __str__(self) -> str:
        return f"{self.caller.name} → {self.callee.name}"


def pairs_of(mesh: Mesh, *, idle: bool = False) -> tuple[Pair, ...]:
    """
    Every pair of a mesh, in the order of its file: callers first, then listeners.

    A virtual gateway's listener that asks for no certificate is there for anybody, so it is in no pair.

    Args:
        idle: Whether services without tasks (``desired_count: 0``) are in pairs, too.
    """
    running = (name for name, service in mesh.services.items() if idle or service.desired_count)
    settings = {name: proxy_settings(mesh, name) for name in running}
    callees = [
        callee
        for name, proxy in settings.items()
        for callee in (Callee(name, proxy.name, listener) for listener in proxy.listeners)
        if callee.asks_for_certificates or not mesh.services[name].virtual_gateway
    ]
    services = [Caller(name, tuple(proxy.identities)) for name, proxy in settings.items()]
    outside = [Caller(name, (name,), outside=True) for name in outside_identities(mesh)]
    return tuple(
        _pair(mesh, caller, callee, settings.get(caller.name) if not caller.outside else None)
        for caller in (*services, *outside)
        for callee in callees
        if caller.outside or caller.name != callee.service
    )


def outside_identities(mesh: Mesh) -> tuple[str, ...]:
    """The identities that no service presents: those of clients outside the mesh."""
    presented = {identity for name in mesh.services for identity in proxy_settings(mesh, name).identities}
    return tuple(identity for identity in mesh.identities if identity not in presented)


def presenters(mesh: Mesh, identity: str) -> tuple[str, ...]:
    """The services with tasks whose Envoys present an identity."""
    return tuple(
        name
        for name, service in mesh.services.items()
        if service.desired_count and identity in proxy_settings(mesh, name).identities
    )


def backend_for(mesh: Mesh, settings: ProxySettings, callee: Callee) -> Backend | None:
    """The backend by which a proxy calls a listener; None if it declares none."""
    found = (each for each in settings.backends if each.name == callee.proxy and each.port == callee.listener.port)
    return next((each for each in found if mesh.service_of(each.name) == callee.service), None)


def lets_in(mesh: Mesh, listener: Listener, identity: str | None) -> bool:
    """Whether a listener's rules let in whoever presents an identity; None presents nothing."""
    return refusal_of(mesh, listener, identity) is None


def refusal_of(mesh: Mesh, listener: Listener, identity: str | None) -> RefusalCause | None:
    """Why a listener refuses whoever presents an identity over TLS; None presents nothing, or is the answer."""
    tls = listener.tls
    if tls.mode is TlsMode.DISABLED or not tls.trust:
        return None
    if identity is None:
        return RefusalCause.NO_CERTIFICATE
    # Whether roots of the user's have signed an identity of this mesh, no mesh file says.
    if isinstance(tls.trust, FederatedTrust) and not (tls.hierarchy and mesh.identities[identity].spiffe_id):
        return RefusalCause.OTHER_TRUST_DOMAIN
    if tls.hierarchy and mesh.identities[identity].hierarchy not in mesh.trusted(tls.hierarchy):
        return RefusalCause.UNKNOWN_ISSUER
    if tls.subject_alternative_names and not _named(mesh, listener, identity):
        return RefusalCause.WRONG_NAME
    return None


def refusal_of_caller(mesh: Mesh, pair: Pair) -> RefusalCause | None:
    """
    Why a listener refuses a caller, whatever the caller presents; None if it lets the caller in, or may in plain text.

    Returns:
        Of several identities' causes that of the one that comes closest: a wrong name has at least the right issuer.
    """
    if pair.callee.listener.tls.mode is TlsMode.PERMISSIVE:
        return None
    causes = [refusal_of(mesh, pair.callee.listener, identity) for identity in pair.presented]
    return None if None in causes else max((cause for cause in causes if cause), key=list(RefusalCause).index)


def pair_of(mesh: Mesh, caller: Caller, callee: Callee) -> Pair:
    """A caller and somebody else's listener as a pair."""
    return _pair(mesh, caller, callee, None if caller.outside else proxy_settings(mesh, caller.name))


def _pair(mesh: Mesh, caller: Caller, callee: Callee, settings: ProxySettings | None) -> Pair:
    presented: Iterable[str | None] = caller.identities or (None,)
    trusted = tuple(identity for identity in presented if lets_in(mesh, callee.listener, identity))
    manner = Manner.MUTUAL if callee.asks_for_certificates else Manner.ONE_WAY
    if callee.listener.tls.mode is TlsMode.DISABLED:
        manner = Manner.PLAIN
    if settings is None:
        named = any(identity and _named(mesh, callee.listener, identity) for identity in trusted)
        return Pair(caller, callee, named, manner, trusted)
    backend = backend_for(mesh, settings, callee)
    if backend is not None and backend.tls is None:
        manner = Manner.PLAIN
    return Pair(caller, callee, backend is not None, manner, trusted)


def signers(mesh: Mesh, trust: TlsTrust) -> str:
    """Who has to have signed what is accepted with this trust, for people."""
    if isinstance(trust, FederatedTrust):
        own = [signers(mesh, trust.hierarchy)] if trust.hierarchy else []
        return " or ".join([*own, *(f"trust domain {each}" for each in trust.foreign)])
    return f"hierarchy {' or '.join(mesh.trusted(trust))}" if isinstance(trust, str) else f"roots of {trust}"


def _named(mesh: Mesh, listener: Listener, identity: str) -> bool:
    """Whether a listener's rules list one of an identity's names."""
    demanded = listener.tls.subject_alternative_names
    return proves_any(mesh.identities[identity].names, demanded)
