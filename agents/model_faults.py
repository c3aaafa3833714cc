"""What went wrong with a model, in one line that says what to do; and what of a reply shows that it is not whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from autogen_core.models import ChatCompletionClient, CreateResult

from moot.agents.answers import MOST_BYTES, SentElsewhere, TooLong, WebPage, watch
from moot.agents.endpoint import Endpoint, endpoint_of, provider_client
from moot.agents.errors import ModelError, ModelFault, ModelRefused
from moot.agents.openai_endings import CallsCutShort, mend
from moot.agents.openai_options import NO_KEY

_LIBRARIES = frozenset({"openai", "anthropic", "ollama", "httpx", "httpx2", "httpcore", "httpcore2"})
_NO_REPLY = (json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError, KeyError, IndexError, RecursionError)
"""What the clients raise when a server answers with something else than the protocol's form."""
_AGAIN = frozenset({408, 409, 425, 429})
"""Of the statuses that blame the request: those that may go well another time."""
_NOT_THERE = frozenset({404, 405})
_GIVEN_KEY = "the variable that api_key names"
_ENDED = {
    "LengthFinishReasonError": "reached its length limit before it was whole",
    "ContentFilterFinishReasonError": "was held back by the provider's filter",
    "ValidationError": "is not in the form that was asked for",
}
"""What the clients raise for a reply that came, and cannot be used."""
_CUT_SHORT = {"length": "reached its length limit", "content_filter": "was held back by the provider's filter"}
"""By finish reason: replies that are not whole."""
_WHILE_REPLYING = frozenset({"APIError", "APIStatusError", "ResponseError"})
"""What they raise, without a status that says so, for an error that comes in the middle of a stream."""
_MOST_QUOTED = 300
_MOST_LOOKED_AT = 10_000
_TELLING = 8
"""So many characters of a key in a row are not repeated. A shorter one guards nothing, and could be any word."""
_VERSION = re.compile(r"/v\d+(beta\d*)?(/|$)")


@contextmanager
def explaining(client: ChatCompletionClient) -> Iterator[None]:
    """Around a call of a client: what its provider or the way there did wrong is a ModelFault.

    An error whose own words hold the key, or a longer part of it, is not kept beside: a traceback would show them.
    """
    asks = provider_client(client)
    mend(asks)
    watch(asks)
    try:
        yield
        return
    except Exception as error:
        endpoint = endpoint_of(client)
        told = explained(error, endpoint)
        if told is error:
            raise
        key = "" if endpoint is None else endpoint.key
        told_of = [str(one) for one in chain_of(error)]
        cause = None if key and any(key in words or _without_key(words, key) != words for words in told_of) else error
    raise told from cause


def explained(error: Exception, endpoint: Endpoint | None) -> Exception:
    """The error in words for people; itself where nothing better is known."""
    if endpoint is None or isinstance(error, ModelError):
        return error
    chain = chain_of(error)
    if any(isinstance(one, WebPage) for one in chain):
        page = f"{endpoint.name} answers with a web page: that address is no model's{_better(endpoint)}"
        return ModelRefused(page, elsewhere=True)
    if any(isinstance(one, SentElsewhere) for one in chain):
        sent = f"{endpoint.name} sends its callers to another server, which is not asked: give that address instead"
        return ModelRefused(sent)
    status = status_of(error)
    if status is not None:
        kind, told = _of_status(status, _quoted(error, endpoint), endpoint)
        return kind(told, elsewhere=status in _NOT_THERE, status_code=status)
    return _without_status(chain, endpoint) or error


def _without_status(chain: list[BaseException], endpoint: Endpoint) -> ModelFault | None:
    """No reply, half of one, or one that is none; None where the provider is not to blame."""
    if any(_kind(one) == "timeout" for one in chain):
        return ModelFault(f"{endpoint.name} did not answer in time", billed=_asked(chain))
    if any(_kind(one) == "nobody" for one in chain):
        return ModelFault(_nobody(endpoint), elsewhere=True)
    if unused := _unused(chain, endpoint):
        return unused
    if failed := next((one for one in chain if type(one).__name__ in _WHILE_REPLYING), None):
        words = f"the server of {endpoint.name} failed while it replied: {_quoted(failed, endpoint)}"
        return ModelFault(words, billed=True)
    if any(isinstance(one, _NO_REPLY) for one in chain):
        other = f"{endpoint.name} sent something that is no reply of the protocol it is asked in{_better(endpoint)}"
        return ModelFault(other, elsewhere=bool(_better(endpoint)))
    if any(type(one).__module__.partition(".")[0] in _LIBRARIES for one in chain):
        return ModelFault(f"the connection to {endpoint.name} broke off: {_quoted(chain[-1], endpoint)}", billed=True)
    return None


def _unused(chain: list[BaseException], endpoint: Endpoint) -> ModelFault | None:
    """A reply that came, as far as it was read, and cannot be used."""
    if cut := next((one for one in chain if isinstance(one, CallsCutShort)), None):
        return _calls_cut_short(endpoint.name, _CUT_SHORT[cut.reason])
    if any(isinstance(one, TooLong) for one in chain):
        most = f"more than {MOST_BYTES // 1024**2} MiB: that is no reply, and is not used"
        return ModelFault(f"{endpoint.name} sent {most}", billed=True)
    ended = next((_ENDED[n] for one in chain if (n := type(one).__name__) in _ENDED), "")
    return ModelFault(f"the reply of {endpoint.name} {ended}", billed=True) if ended else None


def check_whole(result: CreateResult, client: ChatCompletionClient) -> None:
    """Raises ModelFault for a streamed result that was cut off: words are missing, and its calls must not be made."""
    if result.finish_reason != "unknown" or result.cached:
        return
    endpoint = endpoint_of(client)
    called = type(client).__name__ if endpoint is None else endpoint.name
    if isinstance(result.content, str) and endpoint is None:
        return  # a client of another kind may not know how its replies end
    words = f"the reply of {called} ended without a finish reason: it was cut off, and is not used"
    raise ModelFault(words, billed=True)


def check_calls(result: CreateResult, client: ChatCompletionClient) -> None:
    """Raises ModelFault for calls of a reply that did not come to its end: their arguments may lack what was to come
    and read as if nothing did.
    """
    how = _CUT_SHORT.get(result.finish_reason)
    if isinstance(result.content, str) or not result.content or how is None or result.cached:
        return
    endpoint = endpoint_of(client)
    called = type(client).__name__ if endpoint is None else endpoint.name
    raise _calls_cut_short(called, how)


def _calls_cut_short(called: str, how: str) -> ModelFault:
    return ModelFault(f"the reply of {called} {how} among its tool calls: they are not made", billed=True)


def _of_status(status: int, words: str, endpoint: Endpoint) -> tuple[type[ModelFault], str]:
    """Whether another attempt may go well, and what to say."""
    name, said = endpoint.name, f": {words}" if words else ""
    if status == 401:
        # Its words are left out: servers repeat the key.
        if endpoint.key in ("", NO_KEY):
            return ModelRefused, f"{name} wants a key (401): name the variable that holds it as api_key"
        return ModelRefused, f"{name} refuses the key (401): check {endpoint.variable or _GIVEN_KEY}"
    if status == 403:
        return ModelRefused, f"{name} may not be used with this key (403){said}"
    if status in _NOT_THERE:
        return ModelRefused, _not_there(status, words, endpoint)
    if status == 429:
        spent = re.search("quota|billing|credit", words)
        what = "has nothing left to spend" if spent else "is asked too often"
        return ModelRefused if spent else ModelFault, f"{name} {what} (429){said}"
    if status >= 500:
        return ModelFault, f"the server of {name} failed ({status}){said}"
    return ModelFault if status in _AGAIN else ModelRefused, f"{name} refuses the request ({status}){said}"


def _not_there(status: int, words: str, endpoint: Endpoint) -> str:
    if endpoint.kind == "ollama":
        return f"{endpoint.name} is not there ({status}): ollama pull {endpoint.model}"
    if _better(endpoint) and not words:
        return f"nothing answers as a model at {endpoint.url} ({status}){_better(endpoint)}"
    said = f": {words}" if words else ""
    check = "the deployment's name, and AZURE_OPENAI_ENDPOINT" if endpoint.kind == "azure" else "the model's name"
    return f"{endpoint.name} is not there ({status}){said}; check {check}{_better(endpoint)}"


def _better(endpoint: Endpoint) -> str:
    """A hint where the address lacks what most servers want."""
    if endpoint.kind != "openai" or _VERSION.search(urlsplit(endpoint.url).path):
        return ""
    return f" (did you mean {endpoint.url}/v1?)"


def _nobody(endpoint: Endpoint) -> str:
    if endpoint.usual:
        return f"{endpoint.name} cannot be reached: {urlsplit(endpoint.url).hostname} does not answer from here"
    start = " (ollama serve starts it)" if endpoint.kind == "ollama" else ""
    return f"no server answers at {endpoint.url}: is it running, and is the port right?{start}"


def _asked(chain: list[BaseException]) -> bool:
    """Whether the request was sent before the time was over."""
    return not any(type(one).__name__ in ("ConnectTimeout", "PoolTimeout") for one in chain)


def _kind(error: BaseException) -> str:
    """Whether nobody was there, or nobody answered in time; empty: neither."""
    name = type(error).__name__
    if "Timeout" in name:
        return "timeout"
    return "nobody" if name in ("ConnectError", "ConnectionRefusedError", "gaierror", "ConnectionError") else ""


def _quoted(error: BaseException, endpoint: Endpoint) -> str:
    """The server's own words, short and without the key."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else body
    told = inner.get("message", inner.get("error", "")) if isinstance(inner, dict) else inner
    words = (told if isinstance(told, str) else str(getattr(error, "error", None) or error))[:_MOST_LOOKED_AT]
    if "<html" in words.lower() or "<!doctype" in words.lower():
        return ""
    return " ".join(_without_key(words, endpoint.key).split())[:_MOST_QUOTED]


def _without_key(words: str, key: str) -> str:
    """Without the key and any longer part of it, in whatever letters: servers repeat what they were given."""
    if len(key) < _TELLING:
        return words
    small = _small(key)
    parts = {small[at : at + _TELLING] for at in range(len(key) - _TELLING + 1)}
    lower, kept, at = _small(words), list[str](), 0
    while at < len(words):
        end = at
        while lower[end : end + _TELLING] in parts:
            end += 1
        if end > at:
            end += _TELLING - 1
            kept.append("(the key)")
            at = end
        else:
            kept.append(words[at])
            at += 1
    return "".join(kept)


def _small(text: str) -> str:
    """In small letters, of the same length: some capitals, such as the Turkish dotted I, are two small letters."""
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an error that is behind it, if any: clients say so themselves, or what they wrap does."""
    told = (getattr(one, "status_code", None) for one in chain_of(error))
    return next((status for status in told if isinstance(status, int) and status >= 400), None)


def chain_of(error: BaseException) -> list[BaseException]:
    """The error and what it came from."""
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found
