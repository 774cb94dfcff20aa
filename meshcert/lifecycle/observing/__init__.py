"""The present state of an identity: its certificate, the labels of its secret, its services."""
