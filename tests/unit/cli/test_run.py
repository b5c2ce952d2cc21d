"""`onceproxy run`, as a person runs it: processes, signals, a terminal, and requests that arrive once."""

from __future__ import annotations

import http.server
import os
import pty
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from processes import forget_who_ignored_signals

Run = Callable[..., subprocess.Popen[str]]
PYTHON = (sys.executable, "-c")
TIMEOUT = 60

POST_TWICE = """
import os, sys, urllib.request
for _ in range(2):
    request = urllib.request.Request(
        sys.argv[1], data=b"amount=1", headers={"Idempotency-Key": sys.argv[2]}
    )
    with urllib.request.urlopen(request) as response:
        print(response.read().decode(), response.headers["Idempotency-Replayed"])
"""
WAIT_FOR_SIGNAL = """
import signal, sys, time
def stop(number, frame):
    print("got", number, flush=True)
    sys.exit(7)
for number in (1, 2, 3, 15):
    signal.signal(number, stop)
print("ready", flush=True)
while True:
    time.sleep(0.1)  # not pause(): a signal just before it would be lost
"""
COUNT_SIGNALS = """
import signal, socket, time
near, far = socket.socketpair()
far.setblocking(False)
signal.set_wakeup_fd(far.fileno())  # a byte each, also where a handler runs once for two
signal.signal(signal.SIGINT, lambda *_: None)
print("ready", flush=True)
while True:
    near.setblocking(True)
    seen = near.recv(1)
    time.sleep(0.1)
    near.setblocking(False)
    try:
        seen += near.recv(10)
    except BlockingIOError:
        pass
    print("seen", len(seen), flush=True)
"""


@pytest.fixture
def run(tmp_path: Path, database_url: str) -> Iterator[Run]:
    """Starts `onceproxy run` with more arguments; those that still run at the end are killed."""
    started = []

    def start(*arguments: str, **options: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(  # type: ignore[call-overload]
            [
                *(sys.executable, "-m", "onceproxy", "run"),
                *("--data-dir", str(tmp_path / "data"), "--database", database_url),
                *arguments,
            ],
            **{
                "stdin": subprocess.PIPE,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                "start_new_session": True,  # so that what it starts can be ended with it
                "preexec_fn": forget_who_ignored_signals,
                **options,
            },
        )
        started.append(process)
        assert isinstance(process, subprocess.Popen)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


class Counting(http.server.BaseHTTPRequestHandler):
    """Answers each POST with its number."""

    posts = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        Counting.posts += 1
        body = f"post {Counting.posts}".encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[http.server.ThreadingHTTPServer]:
    """An upstream on 127.0.0.1 that counts."""
    Counting.posts = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def outcome(process: subprocess.Popen[str], stdin: str | None = None) -> tuple[int, str, str]:
    out, err = process.communicate(stdin, timeout=TIMEOUT)
    return process.returncode, out, err


def test_a_retry_of_the_program_is_executed_once(run: Run, upstream: http.server.ThreadingHTTPServer) -> None:
    url = f"http://127.0.0.1:{upstream.server_port}/charges"
    assert outcome(run("--", *PYTHON, POST_TWICE, url, "k1")) == (0, "post 1 None\npost 1 true\n", "")
    # A second run, with a proxy of its own, finds the receipt.
    assert outcome(run("--", *PYTHON, POST_TWICE, url, "k1")) == (0, "post 1 true\npost 1 true\n", "")


def test_the_program_trusts_the_intercepting_proxy(
    run: Run, upstream: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    corporate = trustme.CA()
    corporate.cert_pem.write_to_path(str(tmp_path / "corp.pem"))
    (tmp_path / "onceproxy.yaml").write_text(f"version: 1\ntls: {{upstream_ca: {tmp_path / 'corp.pem'}}}\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    corporate.issue_cert("localhost").configure_cert(context)
    upstream.socket = context.wrap_socket(upstream.socket, server_side=True)
    url = f"https://localhost:{upstream.server_port}/charges"
    assert outcome(run("--", *PYTHON, POST_TWICE, url, "k1")) == (0, "post 1 None\npost 1 true\n", "")


def test_a_corporate_ca_of_the_user_stays_trusted(run: Run, tmp_path: Path) -> None:
    trustme.CA(organization_name="Corp of onceproxy's tests").cert_pem.write_to_path(
        str(tmp_path / "corp.pem")
    )
    script = (
        "import os, ssl\n"
        "context = ssl.create_default_context(cafile=os.environ['SSL_CERT_FILE'])\n"
        'print(sum("Corp of onceproxy\'s tests" in str(root) for root in context.get_ca_certs()))'
    )
    environ = {**os.environ, "SSL_CERT_FILE": str(tmp_path / "corp.pem")}
    assert outcome(run("--", *PYTHON, script, env=environ)) == (0, "1\n", "")


def test_the_program_is_a_user_of_its_own_where_there_are_users(
    run: Run, upstream: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    (tmp_path / "onceproxy.yaml").write_text(
        "version: 1\nusers: [{name: ann, password_env: PW_OF_ANN}]\nadmin: {token_env: TOKEN}\n"
    )
    environ = {**os.environ, "PW_OF_ANN": "secret", "TOKEN": "a-token-of-some-length"}
    url = f"http://127.0.0.1:{upstream.server_port}/charges"
    show = "import os; print(os.environ['HTTP_PROXY'], 'PW_OF_ANN' in os.environ, 'TOKEN' in os.environ);"

    code, out, _ = outcome(run("--run-id", "r7", "--", *PYTHON, show + POST_TWICE, url, "k1", env=environ))

    assert code == 0
    assert out.startswith("http://r7:")
    assert out.splitlines()[0].endswith(" False False")
    assert out.splitlines()[1:] == ["post 1 None", "post 1 true"]


def test_what_the_program_gets(run: Run) -> None:
    script = "import os, sys; print(os.environ['HTTP_PROXY'], sys.argv[1:], sys.stdin.read())"
    code, out, err = outcome(run("--run-id", "run/42", "--", *PYTHON, script, "--help", "--", "x"), "in")
    assert out.startswith("http://run%2F42:run@127.0.0.1:")
    assert out.endswith(" ['--help', '--', 'x'] in\n")
    assert (code, err) == (0, "")


def test_what_follows_the_program_is_its_own(run: Run) -> None:
    code, out, err = outcome(run("echo", "--run-id", "x", "--", "--help"))
    assert (code, out, err) == (0, "--run-id x -- --help\n", "")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("import sys; sys.exit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", 128 + 9),
        ("import os; os.kill(os.getpid(), 35)", 128 + 35),  # real-time signals have no name
    ],
)
def test_the_exit_code_is_the_programs(run: Run, script: str, code: int) -> None:
    assert outcome(run("--", *PYTHON, script)) == (code, "", "")


def test_a_program_that_is_not_there(run: Run) -> None:
    code, out, err = outcome(run("--", "no-such-program"))
    assert (code, out, err) == (127, "", "onceproxy: no-such-program: not found\n")


def test_a_program_that_cannot_be_executed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "script").write_text("echo hi")
    code, out, err = outcome(run("--", str(tmp_path / "script")))
    assert (code, out) == (126, "")
    assert err == f"onceproxy: {tmp_path / 'script'}: Permission denied\n"


def test_wrong_usage_starts_nothing(run: Run, tmp_path: Path) -> None:
    for arguments in ((), ("--typo", "--", "echo"), ("--run-id", "a:b", "echo"), ("--listen", "x", "echo")):
        code, out, err = outcome(run(*arguments))
        assert (code, out) == (2, "")
        assert err
    assert not (tmp_path / "data").exists()


def test_descriptors_are_passed_on(run: Run) -> None:
    """As bash's <(…) needs it."""
    read, write = os.pipe()
    os.write(write, b"through a descriptor")
    os.close(write)
    process = run("--", "cat", f"/dev/fd/{read}", pass_fds=(read,))
    os.close(read)
    assert outcome(process) == (0, "through a descriptor", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_signals_are_passed_on(run: Run, number: signal.Signals) -> None:
    process = run("--", *PYTHON, WAIT_FOR_SIGNAL)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert outcome(process) == (7, f"got {int(number)}\n", "")


def test_a_hangup_that_is_ignored_stays_so(run: Run) -> None:
    """As under nohup."""
    script = "import signal; print(signal.getsignal(signal.SIGHUP).name, signal.getsignal(signal.SIGINT))"

    def ignore_hangups() -> None:
        forget_who_ignored_signals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = run(*("--", *PYTHON, script), preexec_fn=ignore_hangups)
    code, out, _ = outcome(process)
    assert code == 0
    assert out.startswith("SIG_IGN <built-in function default_int_handler>")


def test_a_key_of_the_terminal_is_one_signal(run: Run) -> None:
    """The terminal sends Ctrl-C to the program itself; one that we add would be a second."""
    controller, terminal = pty.openpty()

    def take_terminal() -> None:
        forget_who_ignored_signals()
        os.close(os.open(os.ttyname(terminal), os.O_RDWR))  # becomes the session's terminal

    process = run("--", *PYTHON, COUNT_SIGNALS, stdin=terminal, preexec_fn=take_terminal)
    os.close(terminal)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for _ in range(5):  # on a busy machine two may become one in the kernel, but hardly each time
        os.write(controller, b"\x03")
        assert process.stdout.readline() == "seen 1\n"
    process.terminate()
    assert process.wait(TIMEOUT) == 128 + signal.SIGTERM
    os.close(controller)


def test_a_start_that_hangs_can_be_interrupted(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a database that never answers
        url = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/d"
        process = run("--database", url, "--", "echo", "started")
        accepted, _ = silent.accept()
        with accepted:
            for _ in range(2):
                process.send_signal(signal.SIGTERM)
                while pending(process):  # two that come as one count as one
                    time.sleep(0.01)
            assert outcome(process) == (128 + signal.SIGTERM, "", "")


def pending(process: subprocess.Popen[str]) -> int:
    """The signals that were sent to a process and that it has not yet taken, as bits."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("ShdPnd:")[2].split()[0], 16)
