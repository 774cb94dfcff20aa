"""What is seen of an Envoy from outside: its admin interface, on loopback, and its metrics."""
