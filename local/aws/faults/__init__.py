"""Faults on purpose: errors, throttling, crashes, quotas, events lost or doubled, planted secret versions."""
