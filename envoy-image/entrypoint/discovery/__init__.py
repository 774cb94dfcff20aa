"""Finding the tasks of backends, and what Envoy gets of them."""
