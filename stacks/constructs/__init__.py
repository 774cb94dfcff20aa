"""The building blocks of the stacks: a hierarchy, an identity, a Python function, a service behind Envoy."""
