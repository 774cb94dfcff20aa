"""Envoy's discovery protocol over gRPC."""
