"""Salesforce's manners over HTTP: logging in, a session that expires, errors, query locators.

In: a source's configuration. Out: `connect`, a client whose requests carry a session. Salesforce answers an
error as a list of {"message", "errorCode"}; what the code means decides here whether a request is tried again
or which one message the user gets.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlparse

import dlt
from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials
from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator
from requests import HTTPError, PreparedRequest, Response

from ingestion.http import BadAnswerError, VendorClient, client, secret, secret_name
from settings.config import SourceConfig
from settings.errors import UserError

TOKEN_PATH = "/services/oauth2/token"
#: Records in an answer: the most that Salesforce gives, and its default.
BATCH_SIZE = 2000
#: Addresses of pages, not of an organisation's API.
LOGIN_PAGES = ("login.salesforce.com", "test.salesforce.com")
#: Error codes of conditions that pass.
PASSING = ("QUERY_TIMEOUT", "SERVER_UNAVAILABLE", "UNABLE_TO_LOCK_ROW")
#: What to do about the other error codes, without the message that Salesforce gives itself.
FIXES = {
    "INVALID_FIELD": "Give the user read access to that field, or take it out of the source's tables",
    "INVALID_TYPE": "Give the user read access to that object",
    "INSUFFICIENT_ACCESS": "Give the user read access to it",
    "API_DISABLED_FOR_ORG": "Use an edition with API access, and give the user the permission API Enabled",
    "API_CURRENTLY_DISABLED": "Salesforce has switched its API off for now; run again later",
    "INVALID_QUERY_LOCATOR": "The list took too long to read, or other programs read too many; run again",
    "INVALID_QUERY_CURSOR": "The list took too long to read, or other programs read too many; run again",
}


def connect(config: SourceConfig, limit: tuple[int, float]) -> VendorClient:
    """A client of the organisation at the source's My Domain address."""
    base_url = _my_domain(config)
    auth = Session(config, base_url)
    headers = {"Sforce-Query-Options": f"batchSize={BATCH_SIZE}"}
    made = client(config, base_url, auth, headers=headers, limit=limit)
    auth.session = made.session
    return made


def _my_domain(config: SourceConfig) -> str:
    """Only there the client credentials flow works, and data is answered without a redirect."""
    host = urlparse(config.base_url or "").hostname or ""
    if config.base_url and host not in LOGIN_PAGES and not host.endswith(".lightning.force.com"):
        return config.base_url
    problem = (
        f"base_url = {config.base_url!r} is a page's address" if config.base_url else "it has no base_url"
    )
    raise UserError(
        f"source {config.name!r}: {problem}. Set base_url under [sources.{config.name}] to your My Domain, "
        'such as "https://example.my.salesforce.com" (in Salesforce: Setup, My Domain)'
    )


class Session(OAuth2ClientCredentials):
    """A session by client credentials, or by a refresh token where the source has one.

    A session ends when the organisation's setting says so, which the token does not tell: the first request
    refused for it gets a new one, once.
    """

    def __init__(self, config: SourceConfig, base_url: str) -> None:
        super().__init__(
            access_token_url=base_url + TOKEN_PATH,
            client_id=secret(config, "client_id"),
            client_secret=secret(config, "client_secret"),
            default_token_expiration=24 * 3600,
        )
        self.source = config.name
        refresh_token: str | None = dlt.secrets.get(f"sources.{config.name}.refresh_token")
        if refresh_token:
            self.access_token_request_data = {"grant_type": "refresh_token", "refresh_token": refresh_token}

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The request with the session, its answer watched."""
        super().__call__(request)
        request.register_hook("response", self._answered)
        return request

    def obtain_token(self) -> None:
        """Log in; one message if Salesforce refuses."""
        try:
            super().obtain_token()
        except HTTPError as exc:
            if exc.response.status_code not in (400, 401, 403):
                raise
            fields = ["client_id", "client_secret"] + ["refresh_token"] * bool(self.access_token_request_data)
            names = ", ".join(secret_name(self.source, field) for field in fields)
            said = _said(exc.response, "error", "error_description")
            raise UserError(
                f"source {self.source!r}: {TOKEN_PATH} refused to log in: {said}. Check {names} (or "
                f".dlt/secrets.toml under [sources.{self.source}]), and that the app in Salesforce allows "
                "this flow and has a user to run as"
            ) from exc

    def parse_access_token(self, response_json: Any) -> str:
        """The token of the answer; a missing one is a fault of the answer."""
        if not isinstance(response_json, dict) or not response_json.get("access_token"):
            raise BadAnswerError(TOKEN_PATH, "the answer has no 'access_token'")
        return super().parse_access_token(response_json)

    def _answered(self, response: Response, **sending: Any) -> Response:
        if response.status_code == 401:
            response = self._sent_again(response, sending)
        if response.status_code >= 400:
            self._judge(response)
        return response

    def _sent_again(self, refused: Response, sending: dict[str, Any]) -> Response:
        """The same request with a new session."""
        refused.close()
        self.obtain_token()
        request = refused.request.copy()
        request.headers["Authorization"] = f"Bearer {self.access_token}"
        connection: Any = refused.connection
        answer: Response = connection.send(request, **sending)
        return answer

    def _judge(self, response: Response) -> None:
        """Raise what the user must mend; mark what may be tried again as the shared retries know it."""
        code, said = _code(response), _said(response, "errorCode", "message")
        where = f"source {self.source!r}: {urlparse(response.url).path}"
        if code == "REQUEST_LIMIT_EXCEEDED" and "concurrent" in said.lower():
            response.status_code = 429  # Salesforce says 403: too many at once, which passes in seconds
        elif code == "REQUEST_LIMIT_EXCEEDED":
            raise UserError(
                f"{where}: the organisation has used up its API requests of 24 hours (HTTP 403 {said}). "
                "Nothing was loaded; run again later, or stop other programs that use them (in Salesforce: "
                "Setup, Company Information)"
            )
        elif code in PASSING:
            response.status_code = 503  # Salesforce says 400
        elif response.status_code == 401:
            raise UserError(
                f"{where} refused a new session too (HTTP 401 {said}). Check that the user is active and may "
                "use the API"
            )
        elif code in FIXES:
            raise UserError(f"{where} refused the request: {said}. {FIXES[code]}")


class Locators(JSONLinkPaginator):
    """Query locators, followed to the end. Salesforce writes them as paths of the organisation's address."""

    def __init__(self, base_url: str) -> None:
        super().__init__(next_url_path="nextRecordsUrl")
        self.base_url = base_url

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Take the locator; a list that is not done must have one."""
        super().update_state(response, data)
        if self._next_reference:
            self._next_reference = self.base_url + self._next_reference
        elif not response.json().get("done", True):
            path = urlparse(response.url).path
            raise BadAnswerError(path, "the list is not done and has no 'nextRecordsUrl'")


def _errors(response: Response) -> dict[str, Any]:
    """The first error of an answer, empty where it is none of Salesforce's."""
    try:
        body = response.json()
    except ValueError:
        return {}
    first = body[0] if isinstance(body, list) and body else body
    return first if isinstance(first, dict) else {}


def _code(response: Response) -> str:
    return str(_errors(response).get("errorCode", ""))


def _said(response: Response, code: str, message: str) -> str:
    """What Salesforce says: the code, and the last line of the message, which is the one with the reason."""
    found = _errors(response)
    lines = [line.strip() for line in str(found.get(message) or "").splitlines() if line.strip()]
    return f"{found.get(code) or response.status_code}" + (f": {lines[-1].rstrip('.')}" if lines else "")
