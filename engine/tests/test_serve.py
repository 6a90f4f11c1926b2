"""The resident engine through real pipes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import pytest

from quant_engine import __version__, protocol
from quant_engine.errors import QuantError
from quant_engine.rpc import MAX_MESSAGE_BYTES, ChannelError, Server, Token, read_message
from small_workspace import environment


def frame(message: Any) -> bytes:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


class Client:
    """A process that serves, and the caller's side of its channel."""

    def __init__(self, command: list[str]) -> None:
        # A file: nobody reads while the process runs, and a full pipe would stop it.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
        )
        assert self.process.stdin and self.process.stdout
        self.stdin: IO[bytes] = self.process.stdin
        self.stdout: IO[bytes] = self.process.stdout
        self._id = 0

    def send(self, message: Any) -> None:
        self.stdin.write(frame(message))
        self.stdin.flush()

    def post(self, method: str, params: Any = None) -> int:
        self._id += 1
        self.send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params or {}})
        return self._id

    def receive(self) -> Any:
        body = read_message(self.stdout)  # type: ignore[arg-type]
        assert body is not None, self.said()
        return json.loads(body)

    def ask(self, method: str, params: Any = None) -> Any:
        number = self.post(method, params)
        answer = self.receive()
        assert answer["id"] == number and answer["jsonrpc"] == "2.0"
        return answer

    def said(self) -> str:
        """What the process wrote to stderr so far."""
        self._stderr.seek(0)
        return self._stderr.read().decode()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.stdin, self.stdout, self._stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client([sys.executable, "-X", "importtime", "-m", "quant_engine", "serve"])
    yield client
    client.close()


HELLO = {"protocol": protocol.PROTOCOL_VERSION, "client": "test"}


def test_hello_answers_without_torch_and_shutdown_ends(client: Client) -> None:
    hello = protocol.Hello.model_validate(client.ask("hello", HELLO)["result"])
    assert (hello.protocol, hello.engine, hello.pid) == (protocol.PROTOCOL_VERSION, __version__, client.process.pid)
    assert client.ask("shutdown")["result"] is None
    assert client.process.wait(timeout=60) == 0
    imported = {line.rpartition("|")[2].strip() for line in client.said().splitlines()}
    assert "quant_engine.serve" in imported and not imported & {"torch", "transformers"}


def test_another_protocol_is_refused_with_both_versions(client: Client) -> None:
    error = client.ask("hello", {"protocol": 99, "client": "test", "new field": 1})["error"]
    assert error["data"]["code"] == "protocol-mismatch" and error["data"]["advice"]
    assert error["message"] == f"the caller speaks protocol 99, this engine {protocol.PROTOCOL_VERSION}"


def test_devices_and_unload_follow_the_protocol(client: Client) -> None:
    devices = protocol.Devices.model_validate(client.ask("devices")["result"])
    assert devices.devices[0].id == "cpu" and devices.devices[0].total_bytes > 0 and devices.process_bytes > 0
    protocol.Unloaded.model_validate(client.ask("unload")["result"])


def test_inspect_gives_the_modules(client: Client, llama_folder: Path) -> None:
    found = protocol.Checkpoint.model_validate(client.ask("inspect", {"checkpoint": str(llama_folder)})["result"])
    assert (found.architecture, found.supported, found.blocks, found.quantization) == ("LlamaForCausalLM", True, 2, None)
    modules = {module.name: module for module in found.modules}
    q = modules["model.layers.1.self_attn.q_proj"]
    assert (q.kind, q.block, q.shape, q.dtype, q.parameters, q.quantizable) == ("q_proj", 1, [64, 64], "bfloat16", 4096, True)
    assert modules["model.layers.0.input_layernorm"].block == 0 and modules["model.norm"].block is None
    assert not modules["model.embed_tokens"].quantizable


def test_check_and_doctor_follow_the_protocol(client: Client, tmp_path: Path) -> None:
    recipe = tmp_path / "r.quant.yaml"
    answer = client.ask("check", {"recipe": str(recipe), "text": "modle: x\n"})
    codes = [one.code for one in protocol.CheckReport.model_validate(answer["result"]).diagnostics]
    assert sorted(codes) == ["missing-key"] * 3 + ["unknown-key"]
    protocol.DoctorReport.model_validate(client.ask("doctor")["result"])


@pytest.mark.parametrize(
    ("method", "params", "code", "words"),
    [
        ("nothing", {}, -32601, 'unknown method "nothing"'),
        ("inspect", {}, -32602, "checkpoint: Field required"),
        ("inspect", {"checkpoint": 5}, -32602, "checkpoint"),
        ("devices", {"x": 1}, -32602, "x"),
        ("hello", {"client": "test"}, -32602, "protocol"),
        ("inspect", {"checkpoint": "/does/not/exist"}, -32000, "the folder does not exist"),
    ],
)
def test_a_refused_request_says_why_and_the_next_one_works(
    client: Client, method: str, params: Any, code: int, words: str
) -> None:
    error = client.ask(method, params)["error"]
    assert error["code"] == code and words in error["message"]
    if code == -32000:
        assert error["data"] == {"code": "model-missing", "advice": "Give the folder that holds config.json."}
    assert "result" in client.ask("hello", HELLO)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "hello"}', -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "hello"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600),
    ],
)
def test_a_malformed_message_is_answered_and_the_channel_lives(client: Client, body: bytes, code: int) -> None:
    client.send(body)
    assert client.receive()["error"]["code"] == code
    assert "result" in client.ask("hello", HELLO)


def test_notifications_and_answers_get_no_answer(client: Client) -> None:
    client.send({"jsonrpc": "2.0", "method": "no such notification"})
    client.send({"jsonrpc": "2.0", "id": 77, "result": 1})
    client.send({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 55}})
    assert "result" in client.ask("hello", HELLO)


def test_a_message_above_the_limit_ends_the_engine_before_it_is_read(client: Client) -> None:
    client.stdin.write(b"Content-Length: %d\r\n\r\n" % (MAX_MESSAGE_BYTES + 1))
    client.stdin.flush()
    assert "above the limit" in client.receive()["error"]["message"]
    assert client.process.wait(timeout=60) == 1


def test_it_leaves_when_the_input_ends(client: Client) -> None:
    assert "result" in client.ask("hello", HELLO)
    client.stdin.close()
    assert client.process.wait(timeout=60) == 0


SERVER = """
import ctypes, os, subprocess, sys, time
from quant_engine.stdio import claim
source, sink = claim()
from quant_engine.rpc import Server

def noise(params, token):
    print("a print")
    ctypes.CDLL(None).puts(b"a C library's puts")
    ctypes.CDLL(None).fflush(None)
    os.write(1, b"a write to descriptor 1\\n")
    subprocess.run([sys.executable, "-c", "import sys; print('a child', len(sys.stdin.read()))"])
    return "quiet"

def wait(params, token):
    while True:
        token.stop_if_cancelled()
        time.sleep(0.01)

def broken(params, token):
    raise RuntimeError("surprise")

server = Server(source, sink, {"noise": noise, "wait": wait, "broken": broken})
server.run()
"""


@pytest.fixture
def custom() -> Iterator[Client]:
    client = Client([sys.executable, "-c", SERVER])
    yield client
    client.close()


def test_prints_from_python_c_and_children_do_not_disturb_the_channel(custom: Client) -> None:
    assert custom.ask("noise")["result"] == "quiet"
    assert custom.ask("noise")["result"] == "quiet"
    custom.stdin.close()
    assert custom.process.wait(timeout=60) == 0
    said = custom.said()
    for words in ("a print", "a C library's puts", "a write to descriptor 1", "a child"):
        assert said.count(words) == 2


def test_a_running_and_a_waiting_request_can_be_cancelled(custom: Client) -> None:
    running, waiting, last = custom.post("wait"), custom.post("wait"), custom.post("noise")
    for number in (waiting, running):
        custom.send({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": number}})
    answers = [custom.receive() for _ in range(3)]
    assert [answer["id"] for answer in answers] == [running, waiting, last]
    assert [answer.get("error", {}).get("code") for answer in answers] == [-32800, -32800, None]


def test_a_defect_in_a_method_is_an_error_answer(custom: Client) -> None:
    error = custom.ask("broken")["error"]
    assert (error["code"], error["message"]) == (-32603, "RuntimeError: surprise")
    assert custom.ask("noise")["result"] == "quiet"


def test_it_leaves_when_its_parent_is_killed(tmp_path: Path) -> None:
    """The pipe stays open in this process, so only the parent's disappearance tells."""
    read, write = os.pipe()
    program = textwrap.dedent("""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-m", "quant_engine", "serve"], stdin=int(sys.argv[1]))
        print(child.pid, flush=True)
        child.wait()
    """)
    command = [sys.executable, "-c", program, str(read)]
    parent = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, pass_fds=[read])
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.write(write, frame({"jsonrpc": "2.0", "id": 1, "method": "hello", "params": HELLO}))
    answer = read_message(parent.stdout)  # type: ignore[arg-type]
    assert answer is not None and json.loads(answer)["result"]["pid"] == pid
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    # The engine held the last write end of this pipe: reading to its end waits exactly until it is gone.
    assert parent.stdout.read() == b""
    os.close(read)
    os.close(write)


def test_idle_time_unloads_once_until_the_next_request() -> None:
    read, write = os.pipe()
    calls: list[str] = []

    def on_idle() -> None:
        calls.append("idle")
        os.write(write, frame({"jsonrpc": "2.0", "id": 1, "method": "note" if len(calls) < 3 else "stop"}))

    def note(params: Any, token: Token) -> None:
        calls.append("request")

    with os.fdopen(read, "rb", buffering=0) as source:
        server = Server(source, BytesIO(), {"note": note, "stop": lambda params, token: server.stop()})
        server.run(on_idle, 0.01)
        os.close(write)
    assert calls == ["idle", "request", "idle"]


def test_errors_of_the_engine_keep_code_and_advice() -> None:
    def fail(params: Any, token: Token) -> None:
        raise QuantError("no", code="some-code", advice="Do this.")

    sink = BytesIO()
    Server(BytesIO(frame({"jsonrpc": "2.0", "id": "x", "method": "fail"})), sink, {"fail": fail}).run()
    answer = json.loads(read_message(BytesIO(sink.getvalue())) or b"")
    assert answer["id"] == "x" and answer["error"]["data"] == {"code": "some-code", "advice": "Do this."}


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Length: -5\r\n\r\n",
        b"Content-Length: 1e3\r\n\r\n",
        b"Content-Length: 99999999999999999999999999\r\n\r\n",
        b"Nothing: 5\r\n\r\n",
        b"x" * 10_000,
        b"Content-Length: 10\r\n\r\nshort",
        b"Content-Le",
    ],
)
def test_a_broken_frame_is_an_error_of_the_channel(data: bytes) -> None:
    with pytest.raises(ChannelError):
        read_message(BytesIO(data))


def test_a_frame_may_have_more_headers_in_any_case() -> None:
    data = b"content-type: x\r\nCONTENT-LENGTH: 2\r\n\r\n{}rest"
    assert read_message(BytesIO(data)) == b"{}"
    assert read_message(BytesIO(b"")) is None
