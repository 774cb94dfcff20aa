"""The runbook's alarms, and the topic that notifies people of them."""

from __future__ import annotations

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from meshcert import naming
from stacks.federation_alarms import federation_alarms, own_bundle_alarms
from stacks.private_ca_alarms import private_ca_alarms
from stacks.runbook import Alarm, MissingData, alarms

MISSING = {
    MissingData.GOOD: cloudwatch.TreatMissingData.NOT_BREACHING,
    MissingData.BAD: cloudwatch.TreatMissingData.BREACHING,
    MissingData.UNCHANGED: cloudwatch.TreatMissingData.IGNORE,
}


class Alarms(Construct):
    """
    All alarms of a mesh: one for each entry of the runbook.

    Args:
        identities: Number of identities that its mesh file declares.
        own_keys: Whether AWS Private CA issues certificates in it.
        federated: Whether it asks bundle endpoints of foreign trust domains.
        publishes: Whether it publishes its own bundle.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        mesh: str,
        identities: int,
        own_keys: bool,
        federated: bool,
        publishes: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self.topic = self._topic(mesh)
        """The topic that every alarm notifies, when it begins and when it ends."""
        rows = (
            *alarms(mesh, identities),
            *(private_ca_alarms(mesh) if own_keys else ()),
            *(federation_alarms(mesh) if federated else ()),
            *(own_bundle_alarms(mesh) if publishes else ()),
        )
        self.alarms = [self._alarm(mesh, alarm) for alarm in rows]
        """The alarms, in the runbook's order."""

    def _topic(self, mesh: str) -> sns.Topic:
        """
        A topic that CloudWatch may publish to, with its own key that CloudWatch may use.

        Without both, alarms change state and nobody is notified (SNS guide, "Enable compatibility between event sources
        from AWS services and encrypted topics"). AWS's own key for SNS will not do: only AWS can change its policy.
        """
        key = kms.Key(
            self,
            "Key",
            description=f"meshcert {mesh}: encrypts the alarms' messages",
            enable_key_rotation=True,
            # A message is in transit for seconds: when the key is gone, nothing that must be read later is lost.
            removal_policy=RemovalPolicy.DESTROY,
        )
        topic = sns.Topic(self, "Topic", topic_name=naming.topic(mesh), master_key=key, enforce_ssl=True)
        cloudwatch_here = iam.ServicePrincipal(
            "cloudwatch.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsMayEncrypt",
                principals=[cloudwatch_here],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],
            )
        )
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsMayPublish",
                principals=[cloudwatch_here],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
            )
        )
        return topic

    def _alarm(self, mesh: str, row: Alarm) -> cloudwatch.Alarm:
        too_much = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
        too_little = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
        alarm = cloudwatch.Alarm(
            self,
            row.name,
            alarm_name=naming.alarm(mesh, row.name),
            alarm_description=row.description,
            metric=cloudwatch.Metric(
                namespace=row.namespace,
                metric_name=row.metric,
                dimensions_map=dict(row.dimensions),
                statistic=row.statistic,
                period=Duration.seconds(row.period_s),
            ),
            threshold=row.threshold,
            comparison_operator=too_little if row.below else too_much,
            evaluation_periods=row.periods,
            datapoints_to_alarm=row.to_alarm,
            treat_missing_data=MISSING[row.missing],
        )
        # They need the topic's policy too: an alarm finds its state within seconds, and sends it to the topic.
        alarm.node.add_dependency(self.topic)
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        alarm.add_ok_action(actions.SnsAction(self.topic))
        return alarm
