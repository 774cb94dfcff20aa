"""The CDK stacks, in the order they deploy: pki, identities, services, renewal."""
