"""Amazon ECS: services, their tasks and deployments."""
