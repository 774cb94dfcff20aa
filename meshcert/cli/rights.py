"""The data that each command reads and the rights it needs, for its help and for people who write roles."""

from __future__ import annotations

_TABLES = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Scan")
_LOOK = (
    "acm-pca:GetCertificateAuthorityCertificate",
    "acm:DescribeCertificate",
    "acm:GetCertificate",
    *_TABLES,
    "ecs:DescribeServices",
    "ecs:DescribeTasks",
    "ecs:ListServiceDeployments",
    "ecs:ListTasks",
    "secretsmanager:DescribeSecret",
)
_ONE = tuple(action for action in _LOOK if action != "dynamodb:Scan")
_ORDER = (*_ONE, "logs:FilterLogEvents", "sqs:GetQueueUrl", "sqs:SendMessage")

READS = {
    "plan": "the mesh's tables; of ACM, Secrets Manager (labels only), ECS and Private CA what they say now",
    "status": "the mesh's tables; of ACM, Secrets Manager (labels only), ECS and Private CA what they say now; in a "
    "mesh that publishes its SPIFFE bundle that, too (s3:GetObject on it, s3:ListBucket on its bucket); of attached "
    "services that are STRICT what leads past their Envoys (ec2:DescribeSecurityGroups, servicediscovery:GetService). "
    "With --recorded, or of more than 50 identities, two tables (dynamodb:Scan) and the bundles alone",
    "renew": "the same as status for NAME; writes one message into the queue of orders; with --wait the audit log",
    "rollback": "the same as status for NAME; writes one message into the queue of orders; with --wait the audit log",
    "compromised": "the same as status for NAME, and whether its CA writes a revocation list; writes one message into "
    "the queue of orders; with --wait the audit log",
    "history": "the audit log, the log group /meshcert/MESH/audit",
    "credentials": "the identity's secret, with its key; with --trust the roots of hierarchies",
    "verify": "what the verify function answers, which reads the key where it is and changes nothing",
}
RIGHTS = {
    "plan": _LOOK,
    "status": _LOOK,
    "renew": _ORDER,
    "rollback": _ORDER,
    "compromised": ("acm-pca:DescribeCertificateAuthority", *_ORDER),
    "history": ("dynamodb:GetItem", "logs:FilterLogEvents"),
    "verify": ("dynamodb:GetItem", "lambda:InvokeFunction"),
}
"""IAM actions by command; the operator role has them all."""
RIGHTS_OF_CLIENTS = {"credentials": ("kms:Decrypt", "secretsmanager:GetSecretValue")}
"""The same of what operators may not run: the roles of clients may, each for its own identity."""


def needs(command: str) -> str:
    """The end of a command's help text: what the command reads, and its rights."""
    return f"Reads: {READS[command]}.\n\nRights: {', '.join((RIGHTS | RIGHTS_OF_CLIENTS)[command])}."
