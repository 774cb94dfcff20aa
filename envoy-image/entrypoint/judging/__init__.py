"""Checks of material, trust bundles and revocation lists, before Envoy sees them."""
