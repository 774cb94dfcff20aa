"""
Identities and hierarchies, proposed from the certificates and CAs that App Mesh's definitions name.

A definition names a certificate by an ARN, a path or a secret, and does not say which CA signed it. But who calls whom
does: the certificate that a callee presents and the CAs that its callers believe belong together, and so do the
certificate that a caller presents and the CAs that its callee believes. What belongs together is one hierarchy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from meshcert.appmesh.converting.definitions import part, parts, text
from meshcert.appmesh.converting.naming import Names, fitting
from meshcert.appmesh.report import Fate
from meshcert.appmesh.resources import Unset, derived
from meshcert.mesh.issuance import MOST_NAMES
from meshcert.mesh.naming import dns_name_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshcert.appmesh.converting.draft import Draft
    from meshcert.appmesh.converting.proxies import Proxy

_KEYS = "EC_prime256v1"


class CertificateSource(NamedTuple):
    """
    Where a certificate or a CA comes from.

    Args:
        owner: Place of the proxy that presents it; empty for a CA.
        kind: ``acm``, ``file`` or ``sds``.
        text: The ARN, path or secret.
    """

    owner: str
    kind: str
    text: str


@dataclass(eq=False)
class ProposedIdentity:
    """
    An identity of the mesh file.

    Args:
        name: Its name there.
        origin: What it stands for: its class of certificates and CAs.
        names: Its DNS names.
    """

    name: str
    origin: CertificateSource
    names: list[str] = field(default_factory=list)


class Certificates:
    """
    Proposes identities and hierarchies.

    Args:
        draft: Gets them in the end.
        proxies: All of them.
    """

    def __init__(self, draft: Draft, proxies: Iterable[Proxy]) -> None:
        self._draft = draft
        self._proxies = {proxy.place: proxy for proxy in proxies}
        self._above: dict[CertificateSource, CertificateSource] = {}
        self._identities: dict[tuple[str, CertificateSource], ProposedIdentity] = {}
        self._presenting: set[str] = set()
        self._taken = Names("identities", draft.report)
        self._owners: dict[str, list[ProposedIdentity]] = {}
        self._hierarchies: dict[CertificateSource, str] = {}
        self._members: dict[CertificateSource, list[CertificateSource]] = {}
        self._namespace: str = draft.values["mesh"]["namespace"]

    def join(self, certificates: Sequence[CertificateSource], authorities: Sequence[CertificateSource]) -> None:
        """Say that certificates are believed by those who trust these CAs."""
        every = [*authorities, *certificates]
        for one in every[1:]:
            self._above[self._root(one)] = self._root(every[0])
        for one in every[:1]:
            self._root(one)

    def settle(self) -> None:
        """Make one hierarchy of all certificates whose CA nobody in the mesh believes; then classes are final."""
        believed = {self._root(one) for one in self._above if not one.owner}
        lonely = [one for one in self._above if one.owner and self._root(one) not in believed]
        for one in lonely[1:]:
            self._above[self._root(one)] = self._root(lonely[0])
        for one in list(self._above):
            self._members.setdefault(self._root(one), []).append(one)

    def hierarchy(self, source: CertificateSource) -> str:
        """The hierarchy that a certificate or CA belongs to."""
        root = self._root(source)
        if root not in self._hierarchies:
            members = self._members.get(root, [root])
            owners = list(dict.fromkeys(one.owner for one in members if one.owner))
            mesh = str(self._draft.values["mesh"]["name"])
            wanted = self._proxies[owners[0]].key if len(owners) == 1 else mesh
            taken = set(self._hierarchies.values())
            name, number = wanted, 2
            while name in taken:
                name, number = f"{wanted[:16].rstrip('-')}-{number}", number + 1
            self._hierarchies[root] = name
            cas = list(dict.fromkeys(one.text for one in members if not one.owner))
            self._draft.report.tell(
                Fate.CHANGED,
                "proposed hierarchies",
                "new CAs of one tier with EC keys take the place of yours: choose tiers, keys and subject",
                f"hierarchies.{name}" + (f", for {', '.join(cas[:3])}" if cas else ""),
            )
        return self._hierarchies[root]

    def identity(self, owner: Proxy, source: CertificateSource) -> ProposedIdentity:
        """The identity that a proxy presents where a certificate, or what is believed by these CAs, is asked for."""
        key = (owner.place, self._root(source))
        if key not in self._identities:
            is_first = owner.place not in self._presenting
            self._presenting.add(owner.place)
            what = f"the certificate of {owner.defined.resource}"
            name = self._taken.take(owner.key if is_first else f"{owner.key}-2", what, tells=False)
            host = owner.host if is_first else derived(f"{name}.{self._namespace}", self._namespace)
            made = ProposedIdentity(name, source, [host])
            self._identities[key] = made
            for known in dict.fromkeys((host, owner.host, owner.found_at)):
                self._owners.setdefault(known, []).append(made)
        made = self._identities[key]
        if source.owner and source.kind == "sds":
            self._owners.setdefault(source.text, []).append(made)
        return made

    def names(
        self, said: Sequence[str], callees: Sequence[ProposedIdentity], source: CertificateSource, where: str
    ) -> list[str]:
        """
        The names that a validation accepts.

        Args:
            said: Those that App Mesh's definition lists.
            callees: The identities that it is about.
            source: The CAs that it believes.
            where: The resource, for the report.
        """
        found = [self._owner(name, source) for name in said]
        unmet = [each for each in dict.fromkeys(callees) if each not in set(found)]
        names: list[str] = []
        for name, owner in zip(said, found, strict=True):
            made = owner or self._owner(name, source) or self._claim(name, unmet, source, where)
            if made is None:
                names.append(name)
            else:
                unmet = [each for each in unmet if each is not made] if not owner else unmet
                names.append(name if name in made.names else made.names[0])
        return list(dict.fromkeys(names))

    def write(self) -> None:
        """Write hierarchies and identities."""
        identities = {}
        for made in self._identities.values():
            identities[made.name] = {
                "hierarchy": self.hierarchy(made.origin),
                "dns_names": made.names[:MOST_NAMES],
                "key_algorithm": _KEYS,
            }
        hierarchies = {name: {"tiers": 1, "key_algorithm": _KEYS} for name in self._hierarchies.values()}
        self._draft.values |= {"hierarchies": hierarchies, "identities": identities}

    def _claim(
        self, name: str, unmet: Sequence[ProposedIdentity], source: CertificateSource, where: str
    ) -> ProposedIdentity | None:
        """Whom a name belongs to that no proxy is known by; None if it can be nobody's."""
        label = fitting(name.rstrip("/").rpartition("/")[2].partition(".")[0])
        made = next((each for each in unmet if each.name == label), unmet[0] if len(unmet) == 1 else None)
        is_dns = not isinstance(name, Unset) and "://" not in name and dns_name_problem(name) is None
        is_free = is_dns and name not in self._owners
        if made is None and not is_free:
            if not isinstance(name, Unset):
                self._draft.report.ask(
                    "subjectAlternativeNames",
                    f"{name} is no DNS name, and the proposed identities are ACM's: whose name is it?"
                    if not is_dns
                    else f"{name} is the name of a certificate that these CAs have not signed: whose name is it?",
                    where,
                    "Write the DNS name of its identity in its place, in the mesh file; issuer acm-pca has SPIFFE IDs",
                )
            return None
        if made is None:
            made = ProposedIdentity(self._taken.take(label, name, tells=False), source, [name])
            self._identities[name, source] = made
            why = "a listener admits a name that no proxy of these files has: an identity is proposed for it"
            self._draft.report.tell(
                Fate.CHANGED, "proposed identities", why, f"identities.{made.name} for {name}, {where}"
            )
        elif is_free and len(made.names) < MOST_NAMES:
            made.names.append(name)
        self._owners.setdefault(name, []).append(made)
        return made

    def _owner(self, name: str, source: CertificateSource) -> ProposedIdentity | None:
        """Who has a name, of those that these CAs have signed; None if nobody has."""
        known = [*self._owners.get(name, ()), *self._owners.get(name.lower(), ())]
        return next((each for each in known if self._root(each.origin) == self._root(source)), None)

    def _root(self, source: CertificateSource) -> CertificateSource:
        path = [source]
        while (above := self._above.setdefault(path[-1], path[-1])) != path[-1]:
            path.append(above)
        for one in path:
            self._above[one] = path[-1]
        return path[-1]


def certificate_of(tls: dict[str, Any], owner: Proxy) -> CertificateSource | None:
    """The certificate that a listener's TLS or a client policy names; None if it names none."""
    certificate = part(tls, "certificate")
    for kind, key in (("acm", "certificateArn"), ("file", "certificateChain"), ("sds", "secretName")):
        if kind in certificate:
            return CertificateSource(owner.place, kind, text(part(certificate, kind), key))
    return None


def authorities_of(validation: dict[str, Any], owner: Proxy) -> list[CertificateSource]:
    """The CAs that a validation believes, at least one; one that names none has a CA of its own."""
    trust = part(validation, "trust")
    arns = parts(part(trust, "acm"), "certificateAuthorityArns")
    named = [("acm", arn) for arn in arns]
    named += [
        (kind, text(part(trust, kind), key)) for kind, key in (("file", "certificateChain"), ("sds", "secretName"))
    ]
    found = [CertificateSource("", kind, name) for kind, name in named if name]
    return found or [CertificateSource("", "unknown", owner.place)]


def accepted_names(validation: dict[str, Any]) -> list[str]:
    """The names that a validation lists; empty if it lists none."""
    return parts(part(validation, "subjectAlternativeNames", "match"), "exact")
