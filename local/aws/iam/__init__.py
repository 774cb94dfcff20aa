"""IAM as AWS evaluates it: sessions, conditions, resource policies, and a log of every decision."""
