"""How the settings of a proxy reach its container: in the task definition or, if they are long, by Amazon S3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aws_cdk import Aws, FileAssetPackaging, Stack, Stage
from aws_cdk import aws_iam as iam

from meshcert.contract.environment import PROXY, PROXY_FROM
from meshcert.documents.stored_settings import LONGEST_IN_ENVIRONMENT, SUFFIX, stored_settings

if TYPE_CHECKING:
    from constructs import Construct

    from meshcert.proxy import ProxySettings


class ProxyEnvironment:
    """
    The variables that hold a proxy's settings, or name the file of the deploy that does.

    Args:
        scope: The service.
        role: Of its tasks; it gets the right to read that file, and no other.
    """

    def __init__(self, scope: Construct, proxy: ProxySettings, role: iam.IRole) -> None:
        self.proxy = proxy
        self.rights: tuple[iam.Policy, ...] = ()
        """Without which its tasks cannot start."""
        text = proxy.to_json()
        if len(text) <= LONGEST_IN_ENVIRONMENT:
            self.variables = {PROXY: text}
            return
        content, digest = stored_settings(text)
        file = f"settings.{digest}{SUFFIX}"
        app = Stage.of(scope)
        assert app is not None  # the CDK says None for a tree without one
        Path(app.asset_outdir, file).write_bytes(content)
        # Not an Asset: its name would be a hash of the CDK's own, which a container cannot check.
        place = Stack.of(scope).synthesizer.add_file_asset(
            source_hash=digest, file_name=file, packaging=FileAssetPackaging.FILE
        )
        self.variables = {PROXY_FROM: f"s3://{place.bucket_name}/{place.object_key}"}
        # A resource for each file: CloudFormation takes the right to the old one away when no old task is left.
        policy = iam.Policy(scope, f"ReadItsSettings{digest[:16]}", roles=[role])
        policy.add_statements(
            iam.PolicyStatement(
                sid="ReadItsSettings",
                actions=["s3:GetObject"],
                resources=[f"arn:{Aws.PARTITION}:s3:::{place.bucket_name}/{place.object_key}"],
            )
        )
        self.rights = (policy,)
