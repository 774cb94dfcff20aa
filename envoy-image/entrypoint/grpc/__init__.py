"""A gRPC server on Unix sockets."""
