"""The ways out: listeners on loopback, through which an application reaches the backends of its virtual node."""
