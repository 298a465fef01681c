"""The HTTP manners every vendor source shares: one REST client, one retry policy, one translation of faults.

In: a source's configuration. Out: dlt's `RESTClient`, hardened in five ways: the vendor's rate limit is kept
rather than run into, every answer is checked for its status and parsed once, a page without the list it
should hold is a fault (never an empty page), retries are bounded and honour `Retry-After`, and the pages of a
long list are fetched while those before are worked on. Secrets are looked up when called, by dlt's providers,
and never shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from functools import cache
from itertools import islice
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Any, TypeVar
from urllib.parse import urlparse

import dlt
import msgspec
from dlt.sources.helpers.requests import Client as RetryClient
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.client import PageData
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from pyrate_limiter import Limiter, Rate
from requests import HTTPError, Request, Response
from requests.auth import AuthBase
from requests.exceptions import ChunkedEncodingError, ConnectionError, Timeout

from settings.config import SourceConfig
from settings.errors import OutageError, UserError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_ATTEMPTS = 5
TIMEOUT = (5, 60)
#: Of a list, the share of the pages read so far that may be fetched ahead (nobody may want them); the most.
AHEAD_SHARE, AHEAD_MOST = 0.1, 32

T = TypeVar("T")
_END = object()


class BadAnswerError(Exception):
    """An answer with a good status whose body cannot be used."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class VendorClient(RESTClient):
    """dlt's REST client with the checks above; `get_json`/`post_json` are for answers without pages."""

    limiter: Limiter | None = None

    def _send_request(self, request: Request, **kwargs: Any) -> Response:
        if self.limiter is not None:
            self.limiter.try_acquire("requests")
        return super()._send_request(request, **kwargs)

    def paginate(self, *args: Any, **kwargs: Any) -> Iterator[PageData[Any]]:
        """dlt's `paginate`, which see; the pages of a long list are fetched ahead."""
        return ahead(super().paginate(*args, **kwargs))

    def texts(self, path: str, params: dict[str, Any], listed: str, token: str) -> Iterator[bytes]:
        """The pages of a list as the JSON text they came as, where its records are too many for objects.

        In: `listed`, the name of a page's list; `token`, of what the next page is asked for by.
        """

        def pages() -> Iterator[bytes]:
            asked = params
            while True:
                answer = self.get(path, params=asked)
                try:
                    found = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])
                    following = msgspec.json.decode(found.get(token, b"null"))
                except msgspec.DecodeError as exc:
                    raise BadAnswerError(_path(answer.url), "it is not valid JSON") from exc
                if listed not in found:
                    raise BadAnswerError(_path(answer.url), f"the answer has no {listed!r}")
                yield answer.content
                if not following:
                    return
                asked = {**params, token: following}

        return ahead(pages())

    def _create_request(self, *args: Any, **kwargs: Any) -> Any:
        request = super()._create_request(*args, **kwargs)
        request.hooks = {"response": [_check]}
        return request

    def extract_response(self, response: Response, data_selector: Any) -> list[Any]:
        """The page's records; a page that lacks the selected key is refused."""
        body = response.json()
        first, _, rest = str(data_selector).partition(".")
        if first != "$" and (not isinstance(body, dict) or first not in body):
            raise BadAnswerError(_path(response.url), f"the answer has no {first!r}")
        if rest or first == "$":
            return super().extract_response(response, data_selector)
        found = body[first]  # dlt would compile the selector anew for every page
        if found is None:
            return []
        return found if isinstance(found, list) else [found]

    def get_json(self, path: str, params: dict[str, Any] | None = None) -> Any:
        """One GET, its parsed body; a key it lacks is a fault of the answer."""
        return _answer(self.get(path, params=params))

    def post_json(self, path: str, json: dict[str, Any]) -> Any:
        """One POST of a JSON body, the parsed answer."""
        return _answer(self.post(path, json=json))


class _Answer(dict[str, Any]):
    """A JSON object of a vendor; a key it should have and has not is a fault of the answer."""

    def __init__(self, body: dict[str, Any], path: str) -> None:
        super().__init__(body)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise BadAnswerError(self._path, f"the answer has no {key!r}")


def client(
    config: SourceConfig,
    default_base_url: str,
    auth: AuthBase | None = None,
    paginator: BasePaginator | None = None,
    headers: dict[str, str] | None = None,
    limit: tuple[int, float] | None = None,
) -> VendorClient:
    """A client for `config.base_url`, or for the vendor's public address.

    In: `limit`, the requests that the vendor allows in so many seconds; the client waits rather than pass it.
    """
    retrying = RetryClient(
        request_timeout=TIMEOUT,
        raise_for_status=False,
        request_max_attempts=MAX_ATTEMPTS,
        request_backoff_factor=0.25,
        request_max_retry_delay=60,
    )
    made = VendorClient(
        base_url=config.base_url or default_base_url,
        headers=headers,
        auth=auth,
        paginator=paginator,
        session=retrying.session,
    )
    if limit is not None:
        made.limiter = limiter(limit)
    return made


def limiter(limit: tuple[int, float]) -> Limiter:
    """Makes its callers wait, so that there are at most so many in so many seconds."""
    calls, seconds = limit
    return Limiter(Rate(calls, int(seconds * 1000)))


def secret(config: SourceConfig, field: str = "api_key") -> str:
    """The source's secret, from the environment or `.dlt/secrets.toml`.

    Without one, and only towards a loopback address, it is the well-known one of the sandbox, such as
    `sandbox-stripe-key` for `api_key`, `sandbox-salesforce-client-secret` for `client_secret`.
    """
    key = f"sources.{config.name}.{field}"
    value: str | None = dlt.secrets.get(key)
    if value:
        return str(value)
    if is_loopback(config.base_url):
        return f"sandbox-{config.type}-{field.removeprefix('api_').replace('_', '-')}"
    raise UserError(
        f"source {config.name!r} has no secret. Set the environment variable "
        f"{secret_name(config.name, field)}, or {field} under [sources.{config.name}] in .dlt/secrets.toml"
    )


def secret_name(source: str, field: str = "api_key") -> str:
    """The environment variable that holds a source's secret."""
    return f"SOURCES__{source.upper()}__{field.upper()}"


def is_loopback(base_url: str | None) -> bool:
    """Whether an address is on this machine."""
    return base_url is not None and urlparse(base_url).hostname in LOOPBACK


def explain(exc: BaseException, source: str) -> UserError:
    """One clear message for whatever went wrong while talking to a vendor: source, path, cause and fix.

    An `OutageError` if it may go by itself.
    """
    for cause in chain(exc):
        if isinstance(cause, UserError):
            return type(cause)(placed(str(cause), source))
        if isinstance(cause, HTTPError) and cause.response is not None:
            passes = cause.response.status_code == 429 or cause.response.status_code >= 500
            return (OutageError if passes else UserError)(_explain_status(cause.response, source))
        if isinstance(cause, BadAnswerError):
            return UserError(
                f"source {source!r}: the answer at {cause.path} cannot be used: {cause.problem}. "
                "Nothing was loaded; run again, and if it stays, check base_url or ask the vendor"
            )
        if isinstance(cause, (ConnectionError, ChunkedEncodingError, Timeout)):
            url = getattr(getattr(cause, "request", None), "url", None) or ""
            parts = urlparse(url)
            problem = "did not answer in time" if isinstance(cause, Timeout) else "cannot be reached"
            return OutageError(
                f"source {source!r}: {parts.scheme}://{parts.netloc} {problem} ({parts.path}). "
                f"Check base_url under [sources.{source}], the network, and that the server is up"
            )
    last = exc
    while last.__cause__ is not None:
        last = last.__cause__
    first_line = (str(last).splitlines() or [""])[0]
    return UserError(
        f"source {source!r}: the load failed, nothing was loaded: {type(last).__name__}: {first_line}"
    )


def placed(message: str, source: str) -> str:
    """A message about a table, with the source it is a table of."""
    return f"source {source!r}, {message}" if message.startswith("table ") else message


def chain(exc: BaseException) -> Iterator[BaseException]:
    """An exception and what caused it, outermost first."""
    seen: set[int] = set()
    current: BaseException | None = exc
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def ahead(pages: Iterator[T]) -> Iterator[T]:
    """The same pages in the same order; a thread fetches some of a long list before they are asked for.

    Who stops, having read enough or by Ctrl-C, does not wait for the request under way.
    """
    read = int(1 / AHEAD_SHARE)
    yield from islice(pages, read)
    wanted, coming, is_over = Semaphore(0), SimpleQueue[Future[Any]](), Event()
    Thread(target=_fetch, args=(pages, wanted, coming, is_over), daemon=True).start()
    under_way = 0
    try:
        while True:
            while under_way < max(1, min(AHEAD_MOST, int(read * AHEAD_SHARE))):
                wanted.release()
                under_way += 1
            page = coming.get().result()
            if page is _END:
                return
            under_way -= 1
            read += 1
            yield page
    finally:
        is_over.set()
        wanted.release()


def _fetch(pages: Iterator[Any], wanted: Semaphore, coming: SimpleQueue[Future[Any]], is_over: Event) -> None:
    """A page each time that one is wanted."""
    while wanted.acquire() and not is_over.is_set():
        page: Future[Any] = Future()
        try:
            page.set_result(next(pages, _END))
        except BaseException as exc:
            page.set_exception(exc)
        coming.put(page)


def _check(response: Response, *_: Any, **__: Any) -> None:
    """Refuse a bad status; parse the body once, for paginator and reader alike."""
    if response.status_code >= 400:
        raise HTTPError(f"HTTP {response.status_code} at {_path(response.url)}", response=response)

    @cache
    def body() -> Any:
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError as exc:
            raise BadAnswerError(_path(response.url), "it is not valid JSON") from exc

    response.json = lambda **_kwargs: body()  # type: ignore[method-assign]


def _answer(response: Response) -> Any:
    body = response.json()
    return _Answer(body, _path(response.url)) if isinstance(body, dict) else body


def _explain_status(response: Response, source: str) -> str:
    status, where = response.status_code, f"source {source!r}: {_path(response.url)}"
    if status == 401:
        return (
            f"{where} refused the credentials (HTTP 401). Check the key in {secret_name(source)} "
            f"(or .dlt/secrets.toml under [sources.{source}])"
        )
    if status == 403:
        return (
            f"{where} denied access (HTTP 403). Give the key in {secret_name(source)} the scope to read this"
        )
    if status == 404:
        return f"{where} does not exist (HTTP 404). Check base_url under [sources.{source}]"
    if status == 429:
        return (
            f"{where} still limits the rate after {MAX_ATTEMPTS} attempts (HTTP 429). "
            "Run again later, or stop other programs that use the same key"
        )
    if status >= 500:
        return (
            f"{where} failed on the server's side {MAX_ATTEMPTS} times (HTTP {status}). "
            "Nothing is wrong here; run again later"
        )
    return f"{where} refused the request (HTTP {status}). This is a fault of the connector: report it"


def _path(url: str | None) -> str:
    return urlparse(url or "").path


os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
