"""What CloudFormation asks for at a deploy: identities and trust bundles, as custom resources."""
