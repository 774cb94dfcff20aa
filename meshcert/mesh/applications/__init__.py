"""What the file says of applications: their containers, what they are given, and what their tasks may do."""
