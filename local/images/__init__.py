"""A stand-in for the ``docker`` command that the CDK CLI calls: it lays images out as folders and needs no engine."""
