"""
Fargate without Docker: ECS tasks as local processes behind MiniStack's ECS API.

``tasks`` is the life of one task, ``scheduler`` that of services; ``circuit_breaker`` ends deployments that fail,
``service_deployments`` remembers them, ``services`` is their API. ``containers``, ``sandbox`` and ``inside`` run one
container. ``discovery`` (Cloud Map over DNS), ``load_balancer`` (TCP forwarders) and ``registry`` surround them.
"""
