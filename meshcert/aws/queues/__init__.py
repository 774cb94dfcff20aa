"""Amazon SQS: looks and orders."""
