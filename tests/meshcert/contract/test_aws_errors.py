"""Which errors of AWS pass by themselves: functions and container decide by one table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from entrypoint.aws.answer_reading import HttpAnswer
from entrypoint.aws.object_storage import ObjectStorage
from entrypoint.aws.secrets_manager import SecretsReader
from meshcert.contract.aws_errors import TRANSIENT
from meshcert.errors import AwsUnavailable, MeshcertError
from tests.meshcert.aws.test_errors import client_error, mapped

if TYPE_CHECKING:
    from collections.abc import Callable

QUOTA = {"LimitExceededException"}
"""botocore retries it; from the services called here it means a quota, which a person has to raise."""


class _Says:
    """AWS, which says one code with HTTP 400."""

    def __init__(self, code: str) -> None:
        self._code = code

    def post(self, _headers: list[tuple[str, str]], _body: bytes, _timeout_s: float) -> tuple[int, bytes]:
        return 400, json.dumps({"__type": self._code}).encode()

    def get(self, _path: str, _headers: list[tuple[str, str]], _timeout_s: float) -> HttpAnswer:
        return HttpAnswer(400, f"<Error><Code>{self._code}</Code></Error>".encode(), "")


def _of_a_function(code: str) -> MeshcertError:
    return mapped(client_error(code))


def _of_the_container(code: str) -> MeshcertError:
    with pytest.raises(MeshcertError) as caught:
        SecretsReader(_Says(code)).current_value("secret")
    return caught.value


def _of_the_container_for_s3(code: str) -> MeshcertError:
    with pytest.raises(MeshcertError) as caught:
        ObjectStorage("eu-west-1", {}, lambda _endpoint: _Says(code)).read("bucket", "key")
    return caught.value


@pytest.mark.parametrize("judged", [_of_a_function, _of_the_container, _of_the_container_for_s3])
def test_what_passes_by_itself_does_so_for_every_program(judged: Callable[[str], MeshcertError]) -> None:
    """The code decides where the HTTP status says nothing: 400 is what AWS sends with most of them."""
    needing_a_person = {code for code in TRANSIENT if type(judged(code)) is not AwsUnavailable}

    assert needing_a_person == set()


def test_what_the_sdk_tries_again_is_in_the_table() -> None:
    """But for quotas. The container has no SDK, and a function's SDK gives up after three attempts."""
    retried = {
        *ThrottledRetryableChecker._THROTTLED_ERROR_CODES,
        *TransientRetryableChecker._TRANSIENT_ERROR_CODES,
    }

    assert retried - QUOTA <= TRANSIENT
    assert not TRANSIENT & QUOTA
