"""CloudWatch: metrics inside log lines, metric filters, alarms and what they tell."""
