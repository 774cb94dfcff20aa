"""The export function's adapters against the local AWS: the fakes' claims hold there, and whole exports work."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from lambdas.export import handler
from local.aws.config import CertificateTimes
from meshcert.aws.secrets_manager import SecretsManager
from meshcert.contract.staging_labels import CURRENT
from meshcert.errors import IdentityMissing, SecretNotPublished
from meshcert.identity import Identity
from meshcert.material import split_certificates
from meshcert.material.document import PLACEHOLDER, read_material, read_trust_bundle
from meshcert.naming import IDENTITIES_BY_CERTIFICATE, IDENTITY_TAG
from meshcert.publishing.export import export_identity
from meshcert.publishing.publication import Outcome
from meshcert.publishing.trust_bundles import TrustBundleRequest, export_trust_bundle
from meshcert.san import Dns
from tests.local.aws.hierarchies import eventually, permit_acm, root, subordinate
from tests.meshcert.deploying.identity_table_claims import IdentityTableClaims
from tests.meshcert.publishing.publication_claims import PublicationClaims

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.running_aws import LocalAws
    from meshcert.aws.issuing import ExportPorts

TIMES = CertificateTimes(renewal_takes_s=0.1)
NAME = "colorteller.mtls.svc.cluster.local"


@pytest.fixture
def table_name(aws: LocalAws) -> str:
    """A new, empty table ``identities``."""
    name = f"meshcert-color-identities-{uuid.uuid4()}"
    aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"} for attribute in ("name", "certificate_arn")
        ],
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": IDENTITIES_BY_CERTIFICATE,
                "KeySchema": [{"AttributeName": "certificate_arn", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return name


@pytest.fixture
def parts(aws: LocalAws, table_name: str, monkeypatch: pytest.MonkeyPatch) -> ExportPorts:
    """The function's own wiring, in the environment that its stack gives it."""
    variables = {
        **aws.environment(),
        "AWS_RETRY_MODE": "standard",
        "MESHCERT_MESH": "color",
        "MESHCERT_IDENTITIES_TABLE": table_name,
    }
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    built: ExportPorts = handler.build.__wrapped__()
    return built


@pytest.fixture
def new_secret(aws: LocalAws) -> Callable[[], str]:
    """Makes secrets as the template seeds them; gives their ARNs."""

    def create() -> str:
        answer = aws.client("secretsmanager").create_secret(Name=f"meshcert/{uuid.uuid4()}", SecretString=PLACEHOLDER)
        return str(answer["ARN"])

    return create


@pytest.fixture
def current_value(aws: LocalAws) -> Callable[[str], str]:
    """What a proxy reads."""

    def read(secret_id: str) -> str:
        return str(aws.client("secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"])

    return read


class TestPublicationOnLocalAws(PublicationClaims):
    """The claims, on the local Secrets Manager."""

    @pytest.fixture
    def vault(self, aws: LocalAws) -> SecretsManager:
        """The adapter."""
        return SecretsManager(aws.client("secretsmanager"))

    @pytest.fixture
    def secret_id(self, new_secret: Callable[[], str]) -> str:
        """A seeded secret."""
        return new_secret()

    def test_a_secret_scheduled_for_deletion_is_named(
        self, aws: LocalAws, vault: SecretsManager, secret_id: str
    ) -> None:
        """The message tells how to take it back."""
        aws.client("secretsmanager").delete_secret(SecretId=secret_id)

        for call in (vault.labels, vault.current_value):
            with pytest.raises(IdentityMissing, match="RestoreSecret"):
                call(secret_id)

    def test_what_proxies_read_is_told_with_its_version(self, vault: SecretsManager, secret_id: str) -> None:
        """The version that is current, not the newest one; it never shows its value by itself."""
        seed = vault.current_value(secret_id)
        vault.put_pending(secret_id, "b" * 64, "secret value")
        assert vault.current_value(secret_id) == seed

        vault.move_label(secret_id, CURRENT, to="b" * 64, away_from=seed.version_id)

        current = vault.current_value(secret_id)
        assert seed.value == PLACEHOLDER
        assert (current.version_id, current.value) == ("b" * 64, "secret value")
        assert "secret value" not in repr(current)


class TestIdentityTableOnLocalAws(IdentityTableClaims):
    """The claims, on the local DynamoDB."""

    @pytest.fixture
    def table(self, parts: ExportPorts) -> Any:
        """The adapter, as the function wires it."""
        return parts.table

    def test_what_other_programs_keep_in_a_row_stays(self, aws: LocalAws, parts: ExportPorts, table_name: str) -> None:
        """A deploy does not take away the lease or the marks of the renewal function."""
        identity = Identity("colorteller", "arn:certificate", "arn:secret", "arn:root", (Dns(NAME),))
        parts.table.remember(identity)
        dynamodb, key = aws.client("dynamodb"), {"name": {"S": "colorteller"}}
        dynamodb.update_item(
            TableName=table_name,
            Key=key,
            UpdateExpression="SET lease = :l",
            ExpressionAttributeValues={":l": {"S": "request-1"}},
        )

        parts.table.remember(replace(identity, owner="another"))

        assert dynamodb.get_item(TableName=table_name, Key=key)["Item"]["lease"] == {"S": "request-1"}


class TestExportOnLocalAws:
    """Whole exports: real CAs, real certificates, the function's own adapters."""

    @pytest.fixture
    def root_arn(self, aws: LocalAws) -> str:
        """An active root CA."""
        return root(aws.client("acm-pca"))

    @pytest.fixture
    def identity(self, aws: LocalAws, root_arn: str, new_secret: Callable[[], str]) -> Identity:
        """A certificate of an issuing CA below the root, requested but never exported."""
        pca = aws.client("acm-pca")
        issuing_arn = subordinate(pca, root_arn)
        permit_acm(pca, issuing_arn)
        certificate = aws.client("acm").request_certificate(
            DomainName=NAME,
            CertificateAuthorityArn=issuing_arn,
            KeyAlgorithm="EC_prime256v1",
            Tags=[{"Key": IDENTITY_TAG, "Value": "colorteller"}],
        )
        return Identity(
            "colorteller", certificate["CertificateArn"], new_secret(), root_arn, (Dns(NAME),), ((Dns(NAME),),)
        )

    def test_an_identity_is_published_and_can_be_renewed(
        self, parts: ExportPorts, identity: Identity, current_value: Callable[[str], str]
    ) -> None:
        """From the placeholder to material under its certificate's name; the second call changes nothing."""
        with pytest.raises(SecretNotPublished):
            read_material(current_value(identity.secret_id), identity.secret_id)

        published = export_identity(identity, parts.sources)

        material = read_material(current_value(identity.secret_id), identity.secret_id)
        assert published.outcome is Outcome.PUBLISHED
        assert material.version_id == published.version_id
        assert len(split_certificates(material.presented_chain)) == 2
        assert parts.sources.vault.labels(identity.secret_id)[published.version_id] == {CURRENT}
        assert not parts.sources.certificates.look(identity.certificate_arn).to_take_out
        again = export_identity(identity, parts.sources)
        assert again == replace(published, outcome=Outcome.ALREADY_CURRENT)

    def test_a_renewed_certificate_is_published(
        self, aws: LocalAws, parts: ExportPorts, identity: Identity, current_value: Callable[[str], str]
    ) -> None:
        """A new key and a new serial number under the same ARN, which can then be renewed again."""
        certificates = parts.sources.certificates
        first = export_identity(identity, parts.sources)
        before = certificates.look(identity.certificate_arn).certificate
        aws.client("acm").renew_certificate(CertificateArn=identity.certificate_arn)
        eventually(lambda: certificates.look(identity.certificate_arn).certificate != before, "the renewal")
        assert certificates.look(identity.certificate_arn).to_take_out

        second = export_identity(identity, parts.sources)

        assert second.outcome is Outcome.PUBLISHED
        assert second.version_id != first.version_id
        assert read_material(current_value(identity.secret_id), "").version_id == second.version_id
        assert not certificates.look(identity.certificate_arn).to_take_out

    def test_a_trust_bundle_is_published(
        self,
        parts: ExportPorts,
        root_arn: str,
        new_secret: Callable[[], str],
        current_value: Callable[[str], str],
    ) -> None:
        """The root's own certificate, and nothing else."""
        order = TrustBundleRequest("colorteller", new_secret(), (root_arn,))

        published = export_trust_bundle(order, parts.sources)

        bundle = read_trust_bundle(current_value(order.secret_id), order.secret_id)
        assert published.version_id == bundle.version_id
        assert split_certificates(bundle.certificates) == [parts.sources.authorities.certificate(root_arn).strip()]
        assert export_trust_bundle(order, parts.sources).outcome is Outcome.ALREADY_CURRENT

    @pytest.mark.parametrize("field", ["certificate_arn", "secret_id", "root_certificate_authority_arn"])
    def test_what_is_missing_is_named(self, parts: ExportPorts, identity: Identity, field: str) -> None:
        """AWS's code for a thing that is not there is understood for each service."""
        arn = getattr(identity, field)
        missing = f"{arn[:-36]}{uuid.uuid4()}" if field != "secret_id" else f"{arn}-gone"
        changes: dict[str, Any] = {field: missing}

        with pytest.raises(IdentityMissing, match="does not exist"):
            export_identity(replace(identity, **changes), parts.sources)
