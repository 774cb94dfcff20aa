"""CloudFormation resource types that MiniStack lacks or gets wrong."""
