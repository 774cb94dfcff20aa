"""Secrets Manager keeps versions as AWS does, and the key behind a secret counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.aws.refusals import ClientError, code_of, is_allowed
from tests.local.aws.roles import new_role
from tests.local.aws.shapes import checked_client

if TYPE_CHECKING:
    from local.running_aws import LocalAws

ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)


@pytest.fixture
def secrets(fresh_aws: LocalAws) -> Any:
    """Secrets Manager of an empty account."""
    return checked_client(fresh_aws, "secretsmanager")


@pytest.fixture
def secret(secrets: Any) -> str:
    """A secret with the placeholder version that a template seeds; its name."""
    secrets.create_secret(Name="meshcert/color/identity/teller", SecretString="placeholder")
    return "meshcert/color/identity/teller"


@pytest.fixture
def key(fresh_aws: LocalAws) -> str:
    """A customer's key whose policy leaves all to IAM; its ARN."""
    return str(fresh_aws.client("kms").create_key()["KeyMetadata"]["Arn"])


def put(secrets: Any, secret: str, token: str, value: str, *labels: str) -> dict[str, Any]:
    """PutSecretValue with a token."""
    more = {"VersionStages": list(labels)} if labels else {}
    answer: dict[str, Any] = secrets.put_secret_value(
        SecretId=secret, ClientRequestToken=token, SecretString=value, **more
    )
    return answer


def labels_of(secrets: Any, secret: str) -> dict[str, list[str]]:
    """The labels of each version."""
    described = secrets.describe_secret(SecretId=secret)["VersionIdsToStages"]
    return {version: sorted(labels) for version, labels in described.items()}


def promote(secrets: Any, secret: str, version: str) -> None:
    """Move AWSCURRENT to a version."""
    holder = next(name for name, labels in labels_of(secrets, secret).items() if "AWSCURRENT" in labels)
    secrets.update_secret_version_stage(
        SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=version, RemoveFromVersionId=holder
    )


def plant(
    aws: LocalAws, secret: str, version: str, labels: list[str], *, value: str = "planted", age_s: int = 0
) -> None:
    """Write a version through the control endpoint."""
    body = {"secret_id": secret, "version_id": version, "secret_string": value, "stages": labels, "age_s": age_s}
    aws.control("POST", "/_local/secrets/plant", body)


def test_a_repeated_put_changes_nothing_even_after_promotion(secrets: Any, secret: str) -> None:
    """Same token and value: no new version, and AWSCURRENT stays where it is."""
    put(secrets, secret, ONE, "first", "AWSPENDING")
    promote(secrets, secret, ONE)
    before = labels_of(secrets, secret)

    answer = put(secrets, secret, ONE, "first", "AWSPENDING")

    assert answer["VersionId"] == ONE
    assert labels_of(secrets, secret) == before
    assert secrets.get_secret_value(SecretId=secret)["SecretString"] == "first"


def test_the_same_token_with_another_value_is_refused(secrets: Any, secret: str) -> None:
    """A version is immutable."""
    put(secrets, secret, ONE, "first", "AWSPENDING")

    with pytest.raises(ClientError) as error:
        put(secrets, secret, ONE, "second", "AWSPENDING")

    assert code_of(error) == "ResourceExistsException"
    assert secrets.get_secret_value(SecretId=secret, VersionId=ONE)["SecretString"] == "first"


def test_a_label_sits_on_one_version(secrets: Any, secret: str) -> None:
    """AWSPENDING moves with the second put; the version without labels is listed only on request."""
    put(secrets, secret, ONE, "first", "AWSPENDING")
    put(secrets, secret, TWO, "second", "AWSPENDING")

    listed = {item["VersionId"] for item in secrets.list_secret_version_ids(SecretId=secret)["Versions"]}
    all_listed = secrets.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True)["Versions"]

    assert labels_of(secrets, secret)[TWO] == ["AWSPENDING"]
    assert ONE not in labels_of(secrets, secret)
    assert ONE not in listed
    assert ONE in {item["VersionId"] for item in all_listed}


def test_promotion_and_rollback_move_the_labels(secrets: Any, secret: str) -> None:
    """AWSPREVIOUS follows; AWSPENDING stays until it is removed; labels of our own are free to use."""
    put(secrets, secret, ONE, "first", "AWSPENDING")
    promote(secrets, secret, ONE)
    secrets.update_secret_version_stage(SecretId=secret, VersionStage="AWSPENDING", RemoveFromVersionId=ONE)
    secrets.update_secret_version_stage(SecretId=secret, VersionStage="LASTGOOD", MoveToVersionId=ONE)
    put(secrets, secret, TWO, "second", "AWSPENDING")
    promote(secrets, secret, TWO)
    after = labels_of(secrets, secret)
    promote(secrets, secret, ONE)
    back = labels_of(secrets, secret)

    assert (after[TWO], after[ONE]) == (["AWSCURRENT", "AWSPENDING"], ["AWSPREVIOUS", "LASTGOOD"])
    assert (back[ONE], back[TWO]) == (["AWSCURRENT", "LASTGOOD"], ["AWSPENDING", "AWSPREVIOUS"])


def test_the_first_version_becomes_current_by_itself(secrets: Any) -> None:
    """Whatever label it is put with; that is why templates seed a placeholder."""
    secrets.create_secret(Name="empty")
    assert labels_of(secrets, "empty") == {}

    put(secrets, "empty", ONE, "first", "AWSPENDING")

    assert labels_of(secrets, "empty")[ONE] == ["AWSCURRENT", "AWSPENDING"]


def test_version_and_label_must_agree(secrets: Any, secret: str) -> None:
    """A version id with a label that is elsewhere is refused."""
    put(secrets, secret, ONE, "first", "AWSPENDING")

    with pytest.raises(ClientError, match="not associated") as error:
        secrets.get_secret_value(SecretId=secret, VersionId=ONE, VersionStage="AWSCURRENT")

    assert code_of(error) == "InvalidRequestException"


def test_a_value_has_a_limit_and_a_secret_twenty_labels(secrets: Any, secret: str) -> None:
    """65,536 bytes pass, one more does not; AWSCURRENT and nineteen others pass, one more does not."""
    put(secrets, secret, ONE, "x" * 65_536, "AWSPENDING")
    with pytest.raises(ClientError) as large:
        put(secrets, secret, TWO, "x" * 65_537, "AWSPENDING")

    put(secrets, secret, TWO, "two", *[f"LABEL{i}" for i in range(18)])
    with pytest.raises(ClientError) as many:
        secrets.update_secret_version_stage(SecretId=secret, VersionStage="ONEMORE", MoveToVersionId=TWO)
    put(secrets, secret, THREE, "three", "LABEL0")

    assert (code_of(large), code_of(many)) == ("ValidationException", "LimitExceededException")


def test_an_arn_without_its_suffix_finds_the_secret_and_no_longer_name(secrets: Any, secret: str) -> None:
    """A beginning of the name is not the name."""
    arn = secrets.describe_secret(SecretId=secret)["ARN"]

    found = secrets.describe_secret(SecretId=arn[:-7])["ARN"]
    with pytest.raises(ClientError) as error:
        secrets.describe_secret(SecretId=arn[:-9])

    assert found == arn
    assert code_of(error) == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("rights", "through", "may"),
    [
        ([], None, []),
        (["kms:Decrypt"], None, ["read"]),
        (["kms:GenerateDataKey"], None, []),
        (["kms:GenerateDataKey", "kms:Decrypt"], None, ["read", "write"]),
        (["kms:Decrypt"], "secretsmanager.eu-west-1.amazonaws.com", ["read"]),
        (["kms:Decrypt"], "s3.eu-west-1.amazonaws.com", []),
    ],
    ids=["none", "decrypt", "generate", "both", "decrypt through it", "decrypt through another"],
)
def test_a_customers_key_needs_rights_of_its_own(
    fresh_aws: LocalAws, key: str, rights: list[str], through: str | None, may: list[str]
) -> None:
    """Reading needs kms:Decrypt, writing kms:GenerateDataKey as well, both through Secrets Manager."""
    secrets = fresh_aws.client("secretsmanager")
    arn = secrets.create_secret(Name="under-key", SecretString="value", KmsKeyId=key)["ARN"]
    statements: list[dict[str, Any]] = [{"Effect": "Allow", "Action": "secretsmanager:*", "Resource": arn}]
    condition = {"StringEquals": {"kms:ViaService": through}} if through else {}
    if rights:
        statements.append({"Effect": "Allow", "Action": rights, "Resource": key, "Condition": condition})
    as_role = fresh_aws.client_as(new_role(fresh_aws, "reader", statements), "secretsmanager")

    read = is_allowed(as_role.get_secret_value, SecretId=arn)
    written = is_allowed(as_role.put_secret_value, SecretId=arn, SecretString="other")

    assert [name for name, done in (("read", read), ("write", written)) if done] == may


def test_a_disabled_key_stops_everybody(fresh_aws: LocalAws, secrets: Any, key: str) -> None:
    """Also the administrator."""
    secrets.create_secret(Name="under-key", SecretString="value", KmsKeyId=key)
    fresh_aws.client("kms").disable_key(KeyId=key)

    with pytest.raises(ClientError) as error:
        secrets.get_secret_value(SecretId="under-key")

    assert code_of(error) == "DecryptionFailure"


def test_a_resource_policy_denies_all_but_the_named_role(fresh_aws: LocalAws, secrets: Any, secret: str) -> None:
    """aws:PrincipalArn of a session is its role's ARN: the export role passes, another administrator does not."""
    everything = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    export, other = (new_role(fresh_aws, name, everything) for name in ("meshcert-color-export", "other"))
    deny = {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "secretsmanager:PutSecretValue",
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:PrincipalArn": export}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy)

    clients = [fresh_aws.client_as(role, "secretsmanager") for role in (export, other)]
    seen = [is_allowed(client.put_secret_value, SecretId=secret, SecretString="x") for client in clients]

    assert seen == [True, False]


def test_the_hundred_and_first_version_of_a_day_is_refused(secrets: Any, secret: str) -> None:
    """Versions younger than a day are never removed to make room, whatever their labels."""
    for number in range(99):
        put(secrets, secret, f"{number:064x}", str(number), "AWSPENDING")

    with pytest.raises(ClientError) as error:
        put(secrets, secret, ONE, "one too many", "AWSPENDING")
    repeated = put(secrets, secret, f"{98:064x}", "98", "AWSPENDING")

    assert code_of(error) == "LimitExceededException"
    assert repeated["VersionId"] == f"{98:064x}"
    listed = secrets.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True, MaxResults=100)["Versions"]
    assert len(listed) == 100


def test_an_outdated_version_of_yesterday_makes_room(fresh_aws: LocalAws, secrets: Any, secret: str) -> None:
    """The oldest without a label goes; what has one stays, however old it is."""
    for number in range(99):
        label = ["LASTGOOD"] if number == 0 else []
        plant(fresh_aws, secret, f"{number:064x}", label, age_s=200_000 - number * 1000)

    put(secrets, secret, ONE, "fits", "AWSPENDING")

    listed = secrets.list_secret_version_ids(SecretId=secret, IncludeDeprecated=True, MaxResults=100)["Versions"]
    assert {f"{0:064x}", ONE} < {version["VersionId"] for version in listed}
    assert f"{1:064x}" not in {version["VersionId"] for version in listed}


def test_a_version_that_lost_its_labels_is_still_there(secrets: Any, secret: str) -> None:
    """Two versions later the first one is outdated, but can be read and promoted by its id."""
    for token in (ONE, TWO, THREE):
        put(secrets, secret, token, token, "AWSCURRENT")

    assert secrets.get_secret_value(SecretId=secret, VersionId=ONE)["SecretString"] == ONE
    promote(secrets, secret, ONE)
    assert labels_of(secrets, secret) == {ONE: ["AWSCURRENT"], THREE: ["AWSPREVIOUS"]}


def test_a_version_can_be_planted_past_every_policy(fresh_aws: LocalAws, secrets: Any, secret: str) -> None:
    """Labels move to it as if it had been put; nobody's right is asked for."""
    deny = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "secretsmanager:PutSecretValue", "Resource": "*"}
    put(secrets, secret, ONE, "good", "AWSCURRENT", "LASTGOOD")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    secrets.put_resource_policy(SecretId=secret, ResourcePolicy=policy)

    plant(fresh_aws, secret, TWO, ["AWSCURRENT"], value="bad")

    assert secrets.get_secret_value(SecretId=secret)["SecretString"] == "bad"
    assert labels_of(secrets, secret) == {ONE: ["AWSPREVIOUS", "LASTGOOD"], TWO: ["AWSCURRENT"]}
