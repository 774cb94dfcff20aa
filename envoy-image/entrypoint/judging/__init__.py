"""What must not be served: material, trust bundles and revocation lists, judged before Envoy sees them."""
