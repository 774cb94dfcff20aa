"""Checks of applications: what their containers are given, and what their tasks may do."""
