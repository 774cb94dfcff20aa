"""The custom resources of a deploy: identities and trust bundles."""
