"""AWS Private CA and private ACM certificates with real X.509: nobody else models them."""
