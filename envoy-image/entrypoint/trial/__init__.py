"""A new client certificate, shown to the upstreams before Envoy shows it."""
