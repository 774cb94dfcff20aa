"""Checks of virtual services, virtual routers, their routes and gateway routes."""
