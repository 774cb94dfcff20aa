"""Under a key of yours: every secret and every right is on exactly that key, and nothing is made of it but an alias."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.meshcert.mesh.mesh_slips import changed
from tests.stacks.synthesis import synthesise
from tools.moves.made import Made

if TYPE_CHECKING:
    from tests.stacks.synthesis import Templates

KEY = "arn:aws:kms:us-west-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture(scope="module")
def yours(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The templates of a mesh whose secrets are under a key of somebody's, an identity in a shard."""
    folder = tmp_path_factory.mktemp("key")
    file = folder / "mesh.yaml"
    file.write_bytes(
        changed(
            ("mesh.secrets_key", KEY),
            ("shards", {"one": ["colorteller"]}),
            ("hierarchies.colorteller.usage", "short_lived"),
            ("identities.colorteller.issuer", "acm-pca"),
        )
    )
    return synthesise(folder / "out", mesh=str(file))


def test_every_secret_is_under_the_key_that_the_file_names(yours: Templates) -> None:
    """And no other key is made than that of the alarms."""
    secrets = yours.resources("AWS::SecretsManager::Secret")
    (alias,) = (each for each in yours.resources("AWS::KMS::Alias") if each.stack == "identities")

    assert {each.stack for each in secrets} >= {"identities"}
    assert {each.properties["KmsKeyId"] for each in secrets} == {KEY}
    assert (alias.properties["TargetKeyId"], alias.properties["AliasName"]) == (KEY, "alias/meshcert-color")
    assert [each.stack for each in yours.resources("AWS::KMS::Key")] == ["renewal"]


def test_the_template_says_later_which_key_it_was(yours: Templates, templates: Templates) -> None:
    """A deploy that names another one is refused before it begins."""
    keys = [Made.of(each.by_stack["services"], frozenset(), each.by_stack["identities"]) for each in (yours, templates)]

    assert [each.secrets_key for each in keys] == [KEY, ""]


def test_every_right_to_it_is_for_secrets_manager_or_for_stored_requests(yours: Templates) -> None:
    """Of the whole key, nobody of the mesh may do anything: its owner uses it for more."""
    statements = [each for each in yours.statements() if KEY in json.dumps(list(each.resources))]
    actions = {action for statement in statements for action in statement.actions}

    assert statements
    assert all(list(each.resources) == [KEY] for each in statements)
    limits = [json.dumps(each.conditions) for each in statements]
    assert all("kms:ViaService" in limit or "kms:EncryptionContextKeys" in limit for limit in limits)
    assert actions == {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"}
