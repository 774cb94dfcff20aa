"""What stands in for AWS on one machine. It imports the product; the product never imports it."""
