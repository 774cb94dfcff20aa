"""Publishing an image asset: what the CDK CLI asks of docker and ECR, under the publishing role's rights."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from local.running_aws import LocalAws
from tests.local.aws.roles import new_role
from tests.local.aws.running_tasks import build_image, docker
from tests.local.aws.shapes import checked_client

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = "assets"
TAG = "0123abcd"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS with an image that is built and not pushed."""
    folder = tmp_path_factory.mktemp("registry")
    with LocalAws(folder / "aws", images=folder / "images") as local_aws:
        build_image(local_aws, folder / "context", "cdkasset-1")
        yield local_aws


def test_an_image_is_published_as_the_cdk_cli_does_it(aws: LocalAws) -> None:
    """Absent, then built, tagged, refused without a login, pushed with one, present; an immutable tag stays."""
    ecr = checked_client(aws, "ecr")
    uri = ecr.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")["repository"][
        "repositoryUri"
    ]
    reference = f"{uri}:{TAG}"
    role = new_role(
        aws,
        "publishing",
        [
            {
                "Effect": "Allow",
                "Action": ["ecr:DescribeImages"],
                "Resource": f"arn:aws:ecr:*:*:repository/{REPOSITORY}",
            },
            {"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": "*"},
        ],
    )
    publishing = aws.client_as(role, "ecr")

    with pytest.raises(ClientError, match="ImageNotFoundException"):
        publishing.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": TAG}])
    assert docker("tag", "cdkasset-1", reference, environment=aws.environment()).returncode == 0
    refused = docker("push", reference, environment=aws.environment())
    data = publishing.get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    login = ("login", "--username", user, "--password-stdin", data["proxyEndpoint"])
    assert docker(*login, environment=aws.environment(), stdin=password).returncode == 0
    pushed = docker("push", reference, environment=aws.environment())
    found = publishing.describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": TAG}])["imageDetails"]

    assert (refused.returncode, "no basic auth credentials" in refused.stderr) == (1, True)
    assert pushed.returncode == 0, pushed.stderr
    assert found[0]["imageTags"] == [TAG]
    assert found[0]["imageDigest"] in pushed.stdout
    with pytest.raises(ClientError, match="AccessDenied"):
        publishing.create_repository(repositoryName="other")


def test_a_push_of_something_else_than_an_image_fails(aws: LocalAws) -> None:
    """The same words as docker's for an image that was never built."""
    done = docker("push", "111122223333.dkr.ecr.eu-west-1.amazonaws.com/assets:none", environment=aws.environment())

    assert done.returncode == 1
    assert "No such image" in done.stderr
