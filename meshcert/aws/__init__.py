"""
The ports of publishing and lifecycle on AWS: the only place that knows boto3.

Where requests go is the environment's business (``AWS_ENDPOINT_URL``, ``AWS_REGION``), and so are their retries
(``AWS_RETRY_MODE=standard``). Nothing here logs a request or an answer.
"""
