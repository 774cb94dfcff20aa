"""Calls from one Lambda function to another."""
