"""Envoy's discovery protocol, xDS, over gRPC. Only ``secrets`` and ``handover`` know what a secret is."""
