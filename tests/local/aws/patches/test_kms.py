"""KMS as it is called directly: a small text under a key and a context, and nothing opens it but the two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config as ClientConfig

from tests.local.aws.refusals import ClientError, code_of
from tests.local.aws.shapes import checked_client

if TYPE_CHECKING:
    from local.running_aws import LocalAws

CONTEXT = {"meshcert:identity": "teller", "meshcert:epoch": "1"}
NOT_VALIDATED = ClientConfig(parameter_validation=False)


@pytest.fixture
def kms(fresh_aws: LocalAws) -> Any:
    """KMS, with every answer held against botocore's shapes."""
    return checked_client(fresh_aws, "kms")


def new_key(kms: Any) -> str:
    """A symmetric key; its ARN."""
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def refused(kms: Any, blob: bytes, **more: Any) -> str:
    """The code with which Decrypt refuses."""
    with pytest.raises(ClientError) as error:
        kms.decrypt(CiphertextBlob=blob, **more)
    return code_of(error)


@pytest.mark.parametrize("named", [True, False])
def test_what_a_key_closed_under_a_context_it_opens_under_the_same(kms: Any, *, named: bool) -> None:
    """With the key's name and without; the order of the context's pairs means nothing, each text is another."""
    key = new_key(kms)
    more = {"KeyId": key} if named else {}
    blobs = [
        kms.encrypt(KeyId=key, Plaintext=b"x" * 4096, EncryptionContext=CONTEXT)["CiphertextBlob"] for _ in range(2)
    ]

    opened = [
        kms.decrypt(CiphertextBlob=blob, EncryptionContext=dict(reversed(CONTEXT.items())), **more) for blob in blobs
    ]

    assert [(each["KeyId"], each["Plaintext"]) for each in opened] == [(key, b"x" * 4096)] * 2
    assert blobs[0] != blobs[1]


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"meshcert:identity": "teller"},
        CONTEXT | {"meshcert:epoch": "2"},
        CONTEXT | {"meshcert:identity": "Teller"},
        CONTEXT | {"more": ""},
    ],
    ids=str,
)
def test_another_context_or_none_opens_nothing(kms: Any, context: dict[str, str]) -> None:
    """A case-sensitive exact match of all pairs (KMS API reference, "Decrypt")."""
    blob = kms.encrypt(KeyId=new_key(kms), Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]

    assert refused(kms, blob, EncryptionContext=context) == "InvalidCiphertextException"


def test_what_was_closed_without_a_context_opens_without_one_alone(kms: Any) -> None:
    """An empty context is none."""
    blob = kms.encrypt(KeyId=new_key(kms), Plaintext=b"x")["CiphertextBlob"]

    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext={})["Plaintext"] == b"x"
    assert refused(kms, blob, EncryptionContext=CONTEXT) == "InvalidCiphertextException"


@pytest.mark.parametrize("at", [40, 70, 90, -1])
def test_a_text_that_was_touched_is_no_text_any_more(kms: Any, at: int) -> None:
    """One bit anywhere behind the key's name; one that was cut off; and garbage."""
    blob = bytearray(kms.encrypt(KeyId=new_key(kms), Plaintext=b"x" * 64, EncryptionContext=CONTEXT)["CiphertextBlob"])
    short = bytes(blob[:-1])
    blob[at] ^= 1

    codes = {refused(kms, text, EncryptionContext=CONTEXT) for text in (bytes(blob), short, b"garbage" * 20)}

    assert codes == {"InvalidCiphertextException"}


def test_another_key_is_told_from_a_broken_text(kms: Any) -> None:
    """IncorrectKeyException where the caller names a key that did not close it."""
    key, other = new_key(kms), new_key(kms)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]

    assert refused(kms, blob, EncryptionContext=CONTEXT, KeyId=other) == "IncorrectKeyException"


@pytest.mark.parametrize("size", [0, 4097])
def test_a_text_has_a_byte_at_least_and_4096_at_most(kms: Any, fresh_aws: LocalAws, size: int) -> None:
    """KMS API reference, "Encrypt"."""
    key, unchecked = new_key(kms), fresh_aws.client("kms", NOT_VALIDATED)

    with pytest.raises(ClientError) as error:
        unchecked.encrypt(KeyId=key, Plaintext=b"x" * size)

    assert code_of(error) == "ValidationException"


def test_a_data_key_opens_as_a_text_does(kms: Any) -> None:
    """GenerateDataKey closes by the same means."""
    made = kms.generate_data_key(KeyId=new_key(kms), KeySpec="AES_256", EncryptionContext=CONTEXT)

    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)["Plaintext"]

    assert opened == made["Plaintext"]
    assert refused(kms, made["CiphertextBlob"]) == "InvalidCiphertextException"


def test_a_disabled_key_opens_and_closes_nothing(kms: Any) -> None:
    """DisabledException, until it is enabled again."""
    key = new_key(kms)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)

    codes = {refused(kms, blob)}
    with pytest.raises(ClientError) as error:
        kms.encrypt(KeyId=key, Plaintext=b"x")
    kms.enable_key(KeyId=key)

    assert codes | {code_of(error)} == {"DisabledException"}
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
