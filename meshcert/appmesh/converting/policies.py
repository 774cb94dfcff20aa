"""
TLS of listeners and calls.

App Mesh lets a client policy decide a call if it has the callee's port, and otherwise the callee's listener (App Mesh
user guide, transport layer security). The mesh file says for each backend what comes of it.
"""

from __future__ import annotations

from collections import Counter
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

PLAIN: dict[str, Any] = {}
"""A client policy that calls in plain text."""


class BackendCall(NamedTuple):
    """
    What a proxy calls.

    Args:
        service: The virtual service.
        policy: The client policy in App Mesh's words: the backend's own, else the default; empty if there is none.
        callees: The virtual nodes that may answer.
    """

    service: str
    policy: dict[str, Any]
    callees: Sequence[Proxy]


@dataclass
class _Pool:
    """Calls of one proxy that are made with one policy."""

    authorities: list[CertificateSource]
    certificate: CertificateSource | None
    said: list[str]
    callees: dict[str, Proxy] = field(default_factory=dict)


class Policies:
    """
    Decides each call.

    Args:
        proxies: All of them.
        calls: What each calls, by its place.
        draft: Gets identities and hierarchies.
    """

    def __init__(self, proxies: Proxies, calls: dict[str, list[BackendCall]], draft: Draft) -> None:
        self._draft, self._proxies, self._calls = draft, proxies, calls
        self._certificates = Certificates(draft, proxies.all)
        self._pools: dict[str, dict[tuple[Any, ...], _Pool]] = {}
        self._decided: dict[tuple[str, str], _Pool | None] = {}
        self._callers: dict[str, list[tuple[Proxy, CertificateSource]]] = {}
        for proxy in proxies.all:
            for listener in proxy.listeners:
                self._join_listener(proxy, part(listener, "tls"))
        for proxy in proxies.all:
            for call in calls[proxy.place]:
                self._decided[proxy.place, call.service] = self._decide(proxy, call)
        self._certificates.settle()
        for proxy in proxies.all:
            for listener in proxy.listeners:
                if (own := _presented(proxy, listener)) is not None:
                    self._certificates.identity(proxy, own)
        for each in self._callers.values():
            for caller, own in each:
                self._certificates.identity(caller, own)
        self._policies = {
            id(pool): self._policy(proxy, pool)
            for proxy in proxies.all
            for pool in self._pools.get(proxy.place, {}).values()
        }

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

    def backend_policies(self, proxy: Proxy) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """The client policy that most backends of a proxy have, and that of each virtual service that has another."""
        written = {}
        for call in self._calls[proxy.place]:
            pool = self._decided[proxy.place, call.service]
            written[call.service] = self._policies[id(pool)] if pool else PLAIN
        counted = [policy for policy in written.values() if policy]
        shares = Counter(repr(policy) for policy in counted)
        default = max(counted, key=lambda policy: shares[repr(policy)]) if counted else PLAIN
        return default, {service: policy for service, policy in written.items() if policy != default}

    def write(self) -> None:
        """Write hierarchies and identities."""
        self._certificates.write()

    def _join_listener(self, proxy: Proxy, tls: dict[str, Any]) -> None:
        if (own := certificate_of(tls, proxy)) and _mode(tls) != "DISABLED":
            self._certificates.join([own], [])
        if "validation" in tls:
            self._certificates.join([], authorities_of(tls["validation"], proxy))

    def _decide(self, proxy: Proxy, call: BackendCall) -> _Pool | None:
        """How the nodes behind a virtual service are called: None for plain text."""
        pools = {id(pool): pool for callee in call.callees for pool in [self._of_callee(proxy, call, callee)]}
        if not call.callees and part(call.policy, "tls"):
            only = self._pool(proxy, call.policy, None)
            pools = {id(only): only}
        spoken = [pool for pool in pools.values() if pool]
        if len(pools) > 1:
            self._draft.report.ask(
                "client policy",
                f"{call.service} leads to virtual nodes that are called in different ways, and a backend has one: "
                "which? All of them are called over TLS meanwhile",
                str(proxy.defined.resource),
                "Give the listeners of these nodes the same TLS, or call them by different virtual services",
            )
        return spoken[0] if spoken else None

    def _of_callee(self, proxy: Proxy, call: BackendCall, callee: Proxy) -> _Pool | None:
        tls = part(call.policy, "tls")
        ports = parts(tls, "ports")
        if tls and (not ports or callee.old_port in ports):
            if tls.get("enforce", True) is False and not callee.speaks_tls:
                return None
            return self._pool(proxy, call.policy, callee)
        return self._pool(proxy, {}, callee) if callee.speaks_tls else None

    def _pool(self, proxy: Proxy, policy: dict[str, Any], callee: Proxy | None) -> _Pool:
        """The pool of a call: by its policy, or by the callee's listener if the policy does not decide."""
        validation, tls = part(policy, "tls", "validation"), part(policy, "tls")
        theirs = _presented(callee, callee.listener) if callee else None
        asked = part(callee.listener, "tls", "validation") if callee else {}
        own = certificate_of(tls, proxy)
        if not tls and callee and theirs:
            self._tell_servers_word(proxy, callee, theirs)
        authorities = authorities_of(validation, proxy) if tls or theirs is None else [theirs]
        if theirs:
            self._certificates.join([theirs], authorities)
        if callee and asked:
            wanted = authorities_of(asked, callee)
            if own is None:
                own = CertificateSource(proxy.place, "asked", "")
                why = "the callee asks for a certificate, and App Mesh's definition gave this caller none"
                self._draft.report.tell(
                    Fate.CHANGED, "proposed client certificates", why, f"{proxy.name} to {callee.name}"
                )
            self._certificates.join([own], wanted)
            self._callers.setdefault(callee.place, []).append((proxy, own))
        elif own:
            self._certificates.join([own], [])
        key = (id(tls) if tls else "listener", own)
        pools = self._pools.setdefault(proxy.place, {})
        pool = pools.setdefault(key, _Pool(authorities, own, accepted_names(validation)))
        self._certificates.join([], [pool.authorities[0], *authorities])
        if callee:
            pool.callees[callee.place] = callee
        return pool

    def _policy(self, proxy: Proxy, pool: _Pool) -> dict[str, Any]:
        """A client policy for the mesh file."""
        presented = [(callee, _presented(callee, callee.listener)) for callee in pool.callees.values()]
        callees = [self._certificates.identity(callee, theirs) for callee, theirs in presented if theirs]
        said = pool.said or [each.names[0] for each in callees]
        if not pool.said and callees:
            why = "App Mesh compared the callee's name in service discovery where none were listed: it is written out"
            self._draft.report.tell(Fate.CHANGED, "names of callees", why, str(proxy.defined.resource))
        validation = self._validation(pool.authorities[0], said, callees, proxy)
        accepted = validation.get("subject_alternative_names", {"match": {"exact": []}})["match"]["exact"]
        for callee_identity in callees:
            if not set(accepted) & set(callee_identity.names):
                accepted.append(callee_identity.names[0])
                why = "its names are not listed, and the call could never succeed: the first of them is added"
                self._draft.report.tell(Fate.CHANGED, "names of callees", why, f"identity {callee_identity.name}")
        tls: dict[str, Any] = {"validation": validation}
        if pool.certificate:
            tls = {"certificate": {"identity": self._certificates.identity(proxy, pool.certificate).name}, **tls}
        return {"tls": tls}

    def _validation(
        self, authority: CertificateSource, said: list[str], peers: list[ProposedIdentity], proxy: Proxy
    ) -> dict[str, Any]:
        written: dict[str, Any] = {"trust": {"hierarchy": self._certificates.hierarchy(authority)}}
        if said:
            names = self._certificates.names(said, peers, authority, str(proxy.defined.resource))
            written["subject_alternative_names"] = {"match": {"exact": names}}
        return written

    def _tell_servers_word(self, proxy: Proxy, callee: Proxy, theirs: CertificateSource) -> None:
        why = "no client policy decides, so the callee's listener did: TLS. The policy is written out"
        if theirs.kind != "acm":
            why += "; App Mesh did not check this callee's certificate, and now it is checked"
        self._draft.report.tell(Fate.CHANGED, "client policy", why, f"{proxy.name} to {callee.name}")


def _mode(tls: dict[str, Any]) -> str:
    return str(tls.get("mode", "DISABLED")).upper()


def _presented(proxy: Proxy, listener: dict[str, Any]) -> CertificateSource | None:
    """What a listener presents; None if it speaks plain text."""
    tls = part(listener, "tls")
    if not tls or _mode(tls) == "DISABLED":
        return None
    return certificate_of(tls, proxy) or CertificateSource(proxy.place, "unknown", proxy.place)
