"""Queues in Amazon SQS: looks and orders."""
