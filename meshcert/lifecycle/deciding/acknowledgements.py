"""
What instances say against a version. Each is a voice, and one voice proves nothing. Pure.

An instance may run anybody's code, may have a clock that is off, or may only repeat what one upstream host told it in a
trial. So no single instance and no single upstream host takes a label back, however many instances it reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcert.contract.acknowledgements import REFUSED_BY_UPSTREAM
from meshcert.lifecycle.observation import Unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcert.lifecycle.observation import Observation

_NAMED = 3
_UNNAMED = "an upstream that it does not name"


@dataclass(frozen=True)
class InstanceRefusal:
    """
    An instance's word against a version.

    Args:
        service: The instance's service.
        instance: The platform's own name for it.
        error: Why it refuses the version, in its own words.
        serves: The version that it says it serves instead.
        upstreams: The upstream hosts (``NAME@ADDRESS``) that refused the version when the instance tried it; empty if
            the instance refuses it by its own judgement.
    """

    service: str
    instance: str
    error: str
    serves: str
    upstreams: frozenset[str] = frozenset()

    def __str__(self) -> str:
        whom = f" after {', '.join(sorted(self.upstreams))} did" if self.upstreams else ""
        return f"{self.instance} of {self.service} refuses it{whom}: {self.error}"


def refusals(seen: Observation, version: str) -> tuple[InstanceRefusal, ...]:
    """The refusals of a version by instances that the platform lists, in a constant order."""
    if not version:
        return ()
    return tuple(sorted(_refusals(seen, version), key=lambda each: (each.service, each.instance)))


def proof(seen: Observation, said: Iterable[InstanceRefusal]) -> tuple[InstanceRefusal, ...]:
    """
    Those of some refusals that together prove a version bad; empty if they do not.

    Refusals after trials prove it if neither one instance nor one upstream host explains them all. Refusals by an
    instance's own judgement prove it if more than half of a service's instances refuse, or of all instances, and more
    than one, unless the identity has no other instance.
    """
    said = tuple(said)
    tried = tuple(each for each in said if each.upstreams)
    if len({each.instance for each in tried}) > 1 and len(_addresses(tried)) > 1:
        return tried
    own = tuple(each for each in said if not each.upstreams)
    instances = _instances(seen)
    everywhere = sum(instances.values())
    electorates = [
        *((tuple(each for each in own if each.service == service), running) for service, running in instances.items()),
        (own, everywhere),
    ]
    for refusing, running in electorates:
        if len(refusing) > running / 2 and (len(refusing) > 1 or everywhere == 1):
            return refusing
    return ()


def as_doubt(version: str, said: tuple[InstanceRefusal, ...]) -> str:
    """A sentence that names who refuses a version; of many, the first three."""
    more = f"; and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
    return f"{version}: {'; '.join(map(str, said[:_NAMED]))}{more}"


def _addresses(said: Iterable[InstanceRefusal]) -> frozenset[str]:
    """
    The upstream hosts by address alone: one host may serve several upstreams.

    One that is not named may be any of those that are.
    """
    named = (host for each in said for host in each.upstreams if host != _UNNAMED)
    return frozenset(host.rpartition("@")[2] for host in named)


def _refusals(seen: Observation, version: str) -> Iterator[InstanceRefusal]:
    if isinstance(seen.services, Unknown) or isinstance(seen.acknowledgements, Unknown):
        return
    for use in seen.identity.services:
        service = seen.services.get(use.name)
        for instance in service.instances if service else ():
            row = seen.acknowledgements.get(instance.id)
            if row is None or row.refused != version:
                continue
            upstreams = frozenset(row.refused_by)
            if not upstreams and row.error.startswith(REFUSED_BY_UPSTREAM):
                # The image of a version before does not name them.
                upstreams = frozenset({_UNNAMED})
            yield InstanceRefusal(use.name, instance.id, row.error, row.version, upstreams)


def _instances(seen: Observation) -> dict[str, int]:
    services = {} if isinstance(seen.services, Unknown) else seen.services
    return {name: len(service.instances) for name, service in services.items() if service}
