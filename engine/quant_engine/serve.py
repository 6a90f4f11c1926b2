"""`quant-engine serve`: the resident engine. Answers `hello` without torch; imports it when something needs it."""

from __future__ import annotations

import gc
import logging
import os
import platform
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from quant_engine import __version__, protocol
from quant_engine.errors import QuantError
from quant_engine.rpc import INVALID_PARAMS, RpcError, Server, Token
from quant_engine.stdio import claim

M = TypeVar("M", bound=pydantic.BaseModel)
_PARENT_CHECK_SECONDS = 1.0
_LAST_WORDS_SECONDS = 1.0


class _NoParams(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class _CheckParams(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    recipe: str
    text: str | None = None


def _parse(model: type[M], params: Any) -> M:
    try:
        return model.model_validate({} if params is None else params)
    except pydantic.ValidationError as error:
        details = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'params'}: {detail['msg']}" for detail in error.errors()
        )
        raise RpcError(INVALID_PARAMS, details) from None


class Engine:
    """The methods. Each takes parsed params and returns a model of `protocol`."""

    def __init__(self) -> None:
        self.stop = lambda: None

    def hello(self, params: Any, token: Token) -> Any:
        # Read leniently: a caller of another version must learn the versions, not that its params are malformed.
        asked = params.get("protocol") if isinstance(params, dict) else None
        if isinstance(asked, int) and asked != protocol.PROTOCOL_VERSION:
            message = f"the caller speaks protocol {asked}, this engine {protocol.PROTOCOL_VERSION}"
            raise QuantError(
                message, code="protocol-mismatch", advice="Install the engine that belongs to this extension."
            )
        _parse(protocol.HelloParams, params)
        return protocol.Hello(
            protocol=protocol.PROTOCOL_VERSION,
            engine=__version__,
            python=platform.python_version(),
            executable=sys.executable,
            pid=os.getpid(),
            host=socket.gethostname(),
        )

    def devices(self, params: Any, token: Token) -> Any:
        _parse(_NoParams, params)
        from quant_engine.devices import list_devices

        devices = list_devices()
        return protocol.Devices(torch=sys.modules["torch"].__version__, devices=devices, process_bytes=resident_bytes())

    def inspect(self, params: Any, token: Token) -> Any:
        from quant_engine.inspection import inspect

        return inspect(Path(_parse(protocol.InspectParams, params).checkpoint))

    def check(self, params: Any, token: Token) -> Any:
        from quant_engine.check import check

        asked = _parse(_CheckParams, params)
        return protocol.CheckReport(diagnostics=check(Path(asked.recipe), asked.text).diagnostics)

    def doctor(self, params: Any, token: Token) -> Any:
        from dataclasses import asdict

        from quant_engine.doctor import examine

        _parse(_NoParams, params)
        return protocol.DoctorReport.model_validate({"checks": [asdict(check) for check in examine()]})

    def unload(self, params: Any, token: Token) -> Any:
        _parse(_NoParams, params)
        before = resident_bytes()
        release_memory()
        return protocol.Unloaded(freed_bytes=max(0, before - resident_bytes()))

    def shutdown(self, params: Any, token: Token) -> Any:
        _parse(_NoParams, params)
        self.stop()


def resident_bytes() -> int:
    import psutil

    return psutil.Process().memory_info().rss


def release_memory() -> None:
    """Give back what nothing refers to any more: Python's garbage and the GPU allocator's cache."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def serve(idle_minutes: float) -> int:
    """Serve until `shutdown`, the end of the input or the end of the parent. 1 when the channel broke."""
    source, sink = claim()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    engine = Engine()
    names = ("hello", "devices", "inspect", "check", "doctor", "unload", "shutdown")
    handlers = {name: _as_json(getattr(engine, name)) for name in names}
    server = Server(source, sink, handlers)
    engine.stop = server.stop
    server.on_input_end = _leave_soon
    threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()
    server.run(release_memory, idle_minutes * 60 or None)
    return 1 if server.failure else 0


def _as_json(method: Any) -> Any:
    def call(params: Any, token: Token) -> Any:
        answer = method(params, token)
        return answer.model_dump(mode="json") if isinstance(answer, pydantic.BaseModel) else answer

    return call


def _leave_soon() -> None:
    """Whoever asked is gone: a request still being worked on gets a moment, then the process ends whatever it does."""
    timer = threading.Timer(_LAST_WORDS_SECONDS, lambda: os._exit(0))
    timer.daemon = True
    timer.start()


def _watch_parent(parent: int) -> None:
    """A killed parent may leave the pipe open in another child; then only its disappearance tells."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(0)
