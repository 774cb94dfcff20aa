"""What Envoy says, and what it is handed."""
