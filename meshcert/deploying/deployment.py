"""What CloudFormation's custom resources are carried out with, and how long a fresh deploy's rights are waited for."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from meshcert.deploying.published_authorities import FallbackAuthorities, PublishedAuthorities
from meshcert.deploying.stated_roots import StatedRoots
from meshcert.errors import AccessDenied, NotReady
from meshcert.publishing.declared_roots import DeclaredRoots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcert.clock import Clock
    from meshcert.deploying.existing_authorities import ExistingAuthorities
    from meshcert.deploying.named_lists import ListBuckets
    from meshcert.deploying.published_authorities import LabelledValues
    from meshcert.deploying.published_roots import PublishedRoots
    from meshcert.deploying.routes import RouteRows
    from meshcert.identity import IdentityTable
    from meshcert.issuing.issuing_once import Issuing
    from meshcert.publishing.declared_bundles import DeclaredBundle
    from meshcert.publishing.export import Sources
    from meshcert.publishing.ports import LookMarks, PublishedValues

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Deployment:
    """
    Everything needed to carry out a request.

    Args:
        mesh: Name of the mesh that this function belongs to.
        bundles: The CAs of each hierarchy's trust bundle, as the stacks declare them.
        routes: The table ``routes``; it exists if a service of the mesh has a route table.
        marks: The table ``lifecycle``, to request a look at an identity once its material is published.
        issuing: Has certificates issued, for identities of AWS Private CA.
        lists: Buckets of others with revocation lists.
        authorities: CAs of the user's, which a deploy looks at before it has anything signed.
        values: Reads current values, so that their older certificates do not replace newer ones.
        foreign_bundles: Digest of the foreign bundles that the stacks declare from files.
        published_roots: Those of the mesh's own bundle; None if it publishes none.
        labelled_values: Reads what is published, and what was before.
        roots: The roots of CAs of the user's, as the stacks declare them.
        told: What is wrong and refuses nothing, of the request that is carried out.
        patience_s: Longest wait for rights and certificates of a fresh deploy, seconds.
    """

    mesh: str
    sources: Sources
    table: IdentityTable
    marks: LookMarks
    routes: RouteRows
    bundles: Mapping[str, DeclaredBundle]
    issuing: Issuing
    authorities: ExistingAuthorities
    lists: ListBuckets
    values: PublishedValues
    labelled_values: LabelledValues
    patience_s: float = 60.0
    foreign_bundles: str = ""
    published_roots: PublishedRoots | None = None
    roots: DeclaredRoots = field(default_factory=DeclaredRoots)
    told: list[str] = field(default_factory=list)

    def for_one_request(self) -> Deployment:
        """The same, with what trust bundles hold of CAs of the user's wherever those have no answer."""
        told: list[str] = []
        asked = FallbackAuthorities(self.sources.authorities, self.published_authorities, told.append)
        return replace(self, sources=replace(self.sources, authorities=asked), told=told)

    def with_remote_roots(self, stated: Mapping[str, str]) -> Deployment:
        """The same, which asks no CA of another region: a request states their roots."""
        if not stated:
            return self
        known = FallbackAuthorities(StatedRoots(stated, self.roots), self.sources.authorities, lambda _: None)
        return replace(self, sources=replace(self.sources, authorities=known))

    @property
    def published_authorities(self) -> PublishedAuthorities:
        """CAs of the user's, as trust bundles hold them."""
        return PublishedAuthorities(self.mesh, self.bundles, self.roots, self.labelled_values)

    def retry(self, step: Callable[[], _Result]) -> _Result:
        """
        Repeat a step as long as its error may heal, with pauses that double up to eight seconds.

        Raises:
            MeshcertError: The step's, once it cannot heal or patience ends.
        """
        clock: Clock = self.sources.clock
        start, pause_s = clock.now(), 1.0
        while True:
            try:
                return step()
            except (NotReady, AccessDenied) as error:
                waited_s = (clock.now() - start).total_seconds()
                if waited_s + pause_s > self.patience_s:
                    raise
                logger.info("waiting %.0f s: %s", pause_s, error)
                clock.sleep(pause_s)
                pause_s = min(pause_s * 2, 8.0)
