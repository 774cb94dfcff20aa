"""Who this workload instance is and where it runs. Amazon ECS is the first platform."""
