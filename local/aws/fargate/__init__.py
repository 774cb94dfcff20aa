"""
Fargate without Docker: ECS tasks as local processes behind MiniStack's ECS API.

``containers`` runs one container: its image, its namespaces, its health. ``tasks`` is the life of one task.
``services`` keeps services at their desired count, rolls deployments and ends those that fail. ``network`` is what
surrounds tasks: addresses, Cloud Map over DNS, load balancers. ``ecs`` puts it all into MiniStack.
"""
