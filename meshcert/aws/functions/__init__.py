"""AWS Lambda: one function asks another."""
