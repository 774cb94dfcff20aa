"""The secret with the bundle of a foreign trust domain, and the custom resource that publishes its first version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constructs import Construct

from meshcert import naming
from meshcert.deploying.foreign_bundles import FOREIGN_BUNDLE_TYPE, declared_bundle
from stacks.constructs.certificates.identity import PublishedSecret, have_published

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_kms as kms

    from meshcert.material.foreign_bundle import ForeignBundle
    from stacks.constructs.python_function import PythonFunction


class ForeignBundleResources(Construct):
    """
    The secret with the roots that peers of one foreign trust domain are checked against.

    Args:
        trust_domain: Its name.
        in_files: The bundles of the trust domains whose bundle is a file; others are fetched.
        key: Encrypts the secret.
        deploy: Publishes the first version, and each of a file.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: str,
        trust_domain: str,
        in_files: Mapping[str, ForeignBundle],
        key: kms.IKey,
        deploy: PythonFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        own = in_files.get(trust_domain)
        publishers = (naming.EXPORT_ROLE,) if own else (naming.EXPORT_ROLE, naming.FEDERATE_ROLE)
        secret = PublishedSecret(
            self,
            "Secret",
            mesh=mesh,
            name=naming.foreign_bundle_secret(mesh, trust_domain),
            description=f"Roots of the foreign trust domain {trust_domain}: certificates only, no key",
            key=key,
            movers=publishers,
            writers=publishers,
        )
        declared = [declared_bundle(each) for each in in_files.values()]
        have_published(
            self,
            FOREIGN_BUNDLE_TYPE,
            deploy,
            {
                "Mesh": mesh,
                "TrustDomain": trust_domain,
                "SecretId": secret.secret_arn,
                **({"Bundle": own.dumps(), "Declared": declared} if own else {}),
            },
        )
