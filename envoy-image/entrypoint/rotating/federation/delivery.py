"""
The roots of several trust domains, which Envoy gets as one resource, put together from several secrets.

The own roots come from the trust bundle of a hierarchy, with its revocation lists, and have been checked and rotated as
every secret is (:mod:`entrypoint.rotating.rotation`).
Envoy is handed one domain's change at a time, so that a refusal says whose it was and holds up no other domain's.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from entrypoint.aws.retrying import ProcessClock, until
from entrypoint.envoy.handover import EnvoyResource, EnvoySilent
from entrypoint.judging.revocation import UsableLists
from entrypoint.log import place_of
from entrypoint.rotating.federation.foreign_domain import ForeignDomain
from entrypoint.rotating.resource import Resource
from entrypoint.rotating.resuming import earlier_resources
from entrypoint.rotating.secret import SecretContent
from meshcert.contract.spiffe_id import SpiffeId
from meshcert.envoy import federated_bundles, federated_resource, roots_name, trust_name, trust_resource
from meshcert.material import TrustBundle
from meshcert.san import Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrypoint.envoy.handover import Handover
    from entrypoint.log import Log
    from entrypoint.rotating.secret import Secret
    from entrypoint.rotating.source import Secrets
    from meshcert.proxy import BackendTls, ProxySettings
    from meshcert.tls_sources import FederatedTrust

FIRST_BUNDLES_WITHIN_S = 5.0
"""How long a start tries to get the foreign bundles, seconds; it goes on without those that do not come."""
LONGEST_LOOK_S = 10.0
"""Seconds after which a look asks for no further bundle: all else of the proxy waits for it. The next look goes on."""
_LIST = "-----BEGIN X509 CRL-----"


class FederatedRoots(NamedTuple):
    """
    One version of a federated trust.

    Args:
        envoy: The form that Envoy is handed. Its version is the VersionId of the own trust bundle, a dot, and a text
            that identifies everything in it; without own roots that text alone.
        bundles: CA certificates and revocation lists of each trust domain that has any, PEM.
    """

    envoy: EnvoyResource
    bundles: dict[str, str]

    @property
    def own_version(self) -> str:
        """VersionId of the own trust bundle."""
        return self.envoy.version.rpartition(".")[0]


class FederationDelivery:
    """
    The federated trusts of one proxy.

    Args:
        proxy: Names them.
        secrets: All secrets of the proxy, by SDS name.
        source: Stores the foreign bundles.
    """

    def __init__(
        self,
        proxy: ProxySettings,
        secrets: Mapping[str, Secret],
        source: Secrets,
        handover: Handover,
        *,
        log: Log,
        clock: ProcessClock | None = None,
    ) -> None:
        self._own = secrets
        self._log = log
        self._clock = clock or ProcessClock()
        self._handover = handover
        self._trusts = {roots_name(trust): trust for trust in proxy.federated_trusts}
        self._resources: dict[str, Resource[FederatedRoots]] = {
            name: Resource(name, handover, used=True) for name in self._trusts
        }
        self._foreign = {
            name: ForeignDomain(name, reference.secret, source, self._clock.now, log)
            for name, reference in proxy.foreign_bundles.items()
        }
        self._turns = [*self._foreign.values()]
        """The domains in the order in which they are asked for next."""
        self._refused: dict[str, str] = {}
        """Domains by the version that Envoy has refused for theirs."""
        self._reduced: set[str] = set()

    def install(self, deadline: float) -> None:
        """
        Hand over what there is before Envoy starts: the own roots, and those of each domain whose bundle is good.

        Args:
            deadline: In monotonic time.

        Raises:
            OSError: If that fails.
        """
        deadline = min(deadline, self._clock.monotonic() + FIRST_BUNDLES_WITHIN_S)
        self._look_until(deadline, lambda fetch: until(deadline, fetch, self._clock))
        for name, resource in self._resources.items():
            bundles = self._wanted(self._trusts[name])
            resource.put(self._content(name, bundles, self._own_version(name)))
            self._log.info("secret-installed", secret=name, version=resource.version)

    def reduce(self) -> bool:
        """
        Have Envoy begin with the own roots alone, after it has refused its first secrets.

        True if what it said is out of date by that. The next look hands over one foreign domain after the other.
        """
        reduced = False
        for name, resource in self._resources.items():
            content = resource.content
            own = {} if content is None else _without(content.bundles, self._trusts[name].foreign)
            with suppress(EnvoySilent):
                if resource.unjudged:
                    reduced |= resource.await_verdict(self._clock) is None
                elif content and own != content.bundles and name not in self._reduced:
                    reduced = True
                    resource.hand(self._content(name, own, content.own_version))
                    self._reduced.add(name)
                    self._log.warning("foreign-bundles-held-back", secret=name)
                    resource.await_verdict(self._clock)
        return reduced

    def resume(self) -> None:
        """Take up what an earlier watcher handed over, as :func:`entrypoint.rotating.resuming.resume` does."""
        earlier = earlier_resources(self._resources, self._handover, self._log, self._clock.sleep)
        for name, envoy in earlier.items():
            try:
                content = FederatedRoots(envoy, federated_bundles(envoy.body))
            except (KeyError, TypeError, AttributeError) as error:
                self._log.warning("secret-not-at-hand", secret=name, error=type(error).__name__)
                continue
            self._resources[name].take_up(content)
            trust = self._trusts[name]
            for domain in trust.foreign:
                self._foreign[domain].take_up(content.bundles.get(domain, ""))
            own = self._own_secret(trust)
            if own is not None and own.content is None:
                own.take_up(_own_content(own.name, content.bundles.get(trust.trust_domain, ""), content.own_version))

    def look(self, shown: Callable[[str], str | None]) -> None:
        """
        Take over newer bundles; never raises. Whatever goes wrong, Envoy keeps the last good version.

        Args:
            shown: Returns the version that Envoy says it serves under an SDS name; None if it does not answer.
        """
        self._look_until(self._clock.monotonic() + LONGEST_LOOK_S, lambda fetch: fetch())
        for resource in self._resources.values():
            resource.begin_look()
            trouble = ""
            try:
                trouble = self._update(resource, shown)
            except EnvoySilent:
                trouble = "Envoy's administration interface does not answer"
            except OSError as error:
                trouble = f"the material folder cannot be written: {error.strerror}"
            except Exception as error:
                trouble = f"internal fault: {type(error).__name__} at {place_of(error)}"
            if not trouble:
                if resource.settle():
                    self._log.info("watch-recovered", secret=resource.name, version=resource.version)
            elif resource.complain(resource.version, "federation", trouble):
                self._log.warning(
                    "rotation-waits", secret=resource.name, version=resource.version, stage="federation", reason=trouble
                )

    def _look_until(self, deadline: float, attempt: Callable[[Callable[[], None]], None]) -> None:
        """Ask for one bundle after the other, until the time is over; an AWS that does not answer takes it all."""
        for domain in tuple(self._turns):
            if self._clock.monotonic() >= deadline:
                domain.wait("AWS has kept others waiting: it is asked for with the next look")
                continue
            domain.look(attempt)
            self._turns.remove(domain)
            self._turns.append(domain)

    def _update(self, resource: Resource[FederatedRoots], shown: Callable[[str], str | None]) -> str:
        """Hand over each domain's change by itself, and return what is in the way; empty if nothing is."""
        trust = self._trusts[resource.name]
        own = self._own_secret(trust)
        if own is not None and own.content is None:
            return f"{own.name} is not at hand"
        if resource.unjudged and resource.verdict() is None:
            return _not_confirmed(resource.version)
        problems: list[str] = []
        wanted = self._wanted(trust)
        if resource.content is None:
            return self._hand(resource, self._content(resource.name, wanted, self._own_version(resource.name)), "all")
        for domain, bundle in wanted.items():
            served = resource.content.bundles
            if bundle == served.get(domain, ""):
                continue
            is_own = domain not in trust.foreign
            own_version = self._own_version(resource.name) if is_own else resource.content.own_version
            changed = {name: bundle if name == domain else served.get(name, "") for name in wanted}
            content = self._content(resource.name, changed, own_version)
            problem = self._hand(resource, content, domain)
            if problem and resource.unjudged:
                return problem
            problems += [problem] if problem else []
        if not problems and (answer := shown(resource.name)) and answer != resource.version:
            resource.restore()
            return f"Envoy serves {answer} in its place, and is handed it again"
        return "; ".join(problems)

    def _hand(self, resource: Resource[FederatedRoots], content: FederatedRoots, domain: str) -> str:
        """Hand over a version that has changed for one domain; returns what is in the way."""
        version, began = content.envoy.version, self._clock.monotonic()
        if version not in self._refused:
            resource.hand(content)
            verdict = resource.await_verdict(self._clock)
            if verdict is None:
                return _not_confirmed(version)
            if verdict.accepted:
                took_ms = round((self._clock.monotonic() - began) * 1000, 1)
                self._log.info("secret-rotated", secret=resource.name, version=version, served_after_ms=took_ms)
                return ""
            self._refused[version] = f"{domain}: {verdict.reason}"
        return self._refused[version]

    def roots(self, tls: BackendTls) -> str:
        """The roots that a backend's certificate leads to if it has one of the names that are accepted, PEM."""
        resource = self._resources.get(roots_name(tls.trust))
        if resource is None or resource.content is None:
            return ""
        domains = {
            SpiffeId.parse(str(name)).trust_domain for name in tls.subject_alternative_names if isinstance(name, Uri)
        }
        bundles = resource.content.bundles
        return "".join(bundles[domain].partition(_LIST)[0] for domain in bundles if domain in domains)

    def foreign_bundles(self) -> dict[str, str]:
        """The CA certificates of each foreign domain that Envoy has accepted, PEM."""
        found: dict[str, str] = {}
        for name, resource in self._resources.items():
            served = resource.in_envoy[-1].bundles if resource.in_envoy else {}
            found |= {domain: served[domain] for domain in self._trusts[name].foreign if domain in served}
        return found

    def trouble(self) -> str:
        """What is in the way of newer bundles; empty if nothing is."""
        parts = [f"{each.trust_domain}: {each.trouble}" for each in self._foreign.values() if each.trouble]
        return "; ".join([*parts, *(each.trouble for each in self._resources.values() if each.trouble)])

    def _own_secret(self, trust: FederatedTrust) -> Secret | None:
        return self._own[trust_name(trust.hierarchy)] if trust.hierarchy else None

    def _own_version(self, name: str) -> str:
        own = self._own_secret(self._trusts[name])
        return own.version_id if own else ""

    def _wanted(self, trust: FederatedTrust) -> dict[str, str]:
        """The current bundle of every domain, the own one first; empty for one that admits nobody."""
        own = self._own_secret(trust)
        bundles = {}
        if own is not None and own.content is not None:
            context = own.content.envoy.body["validation_context"]
            parts = (context[field]["inline_string"] for field in ("trusted_ca", "crl") if field in context)
            bundles[trust.trust_domain] = "".join(parts)
        return bundles | {domain: self._foreign[domain].certificates for domain in trust.foreign}

    @staticmethod
    def _content(name: str, bundles: Mapping[str, str], own_version: str) -> FederatedRoots:
        present = {domain: bundle for domain, bundle in bundles.items() if bundle}
        digest = hashlib.sha256("".join(f"{domain}\n{bundle}" for domain, bundle in present.items()).encode())
        version = f"{own_version}.{digest.hexdigest()[:16]}".removeprefix(".")
        return FederatedRoots(EnvoyResource(version, federated_resource(name, present)), present)


def _without(bundles: Mapping[str, str], domains: tuple[str, ...]) -> dict[str, str]:
    return {domain: bundle for domain, bundle in bundles.items() if domain not in domains}


def _own_content(name: str, bundle: str, version_id: str) -> SecretContent:
    """The own trust bundle as it stands among the others."""
    roots, begin, rest = bundle.partition(_LIST)
    lists = UsableLists(begin + rest)
    resource = trust_resource(name, TrustBundle(roots), lists.pem)
    return SecretContent(EnvoyResource(lists.version(version_id), resource), None, roots)


def _not_confirmed(version: str) -> str:
    return f"Envoy has not said whether it takes version {version} over"
