"""Lambda functions: their code, interpreter, session, errors and dead letters."""
