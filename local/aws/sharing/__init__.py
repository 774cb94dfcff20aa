"""AWS Resource Access Manager: what one account lets another use."""
