"""The AWS services that this container asks, over connections that sign their requests."""
