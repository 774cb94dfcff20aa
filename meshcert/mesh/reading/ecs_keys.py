"""
Keys of Amazon ECS that people try at a service or its application: not supported here, and what to do instead.

meshcert is no second ECS: a task that needs what stands here is one of yours, and joins by a sidecar. A test holds the
tables against the fields of ECS's API (RegisterTaskDefinition and CreateService in the Amazon ECS API Reference).
"""

from __future__ import annotations

YOUR_NETWORK = "`network.existing` names a VPC of yours and its subnets; services make security groups of their own"
YOUR_CLUSTER = "The name or ARN of a cluster of yours, for the whole mesh: `cluster.existing`"
HEALTH = (
    "The application is asked, and the service says how: `services.NAME.application.health_check`; "
    "callers ask by `virtual_nodes.NAME.listeners.health_check`"
)
TIMEOUT = "Write it at a listener, a route or a backend, for example `virtual_gateways.NAME.routes.timeout`"
_NO_ROLE = (
    "meshcert makes the role of a task, which reads its certificates; what else it may do: "
    "`services.NAME.application.task_policies`"
)
_YOURS = "a service of yours, with its own task definition, has them and joins by a sidecar: `services.NAME.attached`"
_ENVIRONMENT = (
    "Write `services.NAME.application.environment`, and what is secret as `services.NAME.application.secrets`"
)
_COMMAND = "Write `services.NAME.application.command`"
_ONE_CONTAINER = (
    "A task that meshcert makes has Envoy and one application. Run other containers as services of their own, or: "
    f"{_YOURS}. One that gives Envoy its certificates: `services.NAME.proxy.agent`"
)
_GRACE = "How long a task may take until it is ready: `services.NAME.application.health_check.grace_period_s`"
_NO_FIELD = f"Tasks that meshcert makes do without; {_YOURS}"

APPLICATION = {
    **dict.fromkeys(("env", "environmentfiles"), _ENVIRONMENT),
    "args": _COMMAND,
    **dict.fromkeys(
        ("memory", "memoryreservation", "resources"),
        "A task's size is the service's, and the application may have a part of it: `services.NAME.memory_mib`, "
        "`services.NAME.application.memory_mib`, `services.NAME.application.cpu`",
    ),
    **dict.fromkeys(
        ("mountpoints", "tmpfs", "readonlyrootfilesystem", "efs"),
        "Its root filesystem is read-only; where it may write: `services.NAME.application.volumes`",
    ),
    **dict.fromkeys(
        ("ports", "portmappings", "containerport", "hostport"), "One port: `services.NAME.application.port`"
    ),
    **dict.fromkeys(("taskrole", "taskrolearn", "policy", "policies", "permissions", "role"), _NO_ROLE),
    **dict.fromkeys(("sidecars", "containers", "dependson", "firelens", "initcontainers"), _ONE_CONTAINER),
    **dict.fromkeys(
        ("logging", "logconfiguration"), "Its output goes to the service's log group; nothing is to be set"
    ),
    **dict.fromkeys(
        ("ulimits", "linuxparameters", "sysctls", "systemcontrols", "privileged"),
        f"Fargate's defaults hold in tasks that meshcert makes; {_YOURS}",
    ),
    **dict.fromkeys(
        (
            *("credentialspecs", "disablenetworking", "dnssearchdomains", "dnsservers", "dockerlabels"),
            *("dockersecurityoptions", "extrahosts", "hostname", "interactive", "links", "pseudoterminal"),
            *("resourcerequirements", "restartpolicy", "versionconsistency", "volumesfrom"),
        ),
        _NO_FIELD,
    ),
    "firelensconfiguration": _ONE_CONTAINER,
    "essential": "Every container of a task is: the task ends with any of them; nothing is to be set",
    "name": "The container is called application; nothing is to be set",
    "starttimeout": _GRACE,
    "capabilities": "To take all of them away: `services.NAME.application.drop_capabilities`",
    "dockerfile": "The file Dockerfile of the folder is built: `services.NAME.application.image`",
    "repositorycredentials": "Use a registry that the execution role can read, such as ECR of this account",
    **dict.fromkeys(
        ("stoptimeout", "draintimeout", "deregistrationdelay"),
        "A stopping task accepts for `services.NAME.drain_s`; then its application has "
        "`services.NAME.application.stop_timeout_s` to end",
    ),
}
SERVICE = {
    "job": "A job is a task definition of yours that no service runs: `services.NAME.attached.job`",
    "environment": _ENVIRONMENT,
    "secrets": "Write `services.NAME.application.secrets`",
    "command": _COMMAND,
    "entrypoint": "Write `services.NAME.application.entry_point`",
    "workingdirectory": "Write `services.NAME.application.working_directory`",
    "user": "Write `services.NAME.application.user`",
    **{key: remedy for key, remedy in APPLICATION.items() if key not in {"memory", "resources"}},
    "memory": "Write `services.NAME.memory_mib`",
    "healthcheck": HEALTH,
    **dict.fromkeys(("timeout", "timeouts", "requesttimeout", "idletimeout"), TIMEOUT),
    **dict.fromkeys(
        ("volumes", "mountpoints", "efs"),
        "For the application: `services.NAME.application.volumes`; for certificates of yours: "
        "`services.NAME.proxy.volumes`",
    ),
    "image": "Write `services.NAME.application.image`",
    "port": "Write `services.NAME.application.port`",
    **dict.fromkeys(("replicas", "count", "tasks", "scale"), "Write `services.NAME.desired_count`"),
    **dict.fromkeys(
        ("autoscaling", "scaling", "mincapacity", "maxcapacity", "mincount", "maxcount"),
        "The number of tasks is fixed, unless a scaler of yours has it: `services.NAME.scaler`",
    ),
    **dict.fromkeys(
        (
            "launchtype",
            "capacityprovider",
            "capacityproviders",
            "capacityproviderstrategy",
            "spot",
            "requirescompatibilities",
        ),
        f"Tasks that meshcert makes run on Fargate, on demand. Other launch types and Spot: {_YOURS}",
    ),
    **dict.fromkeys(
        ("vpc", "subnets", "securitygroups", "networkconfiguration", "networkmode", "assignpublicip"), YOUR_NETWORK
    ),
    "cluster": YOUR_CLUSTER,
    **dict.fromkeys(
        ("loadbalancers", "targetgroup", "targetgroups", "targetgrouparn", "alb", "nlb"),
        "A load balancer before a gateway, made or yours: `services.NAME.load_balancer`",
    ),
    **dict.fromkeys(
        ("deploymentconfiguration", "deploymentcontroller"),
        "ECS's rolling deployments: `services.NAME.minimum_healthy_percent`, `services.NAME.maximum_percent`",
    ),
    **dict.fromkeys(
        ("enableexecutecommand", "executecommand"),
        f"ECS Exec is off, for a shell in the task would be the service; {_YOURS}",
    ),
    **dict.fromkeys(
        ("serviceconnect", "serviceconnectconfiguration", "serviceregistries", "servicediscovery"),
        "Callers find a service by Cloud Map, under its name in `mesh.namespace`",
    ),
    **dict.fromkeys(
        ("taskdefinition", "containerdefinitions", "family"),
        "meshcert writes the task definition of a service that it makes; one of yours keeps its own, and joins by a "
        "sidecar: `services.NAME.attached`",
    ),
    **dict.fromkeys(
        ("executionrole", "executionrolearn"),
        "One execution role pulls images and writes logs for all, and one more for each service with secrets: "
        "`services.NAME.application.secrets`",
    ),
    **dict.fromkeys(
        (
            *("availabilityzonerebalancing", "enableecsmanagedtags", "enablefaultinjection", "ephemeralstorage"),
            *("gatewayconnectors", "inferenceaccelerators", "ipcmode", "monitoring", "pidmode", "placementconstraints"),
            *("placementstrategy", "platformversion", "propagatetags", "schedulingstrategy"),
            *("trustedexecutionconfiguration", "volumeconfigurations", "vpclatticeconfigurations"),
        ),
        _NO_FIELD,
    ),
    "healthcheckgraceperiodseconds": _GRACE,
    **dict.fromkeys(("name", "servicename"), "The name of a service is its key: `services.NAME`"),
    "proxyconfiguration": "Envoy is reached by its port; nothing is to be set",
    "runtimeplatform": 'One architecture for all: `make deploy ARGS="-c architecture=x86_64"`',
}

ATTACHED = dict.fromkeys(
    (
        *(key for key in {**SERVICE, **APPLICATION} if key not in {"cluster", "taskdefinition", "taskrole", "job"}),
        *("cpu", "memory", "desiredcount", "entrypoint", "environment", "image", "secrets", "user", "workingdirectory"),
    ),
    "It stands in your task definition or your service, which stay yours: remove it here. `meshcert sidecar NAME` says "
    "what they need",
)
