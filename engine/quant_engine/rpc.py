"""JSON-RPC 2.0 with Content-Length framing, the server's side (docs/decisions/0006-own-rpc-framing.md).

A reader thread takes messages off the channel, so that a cancellation is heard while a request is being worked on; requests are
answered one after the other in the calling thread.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from quant_engine.errors import Cancelled, QuantError

log = logging.getLogger(__name__)
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_HEADER_BYTES = 4096
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
REQUEST_CANCELLED = -32800
ENGINE_ERROR = -32000
"""A QuantError; its stable code and its advice are in the error's data."""

Handler = Callable[[Any, "Token"], Any]


class RpcError(Exception):
    """An error answer. data: JSON or None."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class ChannelError(Exception):
    """What arrived cannot be told apart into messages any more: the channel is of no further use."""


class Token:
    """Whether the caller has cancelled a request; long handlers ask."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def stop_if_cancelled(self) -> None:
        if self.cancelled:
            raise Cancelled


@dataclass
class _Request:
    id: Any
    """None: a notification."""
    method: str
    params: Any
    token: Token


def read_message(source: BinaryIO, limit: int = MAX_MESSAGE_BYTES) -> bytes | None:
    """The next message's body; None at the end of the input. Raises ChannelError."""
    header = b""
    while not header.endswith(b"\r\n\r\n"):
        byte = source.read(1)
        if not byte:
            if header:
                raise ChannelError("the input ended inside a header")
            return None
        header += byte
        if len(header) > MAX_HEADER_BYTES:
            raise ChannelError("a header is too long")
    length = _content_length(header)
    if length > limit:
        raise ChannelError(f"a message of {length} bytes is above the limit of {limit}")
    body = b""
    while len(body) < length:
        part = source.read(length - len(body))
        if not part:
            raise ChannelError("the input ended inside a message")
        body += part
    return body


def _content_length(header: bytes) -> int:
    for line in header.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit() and len(value.strip()) < 20:
            return int(value)
    raise ChannelError("a header has no usable Content-Length")


class Server:
    """Answers requests with `handlers` until the input ends, `stop` is called or the channel breaks."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, handlers: dict[str, Handler]) -> None:
        self._source = source
        self._sink = sink
        self._handlers = handlers
        self._write_lock = threading.Lock()
        self._requests: queue.Queue[_Request | None] = queue.Queue()
        self._tokens: dict[Any, Token] = {}
        self._stopped = False
        self.failure: str | None = None
        self.on_input_end: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """Leave after the current request is answered."""
        self._stopped = True

    def run(self, on_idle: Callable[[], None] | None = None, idle_seconds: float | None = None) -> None:
        """Serve. `on_idle` is called each time when nothing was asked for `idle_seconds`."""
        threading.Thread(target=self._read, daemon=True).start()
        was_idle = False
        while not self._stopped:
            try:
                request = self._requests.get(timeout=None if was_idle else idle_seconds)
            except queue.Empty:
                was_idle = True
                if on_idle:
                    on_idle()
                continue
            was_idle = False
            if request is None:
                return
            self._answer(request)

    def _read(self) -> None:
        try:
            while (body := read_message(self._source)) is not None:
                self._receive(body)
        except (ChannelError, OSError) as error:
            self.failure = str(error)
            self._send({"id": None, "error": {"code": INVALID_REQUEST, "message": self.failure}})
        finally:
            self._requests.put(None)
            self.on_input_end()

    def _receive(self, body: bytes) -> None:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            self._send({"id": None, "error": {"code": PARSE_ERROR, "message": f"not JSON: {error}"}})
            return
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0" or not _is_id(message.get("id")):
            self._send({"id": None, "error": {"code": INVALID_REQUEST, "message": "not a JSON-RPC 2.0 request"}})
            return
        method = message.get("method")
        if not isinstance(method, str):
            # Answers to requests that nobody made are ignored; the server asks nothing.
            if "result" not in message and "error" not in message:
                self._send(
                    {"id": message.get("id"), "error": {"code": INVALID_REQUEST, "message": "a request needs a method"}}
                )
            return
        if method == "$/cancelRequest":
            params = message.get("params")
            token = (
                self._tokens.get(params.get("id")) if isinstance(params, dict) and _is_id(params.get("id")) else None
            )
            if token:
                token.cancel()
            return
        request = _Request(message.get("id"), method, message.get("params"), Token())
        if request.id is not None:
            self._tokens[request.id] = request.token
        self._requests.put(request)

    def _answer(self, request: _Request) -> None:
        try:
            result = self._call(request)
            answer: dict[str, Any] = {"id": request.id, "result": result}
        except RpcError as error:
            answer = {"id": request.id, "error": {"code": error.code, "message": error.message, "data": error.data}}
        finally:
            self._tokens.pop(request.id, None)
        if request.id is not None:
            self._send(answer)

    def _call(self, request: _Request) -> Any:
        handler = self._handlers.get(request.method)
        if handler is None:
            raise RpcError(METHOD_NOT_FOUND, f'unknown method "{request.method}"')
        try:
            request.token.stop_if_cancelled()
            return handler(request.params, request.token)
        except RpcError:
            raise
        except Cancelled:
            raise RpcError(REQUEST_CANCELLED, "the request was cancelled") from None
        except QuantError as error:
            raise RpcError(ENGINE_ERROR, error.message, {"code": error.code, "advice": error.advice}) from None
        except Exception as error:
            log.exception("%s failed", request.method)
            raise RpcError(INTERNAL_ERROR, f"{type(error).__name__}: {error}") from error

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False).encode()
        data = memoryview(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        try:
            with self._write_lock:
                while data:
                    data = data[self._sink.write(data) or 0 :]
        except OSError as error:
            # Nobody listens any more; the end of the input follows.
            log.warning("an answer could not be sent: %s", error)
            self.stop()


def _is_id(value: Any) -> bool:
    return value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool))
