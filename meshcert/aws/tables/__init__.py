"""Tables in Amazon DynamoDB: identities, the memory of the lifecycle, acknowledgements of tasks."""
