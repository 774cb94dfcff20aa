"""What the stacks are built from: a hierarchy, an identity, a Python function, a service behind Envoy."""
