"""One task, from PROVISIONING to STOPPED, and its credentials."""
