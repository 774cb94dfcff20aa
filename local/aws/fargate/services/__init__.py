"""ECS services: the scheduler, deployments and their history, the circuit breaker, events, the API, templates."""
