"""Envoy itself: its administration interface, and handing resources to it."""
