"""One local AWS for each test module, with the certificate times that the module's TIMES asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.aws.config import CertificateTimes
from local.lab import LocalAws

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def aws(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS of this module's own; a module that sets TIMES gets these certificate times."""
    times = getattr(request.module, "TIMES", CertificateTimes())
    with LocalAws(tmp_path_factory.mktemp("aws"), certificates=times) as local_aws:
        yield local_aws


@pytest.fixture
def fresh_aws(aws: LocalAws) -> LocalAws:
    """The module's local AWS with nothing in it."""
    aws.reset()
    return aws
