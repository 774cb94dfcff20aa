"""A gRPC server on Unix sockets. It knows no service: each socket is given its own."""
