"""Envoy's discovery protocol, xDS, over gRPC. What a resource holds, only ``secrets`` and ``endpoints`` know."""
