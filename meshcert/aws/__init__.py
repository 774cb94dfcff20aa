"""
The ports of publishing and lifecycle on AWS: the only package that uses boto3.

The environment decides where requests go (``AWS_ENDPOINT_URL``, ``AWS_REGION``) and how they are retried
(``AWS_RETRY_MODE=standard``). Requests and answers are never logged.
"""
