"""What goes wrong on purpose: errors, throttling, crashes, quotas, events lost or doubled."""
