"""Trust in several trust domains: bundles of others, and what Envoy gets put together of them."""
