"""Answers to CloudFormation go to a URL that is a credential."""

from __future__ import annotations

import logging

import pytest

from meshcert.aws.cloudformation import send_answer
from meshcert.errors import AwsUnavailable


def test_an_answer_that_cannot_be_delivered_leaves_its_url_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Neither our error nor the HTTP library's own lines about its retries show the signature."""
    caplog.set_level(logging.WARNING)
    url = "http://127.0.0.1:9/stack?X-Amz-Signature=5fd924625f6ab16a19cc9807c7c506ae"

    with pytest.raises(AwsUnavailable) as refused:
        send_answer(url, {"LogicalResourceId": "Published", "Status": "SUCCESS"})

    assert "5fd924625f6ab16a" not in caplog.text + str(refused.value)
