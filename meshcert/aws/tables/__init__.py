"""Amazon DynamoDB: identities, what is remembered of them, what tasks say."""
