"""
Which properties of a resource CloudFormation cannot change: a change makes a new resource before the old one goes.

Source: the CloudFormation template reference, "Update requires: Replacement", in the form that the CDK CLI carries for
``cdk diff``; tests/stacks/test_replacements.py holds this table against it, and against the types of the templates.
"""

from __future__ import annotations

# fmt: off
REPLACING: dict[str, tuple[str, ...]] = {
    "AWS::ACMPCA::Certificate": (
        "ApiPassthrough", "CertificateAuthorityArn", "CertificateSigningRequest", "SigningAlgorithm",
        "TemplateArn", "Validity", "ValidityNotBefore",
    ),
    "AWS::ACMPCA::CertificateAuthority": (
        "CsrExtensions", "KeyAlgorithm", "KeyStorageSecurityStandard", "SigningAlgorithm", "Subject", "Type",
        "UsageMode",
    ),
    "AWS::ACMPCA::CertificateAuthorityActivation": ("CertificateAuthorityArn",),
    "AWS::ACMPCA::Permission": ("Actions", "CertificateAuthorityArn", "Principal", "SourceAccount"),
    "AWS::CertificateManager::Account": (),
    "AWS::CertificateManager::Certificate": (
        "CertificateAuthorityArn", "CertificateExport", "DomainName", "DomainValidationOptions", "KeyAlgorithm",
        "SubjectAlternativeNames", "ValidationMethod",
    ),
    "AWS::CloudWatch::Alarm": ("AlarmName",),
    "AWS::CloudWatch::Dashboard": ("DashboardName",),
    "AWS::DynamoDB::Table": ("ImportSourceSpecification", "KeySchema", "TableName"),
    "AWS::EC2::EIP": ("Address", "Domain", "IpamPoolId", "NetworkBorderGroup", "TransferAddress"),
    "AWS::EC2::FlowLog": (
        "DeliverCrossAccountRole", "DeliverLogsPermissionArn", "DestinationOptions", "LogDestination",
        "LogDestinationType", "LogFormat", "LogGroupName", "MaxAggregationInterval", "ResourceId",
        "ResourceType", "TagFieldSpecifications", "TrafficType",
    ),
    "AWS::EC2::InternetGateway": (),
    "AWS::EC2::NatGateway": (
        "AllocationId", "AvailabilityMode", "ConnectivityType", "PrivateIpAddress", "SubnetId", "VpcId",
    ),
    "AWS::EC2::Route": ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId", "RouteTableId"),
    "AWS::EC2::RouteTable": ("VpcId",),
    "AWS::EC2::SecurityGroup": ("GroupDescription", "GroupName", "VpcId"),
    "AWS::EC2::SecurityGroupEgress": (
        "CidrIp", "CidrIpv6", "DestinationPrefixListId", "DestinationSecurityGroupId", "FromPort", "GroupId",
        "IpProtocol", "ToPort",
    ),
    "AWS::EC2::SecurityGroupIngress": (
        "CidrIp", "CidrIpv6", "FromPort", "GroupId", "GroupName", "IpProtocol", "SourcePrefixListId",
        "SourceSecurityGroupId", "SourceSecurityGroupName", "SourceSecurityGroupOwnerId", "ToPort",
    ),
    "AWS::EC2::Subnet": (
        "AvailabilityZone", "AvailabilityZoneId", "CidrBlock", "Ipv4IpamPoolId", "Ipv4NetmaskLength",
        "Ipv6IpamPoolId", "Ipv6Native", "Ipv6NetmaskLength", "OutpostArn", "VpcId",
    ),
    "AWS::EC2::SubnetRouteTableAssociation": ("RouteTableId", "SubnetId"),
    "AWS::EC2::VPC": ("CidrBlock", "Ipv4IpamPoolId", "Ipv4NetmaskLength", "VpcEncryptionControl"),
    "AWS::EC2::VPCEndpoint": (
        "ResourceConfigurationArn", "ServiceName", "ServiceNetworkArn", "ServiceRegion", "VpcEndpointType",
        "VpcId",
    ),
    "AWS::EC2::VPCGatewayAttachment": ("VpcId",),
    "AWS::ECS::Cluster": ("ClusterName",),
    "AWS::ECS::ClusterCapacityProviderAssociations": ("Cluster",),
    "AWS::ECS::Service": ("Cluster", "DeploymentController", "LaunchType", "Role", "SchedulingStrategy", "ServiceName"),
    "AWS::ECS::TaskDefinition": (
        "ContainerDefinitions", "Cpu", "EnableFaultInjection", "EphemeralStorage", "ExecutionRoleArn", "Family",
        "InferenceAccelerators", "IpcMode", "Memory", "NetworkMode", "PidMode", "PlacementConstraints",
        "ProxyConfiguration", "RequiresCompatibilities", "RuntimePlatform", "TaskRoleArn", "Volumes",
    ),
    "AWS::ElasticLoadBalancingV2::Listener": ("LoadBalancerArn",),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("Name", "Scheme", "Type"),
    "AWS::ElasticLoadBalancingV2::TargetGroup": (
        "IpAddressType", "Name", "Port", "Protocol", "ProtocolVersion", "TargetType", "VpcId",
    ),
    "AWS::Events::Rule": ("EventBusName", "Name"),
    "AWS::IAM::ManagedPolicy": ("Description", "ManagedPolicyName", "Path"),
    "AWS::IAM::Policy": (),
    "AWS::IAM::Role": ("Path", "RoleName"),
    "AWS::KMS::Alias": ("AliasName",),
    "AWS::KMS::Key": (),
    "AWS::Lambda::EventInvokeConfig": ("FunctionName", "Qualifier"),
    "AWS::Lambda::EventSourceMapping": (
        "AmazonManagedKafkaEventSourceConfig", "EventSourceArn", "SelfManagedEventSource",
        "SelfManagedKafkaEventSourceConfig", "StartingPosition", "StartingPositionTimestamp",
    ),
    "AWS::Lambda::Function": ("FunctionName", "PackageType", "TenancyConfig"),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::Logs::MetricFilter": ("FilterName", "LogGroupName"),
    "AWS::S3::Bucket": ("BucketName", "BucketNamePrefix", "BucketNamespace", "ObjectLockEnabled"),
    "AWS::S3::BucketPolicy": ("Bucket",),
    "AWS::SNS::Subscription": ("Endpoint", "Protocol", "TopicArn"),
    "AWS::SNS::Topic": ("FifoTopic", "TopicName"),
    "AWS::SNS::TopicPolicy": (),
    "AWS::SQS::Queue": ("FifoQueue", "QueueName"),
    "AWS::SQS::QueuePolicy": (),
    "AWS::SSM::Parameter": ("Name",),
    "AWS::Scheduler::Schedule": ("Name",),
    "AWS::SecretsManager::ResourcePolicy": ("SecretId",),
    "AWS::SecretsManager::Secret": ("Name",),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": ("Name", "Vpc"),
    "AWS::ServiceDiscovery::Service": ("HealthCheckCustomConfig", "Name", "NamespaceId", "Type"),
}
# fmt: on
"""By type. A type that is not here is MiniStack's own affair."""
