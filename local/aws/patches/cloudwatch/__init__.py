"""CloudWatch: metrics inside log lines, alarms, and whether what they tell can reach anybody."""
