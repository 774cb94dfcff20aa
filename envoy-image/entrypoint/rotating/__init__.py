"""New versions of what Envoy serves, from first delivery to the end of the task."""
