"""The lifecycle: what triggers looks, the functions that look and act, and what people see of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs

from meshcert import naming
from meshcert.mesh.federation.declared import declared_endpoints
from meshcert.settings import DispatchSettings, RenewalSettings
from stacks.constructs.alarms import Alarms
from stacks.constructs.dashboard import LifecycleDashboard
from stacks.constructs.dead_letters import undelivered_queue
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.rights import MeshRights
from stacks.constructs.triggers import ClockSchedules, EventRules
from stacks.constructs.work_queue import WorkQueue

if TYPE_CHECKING:
    from constructs import Construct

    from meshcert.mesh import Mesh
    from stacks.runtime import Platform

LOOKS, ORDERS, DISPATCH = "looks", "orders", "dispatch"


def looks_at_once(identities: int) -> int:
    """
    The number of looks of a mesh that may run at the same time.

    A new account may have only ten concurrent Lambda executions for all of its functions (Lambda developer guide,
    "Lambda quotas": new accounts have less than 1,000), and each look may wait for the export function, which is
    another one. A small mesh must leave room for that, and for the account's own functions. More than ten gain nothing,
    because ACM answers ten calls a second. SQS mappings accept no number below two.
    """
    return min(10, 2 + identities // 20)


class RenewalStack(Stack):
    """
    The stack of queues, rules, schedules, two functions, alarms, the dashboard and the operator's role.

    It knows the parts of other stacks only by name, so it can be deleted at any time, and that stops nothing but the
    lifecycle. The audit log group outlives it: to create the stack again, import the log group first (``cdk import``),
    because its name is taken.
    """

    def __init__(self, scope: Construct, construct_id: str, *, mesh: Mesh, platform: Platform) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"meshcert {mesh.name}: renewal, rollout, rollback, alarms",
            termination_protection=mesh.about.deletion_protection,
        )
        self._mesh = mesh.name
        self._own_keys = mesh.has_own_keys
        self._asks, self._publishes = (
            bool(declared_endpoints(mesh.trust_domains)),
            mesh.about.published_bundle is not None,
        )
        self._platform = platform
        self._rights = MeshRights.of(mesh)
        self._places = [*mesh.ecs_places.values()]
        self._cluster = mesh.cluster_name
        self._attaches = any(service.attached for service in mesh.services.values())
        self._attaches_strict = bool(mesh.strict_attached)

        looks = self._queue(LOOKS, visibility=Duration.seconds(720), tries=5, kept=Duration.days(1))
        orders = self._queue(ORDERS, visibility=Duration.seconds(150), tries=10, kept=Duration.days(1))
        # A tick or sweep of an hour ago is useless: others have come since.
        dispatches = self._queue(DISPATCH, visibility=Duration.seconds(360), tries=3, kept=Duration.hours(1))
        undelivered = undelivered_queue(self, mesh=self._mesh)
        rules = EventRules(
            self,
            "Events",
            mesh=self._mesh,
            target=looks.queue,
            undelivered=undelivered,
            own_keys=self._own_keys,
            places=self._places,
        )
        ClockSchedules(
            self,
            "Clock",
            mesh=self._mesh,
            identities=len(mesh.identities),
            target=dispatches.queue,
            undelivered=undelivered,
        )

        audit = self._audit()
        renewal = self._renewal_function()
        renewal.node.add_dependency(audit)
        looks.feed(renewal, batch_size=1, at_once=looks_at_once(len(mesh.identities)))
        orders.feed(renewal, batch_size=1, at_once=2)
        dispatches.feed(self._dispatch_function(looks), batch_size=1, at_once=2)

        alarms = Alarms(
            self,
            "Alarms",
            mesh=self._mesh,
            identities=len(mesh.identities),
            own_keys=mesh.has_own_keys,
            federated=self._asks,
            publishes=self._publishes,
        )
        LifecycleDashboard(self, "Dashboard", mesh=self._mesh, rules=rules.rules, alarms=alarms.alarms)
        operator = self._operator_role()
        CfnOutput(self, "AlarmTopic", value=alarms.topic.topic_arn, description="Subscribe to it: nobody is by default")
        CfnOutput(self, "OperatorRole", value=operator.role_arn, description="Assume it to run meshcert")

    @property
    def _reads_of_authorities(self) -> tuple[str, ...]:
        """Private CA's certificates are its own; ACM's are asked of ACM."""
        return ("acm-pca:GetCertificateAuthorityCertificate", *(["acm-pca:GetCertificate"] if self._own_keys else ()))

    def _reads_of_settings(self) -> list[iam.PolicyStatement]:
        """Which settings new tasks of attached services read."""
        return [self._rights.settings_rows("ReadSettings", "dynamodb:GetItem")] if self._attaches else []

    @property
    def _reads_of_ways_past(self) -> tuple[iam.PolicyStatement, ...]:
        """What leads past the Envoys of attached services that are STRICT, in a mesh that has any."""
        rights = self._rights
        return (rights.security_groups("SeeRules"), rights.registrations("SeeRegistrations")) * self._attaches_strict

    @property
    def _reads_of_federation(self) -> tuple[iam.PolicyStatement, ...]:
        """What operators see of SPIFFE bundles, in a mesh that has any."""
        rights, fetches = self._rights, naming.bundle_fetches_table(self._mesh)
        return (
            *([rights.table("ReadFetches", fetches, "dynamodb:GetItem")] if self._asks else ()),
            *(rights.own_bundle("ReadOwnBundle", "s3:GetObject") if self._publishes else ()),
        )

    def _queue(self, name: str, *, visibility: Duration, tries: int, kept: Duration) -> WorkQueue:
        return WorkQueue(
            self, f"{name.capitalize()}Queue", mesh=self._mesh, name=name, visibility=visibility, tries=tries, kept=kept
        )

    def _audit(self) -> logs.LogGroup:
        """
        The audit log group: a line for every action, kept for ten years, the default life of a root CA.

        The longest rule we know of asks for six years (HIPAA, 45 CFR 164.316), PCI DSS 10.5.1 for one; a mesh writes
        some kilobytes a year. It outlives the stack: the record of who did what must not be deleted along with it.
        """
        return logs.LogGroup(
            self,
            "Audit",
            log_group_name=naming.log_group(self._mesh, naming.AUDIT),
            retention=logs.RetentionDays.TEN_YEARS,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )

    def _renewal_function(self) -> PythonFunction:
        """The function that observes, plans and acts; it cannot reach a private key."""
        mesh, rights = self._mesh, self._rights
        identities, lifecycle = naming.identities_table(mesh), naming.lifecycle_table(mesh)
        acknowledgements = naming.acknowledgements_table(mesh)
        function = PythonFunction(
            self,
            "Renewal",
            name="renewal",
            platform=self._platform,
            settings=RenewalSettings(
                mesh=mesh,
                identities_table=identities,
                lifecycle_table=lifecycle,
                acknowledgements_table=acknowledgements,
                export_function=naming.function(mesh, "export"),
                cluster=self._cluster,
                audit_log_group=naming.log_group(mesh, naming.AUDIT),
            ),
            timeout=Duration.seconds(120),
        )
        rights.attach(
            function.role,
            [
                rights.received_by_lambda("Receive", LOOKS, ORDERS),
                rights.table("ReadIdentities", identities, "dynamodb:GetItem"),
                rights.table(
                    "FindIdentityByCertificate", identities, "dynamodb:Query", index=naming.IDENTITIES_BY_CERTIFICATE
                ),
                rights.table(
                    "LeaseAndRemember", lifecycle, "dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"
                ),
                rights.table("ReadAcknowledgements", acknowledgements, "dynamodb:BatchGetItem"),
                *self._reads_of_settings(),
                rights.certificates_of_the_account("SeeCertificates", "acm:DescribeCertificate"),
                rights.certificates("RenewCertificates", "acm:GetCertificate", "acm:RenewCertificate"),
                *rights.authorities("ReadAuthorities", *self._reads_of_authorities),
                # Not under a CA of the user's: it signs for others too, and IAM does not tell whose certificate it is.
                *rights.own_signing_authorities("RevokeCertificates", "acm-pca:RevokeCertificate"),
                rights.identity_secrets(
                    "MoveLabels", "secretsmanager:DescribeSecret", "secretsmanager:UpdateSecretVersionStage"
                ),
                *rights.services(
                    "RollOut",
                    self._places,
                    "ecs:DescribeServices",
                    "ecs:ListServiceDeployments",
                    "ecs:ListTagsForResource",
                    "ecs:UpdateService",
                ),
                *rights.tasks("WatchTasks", self._places, "ecs:DescribeTasks"),
                *rights.task_lists("ListTasks", self._places),
                rights.function("HaveExported", "export"),
                rights.audit("WriteAudit", "logs:CreateLogStream", "logs:PutLogEvents"),
            ],
        )
        return function

    def _dispatch_function(self, looks: WorkQueue) -> PythonFunction:
        """The function that turns a tick or a sweep into a look for each identity."""
        mesh, rights = self._mesh, self._rights
        identities, lifecycle = naming.identities_table(mesh), naming.lifecycle_table(mesh)
        function = PythonFunction(
            self,
            "Dispatch",
            name="dispatch",
            platform=self._platform,
            settings=DispatchSettings(mesh, identities, lifecycle, looks.queue.queue_url),
            timeout=Duration.seconds(60),
        )
        rights.attach(
            function.role,
            [
                rights.received_by_lambda("Receive", DISPATCH),
                rights.table("ReadIdentities", identities, "dynamodb:Scan"),
                rights.table("FindUnsettled", lifecycle, "dynamodb:Query", index=naming.LIFECYCLE_UNSETTLED),
                rights.queue("SendLooks", LOOKS, "sqs:SendMessage"),
            ],
        )
        return function

    def _operator_role(self) -> iam.Role:
        """The role for the command ``meshcert``: it sees everything but keys, gives orders, and has keys verified."""
        mesh, rights = self._mesh, self._rights
        role = iam.Role(
            self,
            "Operator",
            role_name=naming.role(mesh, Aws.REGION, naming.OPERATOR_ROLE),
            # The account's own policies decide who may assume it.
            assumed_by=iam.AccountRootPrincipal(),
            description=f"meshcert {mesh}: operators run meshcert status, renew, rollback, compromised and the like",
            max_session_duration=Duration.hours(4),
        )
        rights.attach(
            role,
            [
                rights.table("ReadIdentities", naming.identities_table(mesh), "dynamodb:GetItem", "dynamodb:Scan"),
                rights.table("ReadLifecycle", naming.lifecycle_table(mesh), "dynamodb:GetItem", "dynamodb:Scan"),
                rights.table("ReadAcknowledgements", naming.acknowledgements_table(mesh), "dynamodb:BatchGetItem"),
                *self._reads_of_settings(),
                rights.certificates_of_the_account("SeeCertificates", "acm:DescribeCertificate"),
                rights.certificates("ReadCertificates", "acm:GetCertificate"),
                # Whether a CA of the user's writes lists, the mesh file says.
                *rights.own_authorities(
                    "ReadAuthorities", "acm-pca:DescribeCertificateAuthority", *self._reads_of_authorities
                ),
                *rights.authorities_of_yours("ReadAuthoritiesOfYours", *self._reads_of_authorities),
                rights.identity_secrets("ReadLabels", "secretsmanager:DescribeSecret"),
                *rights.services("ReadServices", self._places, "ecs:DescribeServices", "ecs:ListServiceDeployments"),
                *rights.tasks("ReadTasks", self._places, "ecs:DescribeTasks"),
                *rights.task_lists("ListTasks", self._places),
                rights.audit("ReadAudit", "logs:FilterLogEvents"),
                rights.queue("Order", ORDERS, "sqs:GetQueueUrl", "sqs:SendMessage"),
                rights.function("HaveVerified", "verify"),
                *self._reads_of_ways_past,
                *self._reads_of_federation,
            ],
        )
        return role
