"""
The errors that this package raises.

::

    MeshcertError
    ├── NotReady                 heals by itself: try again later
    │   ├── CertificatePending       ACM has not issued, or not yet renewed
    │   ├── SecretNotPublished       the secret still holds the template's placeholder
    │   ├── PublicationRaced         another run moved a secret's label meanwhile
    │   ├── RoutesNotPublished       a service's row of routes is not there yet
    │   ├── SettingsNotPublished     the row of an attached service's settings is not there yet
    │   ├── FilesUnreadable          a file of the user's is missing, or cannot be read
    │   ├── DeployUnderWay           a deploy has changed an identity's names, and not its row yet
    │   ├── LeaseTaken               another run holds the identity's lease
    │   ├── LeaseLost                this run took too long, and another has taken over
    │   ├── BundleEndpointUnreachable  a bundle endpoint did not answer, or not in time
    │   └── AwsUnavailable           throttling, timeouts, 5xx, a fresh role whose rights have not arrived
    └── Rejected                 a person has to act
        ├── SettingsInvalid          the environment of a program, all faults at once
        ├── MeshInvalid              the mesh file, all faults at once
        ├── RequestInvalid           a request to a function, all faults at once
        ├── SecretMalformed          not JSON, a missing field, not PEM, another schema
        ├── MaterialRejected         the pre-flight found faults, all at once
        │   ├── FilesRejected            the pre-flight found them in files of the user's
        │   └── RefusedByUpstreams       upstreams refused a certificate in a trial
        ├── CertificateRequestInvalid  no certificate can be asked for so, or what was stored of a request is no use
        ├── IssuanceBudgetSpent      so many certificates were asked for in a day that it must be a loop
        ├── CertificateNotAsRequested  Private CA issued something else than was asked for
        ├── NamesReplaced            certificate names added and removed in one deploy
        ├── AcceptedNamesReplaced    peers stop accepting a name in the deploy that brings the next one
        ├── RootReplaced             a certificate moves to a CA that its peers did not trust before
        ├── RootInUse                a root is removed that a certificate in use leads to
        ├── RootNotDeclared          a CA of the user's leads to another root than the mesh file names
        ├── AuthorityUnfit           a CA of the user's cannot do what the mesh file wants, all faults at once
        ├── RevocationListsUnusable  lists of CAs that others make: not one for each CA, or not to be read here
        ├── CertificateUnusable      ACM failed to issue it, or it is revoked or expired
        ├── CertificateNotOwned      a certificate was requested for another identity
        ├── VersionQuarantined       a bad rollout: this version is never published again
        ├── ExportFailed             the export function refused, and said why
        ├── VerifyFailed             the verify function refused, and said why
        ├── BundleRefused            what a bundle endpoint gave is not believed
        │   ├── BundleEndpointNotProven  its certificate is not valid for its host
        │   ├── BundleRedirected         it sends elsewhere, and nobody follows
        │   ├── BundleNotGiven           it answers with another status than 200
        │   ├── BundleTooLong            it gives more than a bundle may have
        │   ├── BundleInvalid            it gives no SPIFFE bundle, all faults at once
        │   ├── BundleWentBack           it gives an older bundle than before
        │   └── BundleContradicted       it gives two bundles under one sequence number
        ├── IdentityMissing          a certificate, secret or CA does not exist
        ├── IdentityUnreadable       an identity's row in the table of identities makes no sense
        ├── RouteTableUnusable       routes that make no sense, or lead where a task has no cluster
        ├── StoredSettingsUnusable   a proxy's settings outside its task definition are not what it names
        └── AwsRefused               AWS refused a request
            └── AccessDenied             a right is missing; a fresh role may get it in a minute

Errors carry data (names, ARNs, serial numbers) and never material. Messages name the thing and the next step.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshcert.values.named_tuple import NamedTuple

if TYPE_CHECKING:
    import datetime as dt

    from meshcert.san import San


_LAST_GOOD = "Its last good bundle is believed on"


class MeshcertError(Exception):
    """The base of all errors; never raised itself."""


class NotReady(MeshcertError):
    """An error that heals without a person."""


class Rejected(MeshcertError):
    """An error that needs a person."""


class CertificatePending(NotReady):
    """
    ACM has not issued a certificate under this ARN yet.

    Args:
        status: ACM's status of the certificate, for example ``PENDING_VALIDATION``.
    """

    def __init__(self, certificate_arn: str, status: str) -> None:
        self.certificate_arn = certificate_arn
        self.status = status
        super().__init__(f"{certificate_arn} is {status}: nothing to export yet")


class SecretNotPublished(NotReady):
    """
    The secret exists, but the export function has not published anything in it yet.

    Args:
        secret: Name or ARN of the secret.
    """

    def __init__(self, secret: str) -> None:
        self.secret = secret
        super().__init__(
            f"{secret} holds the template's placeholder: the export function has not published into it yet"
        )


class PublicationRaced(NotReady):
    """
    A secret's staging label is no longer on the version on which it was last seen.

    Another run published at the same time; the next look sees its result.

    Args:
        secret: Name or ARN of the secret.
        label: The staging label, for example ``AWSCURRENT``.
    """

    def __init__(self, secret: str, label: str) -> None:
        self.secret = secret
        self.label = label
        super().__init__(f"{secret}: {label} moved while this run was publishing. Look at the identity again")


class RoutesNotPublished(NotReady):
    """
    The table of routes has no row of a service yet.

    Args:
        service: Name of the service in the mesh file.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        super().__init__(f"the routes of {service} are not published yet: the services stack does it as it is deployed")


class SettingsNotPublished(NotReady):
    """
    The table of routes has no row with the settings of an attached service yet.

    Args:
        service: Name of the service in the mesh file.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        super().__init__(f"the settings of {service} are not published yet: deploy the services stack first")


class FilesUnreadable(NotReady):
    """
    A file with a certificate, a key or roots is missing, cannot be read, or is none.

    Args:
        path: Its path in Envoy's container.
        why: What is wrong with it.
    """

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        self.why = why
        super().__init__(
            f"{path} cannot be read ({why}). Put it there, or correct the path or the volume in the mesh file"
        )


class DeployUnderWay(NotReady):
    """
    What CloudFormation declares of an identity, and the identity's row, have different names, or another CA.

    A deploy writes the one before the other. Nothing is issued meanwhile.
    """

    def __init__(self, identity: str) -> None:
        self.identity = identity
        super().__init__(
            f"{identity} is declared with other names, or another CA, than its row has: a deploy is under way. If none "
            "is, deploy the identities stack again"
        )


class LeaseTaken(NotReady):
    """Another run holds an identity's lease."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        super().__init__(f"somebody else is at work on {identity}: try again when they are done")


class LeaseLost(NotReady):
    """A run took longer than its lease, and another run has taken over."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        super().__init__(f"the lease of {identity} has passed to somebody else: this run writes nothing more")


class BundleEndpointUnreachable(NotReady):
    """
    The bundle endpoint of a foreign trust domain did not answer, or not in time. Its last good bundle is believed on.

    Args:
        why: What happened, for example ``timed out``.
    """

    def __init__(self, trust_domain: str, url: str, why: str) -> None:
        self.trust_domain = trust_domain
        self.url = url
        super().__init__(f"the bundle endpoint of {trust_domain} ({url}) cannot be reached: {why}. {_LAST_GOOD}")


class AwsUnavailable(NotReady):
    """
    AWS did not answer, throttled, or failed on its side.

    Args:
        operation: The call, for example ``secretsmanager:GetSecretValue``.
        resource: The name or ARN that the call was about.
        reason: AWS's error code, or the connection's fault.
        without_effect: AWS has not done it, for all that is known: it was not reached, or has answered that it would
            not. A fault on its side (HTTP 5xx but 503) says nothing: what was asked for may have been done.
    """

    def __init__(self, operation: str, resource: str, reason: str, *, without_effect: bool = False) -> None:
        self.operation = operation
        self.resource = resource
        self.reason = reason
        self.without_effect = without_effect
        super().__init__(f"{operation} on {resource}: {reason}")


class AwsRefused(Rejected):
    """
    AWS refused a request.

    Args:
        operation: The call, for example ``acm:ExportCertificate``.
        resource: The name or ARN that the call was about.
        code: AWS's error code, for example ``AccessDeniedException``.
        message: AWS's own message.
    """

    def __init__(self, operation: str, resource: str, code: str, message: str = "") -> None:
        self.operation = operation
        self.resource = resource
        self.code = code
        super().__init__(f"{operation} on {resource}: {code}" + (f": {message}" if message else ""))


class AccessDenied(AwsRefused):
    """
    AWS denied the call because the caller lacks a right.

    Rights of a fresh role take up to a minute to arrive; if they have not arrived by then, they are missing.
    """


class CertificateUnusable(Rejected):
    """
    A certificate that ACM could not issue, or that is revoked or expired.

    Args:
        status: ACM's status of the certificate: ``FAILED``, ``REVOKED``, ``EXPIRED`` and the like.
        reason: ACM's failure reason, for example ``PCA_INVALID_STATE``; may be empty.
    """

    def __init__(self, certificate_arn: str, status: str, reason: str = "") -> None:
        self.certificate_arn = certificate_arn
        self.status = status
        self.reason = reason
        super().__init__(
            f"{certificate_arn} is {status}"
            + (f" ({reason})" if reason else "")
            + ". Repair its CA if that is the cause, then have CloudFormation request a new certificate"
        )


class CertificateNotOwned(Rejected):
    """
    A certificate was not requested for the identity that it is to be published for.

    Args:
        owner: The identity whose tag it carries; empty if it has none.
    """

    def __init__(self, certificate_arn: str, identity: str, owner: str) -> None:
        self.certificate_arn = certificate_arn
        self.identity = identity
        self.owner = owner
        super().__init__(
            f"{certificate_arn} was requested for {f'identity {owner}' if owner else 'no identity'} (tag "
            f"meshcert:identity), not for {identity}: nothing was exported. Find out who asked for it (CloudTrail, "
            f"lambda:Invoke), then deploy the stacks again"
        )


class VersionQuarantined(Rejected):
    """
    A version of a secret was rolled back and must not be published again.

    Args:
        secret: Name or ARN of the secret.
    """

    def __init__(self, secret: str, version_id: str) -> None:
        self.secret = secret
        self.version_id = version_id
        super().__init__(
            f"{secret}: version {version_id} is QUARANTINED after a failed rollout. "
            "Renew the certificate, which gives a new version, or remove the label after looking into the cause"
        )


class IdentityMissing(Rejected):
    """
    A resource that an identity needs does not exist.

    Args:
        resource: Name or ARN of the missing resource.
        remedy: The next step, as a sentence.
    """

    def __init__(self, resource: str, remedy: str) -> None:
        self.resource = resource
        self.remedy = remedy
        super().__init__(f"{resource} does not exist. {remedy}")


class IdentityElsewhere(Rejected):
    """
    An identity that another cell holds than the one whose account and region are asked.

    Args:
        identity: Name of the identity.
        cell: The cell that holds it, with its account and region, in words.
        asked: The account and region that were asked, in words.
        remedy: The next step, as a sentence.
    """

    def __init__(self, identity: str, cell: str, asked: str, remedy: str) -> None:
        super().__init__(f"{identity} is in {cell}, and {asked} was asked. {remedy}")


class IdentityUnreadable(Rejected):
    """
    The row of a declared identity makes no sense, so nothing is done for the identity, and nothing forgotten.

    Args:
        identity: Name of the identity.
        why: What is wrong with the row.
    """

    def __init__(self, identity: str, why: str) -> None:
        self.identity = identity
        super().__init__(
            f"the row of identity {identity} in the table of identities cannot be read ({why}). Deploy the mesh file "
            "with any change of this identity: CloudFormation has the row written again only then"
        )


class RouteTableUnusable(Rejected):
    """
    A route table that makes no sense, or that a task cannot take over.

    Args:
        subject: What it belongs to, for example ``service front``.
        problem: What is wrong with it.
    """

    def __init__(self, subject: str, problem: str) -> None:
        self.subject = subject
        self.problem = problem
        super().__init__(f"the routes of {subject} cannot be used: {problem}. Deploy the services stack again")


class StoredSettingsUnusable(Rejected):
    """
    A proxy's settings outside its task definition that are not what it names.

    Args:
        uri: Where they are: ``s3://BUCKET/KEY``, or ``dynamodb://TABLE/settings/SERVICE``.
        problem: What is wrong with them.
    """

    def __init__(self, uri: str, problem: str) -> None:
        self.uri = uri
        self.problem = problem
        super().__init__(f"the proxy settings in {uri} cannot be used: {problem}. Deploy the services stack again")


class SecretMalformed(Rejected):
    """
    A secret's value cannot be read.

    Args:
        secret: Name or ARN of the secret.
        fault: What is wrong with the value; names fields, never values.
    """

    def __init__(self, secret: str, fault: str) -> None:
        self.secret = secret
        self.fault = fault
        super().__init__(f"{secret}: {fault}. Publish it again: meshcert writes the whole value at once")


_PRIVATE_KEY = re.compile("-+BEGIN [A-Z0-9 ]*PRIVATE KEY.*?(-END [A-Z0-9 ]*PRIVATE KEY-+|$)", re.DOTALL)


class Fault(NamedTuple):
    """
    One fault in a mesh file, an environment or some material.

    Args:
        place: Where it is, for example ``identities.colorteller.dns_names[0]``, ``MESHCERT_PROXY``, ``certificate``.
        problem: What is wrong there.
        remedy: What to do about it.
    """

    place: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}. {self.remedy}"

    def without_keys(self) -> Fault:
        """The same, but that it quotes no private key that somebody has put into a file."""
        return Fault(*(_PRIVATE_KEY.sub("(a private key, not shown here)", part) for part in self))


class _Faulty(Rejected):
    """Several faults of one thing, all reported at once."""

    def __init__(self, subject: str, faults: tuple[Fault, ...]) -> None:
        self.subject = subject
        self.faults = faults
        super().__init__("\n".join([f"{subject}: {len(faults)} fault(s)", *(f"  - {fault}" for fault in faults)]))


class SettingsInvalid(_Faulty):
    """A program's environment is incomplete or wrong. ``faults`` lists every variable at once."""


class RequestInvalid(_Faulty):
    """A request to a function is incomplete or wrong. ``faults`` lists everything at once."""


class MeshInvalid(_Faulty):
    """A mesh file cannot be deployed. ``faults`` lists all of its faults with their places and remedies."""


class MaterialRejected(_Faulty):
    """Material must not be served. ``faults`` lists everything the pre-flight found."""


class AuthorityUnfit(_Faulty):
    """A CA of the user's cannot sign what the mesh file declares. ``faults`` lists everything at once."""


class RevocationListsUnusable(_Faulty):
    """Lists of CAs that the mesh does not make cannot be used. ``faults`` lists everything at once."""


class FilesRejected(MaterialRejected):
    """Files of the user's hold what must not be served. No version of a secret is to blame for it."""


class CertificateRequestInvalid(_Faulty):
    """A request to AWS Private CA that could not be answered with a certificate, or that was stored and is unusable."""


class IssuanceBudgetSpent(Rejected):
    """
    An identity has used up its certificates of one day. Nothing was asked for.

    Args:
        spent: How many may have been paid for within 24 hours.
    """

    def __init__(self, identity: str, spent: int) -> None:
        self.identity = identity
        self.spent = spent
        super().__init__(
            f"{spent} certificates were asked for within a day for {identity}, its budget: the next one waits. "
            "Read in the audit log what asks for them; the budget frees itself bit by bit"
        )


class CertificateNotAsRequested(_Faulty):
    """AWS Private CA issued another certificate than it was asked for. It is never published."""


class BundleLookFailed(Rejected):
    """
    A look at a foreign trust domain's bundle failed in a way that nobody has foreseen.

    Args:
        what: Name of the error.
    """

    def __init__(self, trust_domain: str, what: str) -> None:
        self.trust_domain = trust_domain
        self.what = what
        super().__init__(
            f"the look at the bundle of {trust_domain} failed unexpectedly: {what}. {_LAST_GOOD}. The federate "
            "function's log has the traceback; report it to whoever maintains meshcert"
        )


class BundleRefused(Rejected):
    """
    What the bundle endpoint of a foreign trust domain gave is not believed; its last good bundle is.

    Args:
        problem: What is wrong, after "the bundle of ...".
        remedy: What to do about it.
    """

    def __init__(self, trust_domain: str, problem: str, remedy: str) -> None:
        self.trust_domain = trust_domain
        super().__init__(f"the bundle of {trust_domain} {problem}. {_LAST_GOOD}. {remedy}")


class BundleEndpointNotProven(BundleRefused):
    """A bundle endpoint's certificate is not valid for its host, or no CA that is trusted has signed it."""

    def __init__(self, trust_domain: str, url: str, why: str) -> None:
        super().__init__(
            trust_domain,
            f"was not asked for: whoever answered at {url} did not prove to be that host ({why})",
            f"Ask the people of {trust_domain} for their endpoint's certificate",
        )


class BundleRedirected(BundleRefused):
    """
    A bundle endpoint sends elsewhere. Nobody follows: the URL that is declared is the one that is believed.

    Args:
        location: Where it sends.
    """

    def __init__(self, trust_domain: str, status: int, location: str) -> None:
        self.location = location
        super().__init__(
            trust_domain,
            f"is said to be elsewhere: HTTP {status} to {location!r:.300}",
            "If that is right, declare this URL in the mesh file",
        )


class BundleNotGiven(BundleRefused):
    """A bundle endpoint answers with a status that is neither 200 nor one of a server's own trouble."""

    def __init__(self, trust_domain: str, url: str, status: int) -> None:
        self.status = status
        super().__init__(
            trust_domain, f"was not given: {url} answers HTTP {status}", "Correct the URL in the mesh file"
        )


class BundleTooLong(BundleRefused):
    """A bundle endpoint gives more than a bundle may have."""

    def __init__(self, trust_domain: str, most_bytes: int) -> None:
        super().__init__(
            trust_domain,
            f"has more than {most_bytes:,} bytes, and no more are read",
            f"Ask the people of {trust_domain} what they publish",
        )


class BundleInvalid(BundleRefused):
    """
    A document that is no SPIFFE bundle, or one with keys that cannot be right.

    Args:
        faults: All of them.
    """

    def __init__(self, trust_domain: str, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        told = "; ".join(f"{fault.place}: {fault.problem}" for fault in faults)
        super().__init__(
            trust_domain, f"cannot be right: {told}", f"Ask the people of {trust_domain} what they publish"
        )


class BundleWentBack(BundleRefused):
    """
    A bundle is older than one that was believed already: an old copy, or somebody who brings back a withdrawn root.

    Args:
        sequence: Its ``spiffe_sequence``; None if it has none, though an earlier one had.
        seen: The highest one that was believed.
    """

    def __init__(self, trust_domain: str, sequence: int | None, seen: int) -> None:
        self.sequence = sequence
        self.seen = seen
        given = "no spiffe_sequence" if sequence is None else f"spiffe_sequence {sequence}"
        super().__init__(
            trust_domain,
            f"went back: it has {given} after {seen}",
            f"Ask the people of {trust_domain}; if they began anew, deploy their bundle once as a file",
        )


class BundleContradicted(BundleRefused):
    """Two bundles with other certificates have one and the same ``spiffe_sequence``."""

    def __init__(self, trust_domain: str, sequence: int) -> None:
        self.sequence = sequence
        super().__init__(
            trust_domain,
            f"has other certificates than before under the same spiffe_sequence {sequence}",
            f"Ask the people of {trust_domain}: the number has to grow with every change",
        )


class RefusedByUpstreams(MaterialRejected):
    """
    Upstreams refused a new client certificate in a trial, and accept the one that is served.

    Args:
        hosts: The upstream hosts that refused it, ``NAME@ADDRESS``.
    """

    def __init__(self, subject: str, faults: tuple[Fault, ...], hosts: tuple[str, ...]) -> None:
        self.hosts = hosts
        super().__init__(subject, faults)


class NamesReplaced(Rejected):
    """
    A deploy adds and removes names of one identity at once.

    While the old and the new certificate are both served, peers check the names of both. So such a change takes two
    deploys.

    Args:
        added: Names that only the new certificate has.
        removed: Names that only the old certificate has.
    """

    def __init__(self, identity: str, added: frozenset[San], removed: frozenset[San]) -> None:
        self.identity = identity
        self.added = added
        self.removed = removed
        super().__init__(
            f"identity {identity}: this deploy adds {_listed(added)} and removes {_listed(removed)} in one step. "
            f"Do it in two: first deploy with the old names and the new ones, and let the peers' "
            f"subject_alternative_names accept both; once every task serves the new certificate, "
            f"deploy again without {_listed(removed)}"
        )


class AcceptedNamesReplaced(Rejected):
    """
    A deploy has peers of an identity accept other names while the old or the new certificate has none of these.

    Certificates and lists reach tasks one after the other: the old certificate meets new lists, the new one old lists.

    Args:
        accepted: The names that peers accept and that one of the two certificates lacks altogether.
        by_running: True if these are names that tasks accept now, and the new certificate lacks them; False if they are
            names of the new lists, and the certificate that is served now lacks them.
    """

    def __init__(self, identity: str, accepted: frozenset[San], *, by_running: bool) -> None:
        self.identity = identity
        self.accepted = accepted
        self.by_running = by_running
        lists = "tasks that run now accept" if by_running else "with this deploy its peers accept"
        lacking = "the new certificate" if by_running else "the certificate that is served until then"
        super().__init__(
            f"identity {identity}: {lists} {_listed(accepted)} alone, and {lacking} has none of them. Do it in two: "
            f"first deploy a certificate with the old names and the new ones, and let the peers' "
            f"subject_alternative_names accept both; once every task serves the new certificate, deploy again without "
            f"the old ones"
        )


class RootReplaced(Rejected):
    """
    A deploy moves an identity to another hierarchy while some peer does not trust both hierarchies.

    Peers see both certificates for a while. So the new root is added before the move, and the old one is removed after
    it.

    Args:
        untrusted: ARN of the root CA that some peer does not trust during the move.
    """

    def __init__(self, identity: str, untrusted: str) -> None:
        self.identity = identity
        self.untrusted = untrusted
        super().__init__(
            f"identity {identity}: this deploy moves it to another root CA, and its peers do not trust {untrusted} "
            f"both before and after it. Do it in three: first deploy with also_trust in the hierarchy that peers "
            f"trust, and nothing else changed; then move identities; once every task serves its new certificate, "
            f"drop the old hierarchy (docs/trust.md)"
        )


class RootNotDeclared(Rejected):
    """
    The chain of a CA of the user's ends in another root than the mesh file names: peers would refuse what it signs.

    Args:
        authority: ARN of the CA.
    """

    def __init__(self, authority: str) -> None:
        self.authority = authority
        super().__init__(
            f"{authority}: its chain does not end in the root certificate that the mesh file names for it, which is "
            f"what peers trust: nothing was published. Compare them (aws acm-pca get-certificate-authority-certificate)"
            f". If its owner has had it signed under another root, have another CA made there, and move as to a new "
            f"CA (docs/trust.md)"
        )


class RootInUse(Rejected):
    """
    A deploy removes a root from a trust bundle while running tasks need it to verify a certificate.

    Args:
        hierarchy: The trust bundle's hierarchy.
        identity: The identity whose certificate leads to the root.
        root: ARN of the root CA.
    """

    def __init__(self, hierarchy: str, identity: str, root: str) -> None:
        self.hierarchy = hierarchy
        self.identity = identity
        self.root = root
        super().__init__(
            f"trust bundle {hierarchy}: this deploy takes {root} out of it, to which the certificate of identity "
            f"{identity} leads, and tasks that run now check it against this bundle. First deploy with also_trust as "
            f"it was and every trust naming the other hierarchy; take it out in the next deploy (docs/trust.md)"
        )


def _listed(names: frozenset[San]) -> str:
    return ", ".join(sorted(str(name) for name in names))


class RootNotPublished(Rejected):
    """
    A deploy has a certificate hang under a root that partners may not know yet: they would refuse it.

    Args:
        root: ARN of the root CA.
        usable: When every partner has it, UTC; None if it is not in the mesh's published SPIFFE bundle.
    """

    def __init__(self, identity: str, root: str, usable: dt.datetime | None) -> None:
        self.identity = identity
        self.root = root
        self.usable = usable
        if usable is None:
            problem = "is not in the SPIFFE bundle that the mesh publishes"
            remedy = (
                "First deploy with its hierarchy in mesh.published_bundle.hierarchies, or in also_trust of one there, "
                "and nothing else changed"
            )
        else:
            problem = f"is known to every partner only from {usable:%Y-%m-%d %H:%M:%S} UTC on"
            remedy = "Deploy again then"
        super().__init__(
            f"identity {identity}: its root CA {root} {problem}, so partners would refuse its certificate. {remedy} "
            "(docs/federation.md)"
        )


class ExportFailed(Rejected):
    """
    The export function refused.

    Args:
        error: Name of the function's error, for example ``MaterialRejected``.
        message: Message of that error.
    """

    def __init__(self, identity: str, error: str, message: str) -> None:
        self.identity = identity
        self.error = error
        super().__init__(f"the export of {identity} failed: {error}: {message}")


class VerifyFailed(Rejected):
    """
    The verify function could not check the published material.

    Args:
        error: Name of the function's error, for example ``AccessDenied``.
        message: Message of that error.
    """

    def __init__(self, identity: str, error: str, message: str) -> None:
        self.identity = identity
        self.error = error
        super().__init__(f"the check of {identity} failed: {error}: {message}")
