"""What AWS's own permissions of RAM let the accounts do that something is shared with."""

from __future__ import annotations

# What AWS's own permission lets another account do with a CA (Private CA user guide, "Resource-based policies").
ISSUING = (
    "acm-pca:DescribeCertificateAuthority",
    "acm-pca:GetCertificate",
    "acm-pca:GetCertificateAuthorityCertificate",
    "acm-pca:IssueCertificate",
    "acm-pca:ListPermissions",
    "acm-pca:ListTags",
)
# What AWS's permission lets the accounts do with what is in a namespace, whoever of them made it (Cloud Map developer
# guide, "Shared AWS Cloud Map namespaces"; AWSRAMPermissionCloudMapECSFullPermission). It names no service.
REGISTERED = "AWS::ServiceDiscovery::Service"
REGISTERING = tuple(
    f"servicediscovery:{action}"
    for action in (
        *("DeleteService", "DeregisterInstance", "DiscoverInstances", "DiscoverInstancesRevision", "GetInstance"),
        *("GetInstancesHealthStatus", "GetOperation", "GetService", "ListInstances", "RegisterInstance"),
        *("UpdateInstanceCustomHealthStatus", "UpdateService"),
    )
)
