"""Objects of web servers, got by plain HTTP if they have changed: what is public and signed needs no TLS."""

from __future__ import annotations

from entrypoint.aws.endpoint import parse_endpoint
from entrypoint.aws.http_exchange import HttpConnection, HttpRequest
from entrypoint.aws.json_api import REQUEST_TIMEOUT_S
from entrypoint.aws.object_storage import StoredObject
from meshcert.errors import AwsUnavailable

_OPERATION = "GET"
_OK = 200
_NOT_MODIFIED = 304


class HttpObjects:
    """Reads objects by their URLs, each on a connection of its own: they are few, and change within days."""

    def read(self, url: str, entity_tag: str = "") -> StoredObject | None:
        """
        Get an object unless the caller has it already. Nobody is followed elsewhere.

        Args:
            url: Its URL; what is not public has no place in it.
            entity_tag: ETag of the content that the caller has; empty if it has none.

        Returns:
            The object; None if the caller has it already.

        Raises:
            AwsUnavailable: If the server does not answer with it now.
        """
        try:
            endpoint, path = parse_endpoint(url)
            headers = [("Host", endpoint.authority), ("Connection", "close")]
            headers += [("If-None-Match", entity_tag)] if entity_tag else []
            connection = HttpConnection(endpoint)
            try:
                connection.wait("connection", REQUEST_TIMEOUT_S)
                answer = connection.exchange(HttpRequest("GET", path, headers), REQUEST_TIMEOUT_S)
            finally:
                connection.close()
        except (ConnectionError, ValueError) as error:
            raise AwsUnavailable(_OPERATION, url, str(error)) from error
        if answer.status == _NOT_MODIFIED and entity_tag:
            return None
        if answer.status != _OK:
            raise AwsUnavailable(_OPERATION, url, f"HTTP {answer.status}")
        return StoredObject(answer.body, answer.entity_tag)
