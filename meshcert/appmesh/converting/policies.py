"""
TLS of listeners and calls.

A client policy decides a call if it has the callee's port, and otherwise the callee's listener does (App Mesh user
guide, transport layer security). So it is in the mesh file, but for one thing: a caller without a policy has no
certificate for a callee that asks for one, and gets a policy with one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.appmesh.converting.certificates import (
    Certificates,
    CertificateSource,
    ProposedIdentity,
    accepted_names,
    authorities_of,
    certificate_of,
)
from meshcert.appmesh.converting.definitions import part, parts
from meshcert.appmesh.report import Fate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcert.appmesh.converting.draft import Draft
    from meshcert.appmesh.converting.proxies import Proxies, Proxy


class BackendCall(NamedTuple):
    """
    What a proxy calls.

    Args:
        service: The virtual service.
        policy: The client policy in App Mesh's words: the backend's own, else the default; empty if there is none.
        is_own: True if it is the backend's own, which replaces the default whatever is in it.
        callees: The virtual nodes that may answer.
    """

    service: str
    policy: dict[str, Any]
    is_own: bool
    callees: Sequence[Proxy]


@dataclass
class _Pool:
    """The calls of one proxy that one policy decides; ``tls`` is empty if it is one that App Mesh did not have."""

    tls: dict[str, Any]
    authorities: list[CertificateSource]
    certificate: CertificateSource | None
    callees: dict[str, Proxy] = field(default_factory=dict)


class Policies:
    """
    Writes each policy.

    Args:
        proxies: All of them.
        calls: What each calls, by its place.
        draft: Gets identities and hierarchies.
    """

    def __init__(self, proxies: Proxies, calls: dict[str, list[BackendCall]], draft: Draft) -> None:
        self._draft, self._calls = draft, calls
        self._certificates = Certificates(draft, proxies.all)
        self._pools: dict[tuple[str, int], _Pool] = {}
        self._asked: dict[tuple[str, str], _Pool] = {}
        self._callers: dict[str, list[tuple[Proxy, CertificateSource]]] = {}
        self._written: dict[int, dict[str, Any]] = {}
        for proxy in proxies.all:
            for listener in proxy.listeners:
                self._join_listener(proxy, part(listener, "tls"))
        for proxy in proxies.all:
            self._decide_all(proxy)
        self._certificates.settle()
        presented = [
            (proxy, own)
            for proxy in proxies.all
            for listener in proxy.listeners
            if (own := _presented(proxy, listener)) is not None
        ]
        # All names are known before the first of them is looked up.
        for owner, own in [*presented, *(each for callers in self._callers.values() for each in callers)]:
            self._certificates.identity(owner, own)

    def listener_tls(self, proxy: Proxy, listener: dict[str, Any]) -> dict[str, Any] | None:
        """TLS of a listener for the mesh file; None for plain text."""
        tls = part(listener, "tls")
        if not tls:
            return None
        own = _presented(proxy, listener)
        if own is None:
            return {"mode": tls.get("mode", "DISABLED")}
        written = {
            "mode": tls.get("mode", "STRICT"),
            "certificate": {"identity": self._certificates.identity(proxy, own).name},
        }
        if "validation" in tls:
            authorities = authorities_of(tls["validation"], proxy)
            callers = [self._certificates.identity(each, mine) for each, mine in self._callers.get(proxy.place, ())]
            written["validation"] = self._validation(authorities[0], accepted_names(tls["validation"]), callers, proxy)
        return written

    def backend_policies(self, proxy: Proxy) -> tuple[dict[str, Any] | None, dict[str, dict[str, Any]]]:
        """The default client policy of a proxy, None if it has none; and that of each virtual service with another."""
        default = part(proxy.defined.spec, "backendDefaults", "clientPolicy", "tls")
        others = {}
        for call in self._calls[proxy.place]:
            if asked := self._asked.get((proxy.place, call.service)):
                others[call.service] = self._policy(proxy, asked)
            elif call.is_own:
                tls = part(call.policy, "tls")
                others[call.service] = self._policy(proxy, self._pool(proxy, tls)) if tls else {}
        return self._policy(proxy, self._pool(proxy, default)) if default else None, others

    def write(self) -> None:
        """Write hierarchies and identities."""
        self._certificates.write()

    def _join_listener(self, proxy: Proxy, tls: dict[str, Any]) -> None:
        if (own := certificate_of(tls, proxy)) and _mode(tls) != "DISABLED":
            self._certificates.join([own], [])
        if "validation" in tls:
            self._certificates.join([], authorities_of(tls["validation"], proxy))

    def _pool(self, proxy: Proxy, tls: dict[str, Any]) -> _Pool:
        """The calls that a policy decides; one object of a specification is one policy."""
        key = (proxy.place, id(tls))
        if key not in self._pools:
            authorities, own = authorities_of(part(tls, "validation"), proxy), certificate_of(tls, proxy)
            self._certificates.join([], authorities)
            if own:
                self._certificates.join([own], [])
            self._pools[key] = _Pool(tls, authorities, own)
        return self._pools[key]

    def _decide_all(self, proxy: Proxy) -> None:
        default = part(proxy.defined.spec, "backendDefaults", "clientPolicy", "tls")
        for tls in [default, *(part(call.policy, "tls") for call in self._calls[proxy.place])]:
            if tls:
                self._pool(proxy, tls)
        for call in self._calls[proxy.place]:
            for callee in call.callees:
                self._decide(proxy, call, callee)

    def _decide(self, proxy: Proxy, call: BackendCall, callee: Proxy) -> None:
        """Find out who decides a call, and join the certificates and CAs that meet in it."""
        tls, theirs = part(call.policy, "tls"), _presented(callee, callee.listener)
        ports, asked = parts(tls, "ports"), part(callee.listener, "tls", "validation")
        if tls and (not ports or callee.old_port in ports):
            pool = self._pool(proxy, tls)
            pool.callees[callee.place] = callee
            if theirs:
                self._certificates.join([theirs], pool.authorities)
        elif theirs is None:
            return
        else:
            if theirs.kind != "acm":
                why = "App Mesh did not check a callee's certificate where no policy held, and now it is checked"
                self._draft.report.tell(Fate.CHANGED, "client policy", why, f"{proxy.name} to {callee.name}")
            if not asked:
                return
            nobodys = _Pool({}, [theirs], CertificateSource(proxy.place, "asked", ""))
            pool = self._asked.setdefault((proxy.place, call.service), nobodys)
            pool.callees[callee.place] = callee
            self._certificates.join([theirs, pool.authorities[0]], [])
        if asked and theirs:
            if pool.certificate is None or not pool.tls:
                pool.certificate = pool.certificate or CertificateSource(proxy.place, "asked", "")
                why = "the callee asks for a certificate, and App Mesh's definition gave this caller none"
                self._draft.report.tell(
                    Fate.CHANGED, "proposed client certificates", why, f"{proxy.name} to {callee.name}"
                )
            self._certificates.join([pool.certificate], authorities_of(asked, callee))
            self._callers.setdefault(callee.place, []).append((proxy, pool.certificate))

    def _policy(self, proxy: Proxy, pool: _Pool) -> dict[str, Any]:
        """A client policy for the mesh file."""
        if id(pool) not in self._written:
            self._written[id(pool)] = {"tls": self._client_tls(proxy, pool)}
        return self._written[id(pool)]

    def _client_tls(self, proxy: Proxy, pool: _Pool) -> dict[str, Any]:
        presented = [(callee, _presented(callee, callee.listener)) for callee in pool.callees.values()]
        callees = [self._certificates.identity(callee, theirs) for callee, theirs in presented if theirs]
        listed = accepted_names(part(pool.tls, "validation"))
        if not listed and callees:
            why = "App Mesh compared the callee's name in service discovery where none were listed: it is written out"
            self._draft.report.tell(Fate.CHANGED, "names of callees", why, str(proxy.defined.resource))
        validation = self._validation(
            pool.authorities[0], listed or [each.names[0] for each in callees], callees, proxy
        )
        accepted = validation.get("subject_alternative_names", {"match": {"exact": []}})["match"]["exact"]
        for each in callees:
            if not set(accepted) & set(each.names):
                accepted.append(each.names[0])
                why = "its names are not listed, and the call could never succeed: the first of them is added"
                self._draft.report.tell(Fate.CHANGED, "names of callees", why, f"identity {each.name}")
        tls: dict[str, Any] = {"validation": validation}
        if pool.certificate:
            tls = {"certificate": {"identity": self._certificates.identity(proxy, pool.certificate).name}, **tls}
        if pool.tls.get("enforce") is False:
            tls["enforce"] = False
        if ports := parts(pool.tls, "ports"):
            moved = {callee.old_port: callee.port for callee in pool.callees.values()}
            tls["ports"] = [moved.get(port, port) for port in ports]
        return tls

    def _validation(
        self, authority: CertificateSource, said: list[str], peers: list[ProposedIdentity], proxy: Proxy
    ) -> dict[str, Any]:
        written: dict[str, Any] = {"trust": {"hierarchy": self._certificates.hierarchy(authority)}}
        if said:
            names = self._certificates.names(said, peers, authority, str(proxy.defined.resource))
            written["subject_alternative_names"] = {"match": {"exact": names}}
        return written


def _mode(tls: dict[str, Any]) -> str:
    return str(tls.get("mode", "DISABLED")).upper()


def _presented(proxy: Proxy, listener: dict[str, Any]) -> CertificateSource | None:
    """What a listener presents; None if it speaks plain text."""
    tls = part(listener, "tls")
    if not tls or _mode(tls) == "DISABLED":
        return None
    return certificate_of(tls, proxy) or CertificateSource(proxy.place, "unknown", proxy.place)
