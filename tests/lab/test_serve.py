"""The lab's server lets in who has its token, on this machine's address, from its own page."""

import base64
import http.client
import os
import re
import socket
import subprocess
import sys
import urllib.parse
from contextlib import closing

import pytest

pytest.importorskip("marimo", reason="marimo is not installed")
pytest.importorskip("anywidget", reason="anywidget is not installed")

from hierbayes.lab.launch import ENVIRONMENT, command
from hierbayes.lab.serve import is_local


def headers(*pairs):
    return [(name.encode(), value.encode()) for name, value in pairs]


LOCAL = [
    (("host", "127.0.0.1:2718"),),
    (("host", "localhost:9999"),),
    (("host", "LOCALHOST"),),
    (("host", "[::1]:2718"),),
    (("host", "127.0.0.1:2718"), ("origin", "http://127.0.0.1:2718")),
]
FOREIGN = [
    (),
    (("host", ""),),
    (("host", "evil.example:2718"),),
    (("host", "127.0.0.1.evil.example:2718"),),
    (("host", "localhost.evil.example"),),
    (("host", "evil@127.0.0.1:2718"),),
    (("host", "127.0.0.1:2718/evil"),),
    (("host", "[::1"),),
    (("host", "127.0.0.1:2718"), ("host", "evil.example")),
    (("host", "127.0.0.1:2718"), ("origin", "http://evil.example")),
    (("host", "127.0.0.1:2718"), ("origin", "null")),
    (("host", "127.0.0.1:2718"), ("origin", "https://127.0.0.1:2718")),
    (("host", "127.0.0.1:2718"), ("origin", "http://127.0.0.1:8888")),
    (("host", "127.0.0.1:2718"), ("origin", "http://localhost:2718")),
]


@pytest.mark.parametrize("given", LOCAL)
def test_this_machine_and_its_own_page_are_local(given):
    assert is_local(headers(*given))


@pytest.mark.parametrize("given", FOREIGN)
def test_other_hosts_and_other_pages_are_not(given):
    assert not is_local(headers(*given))


@pytest.fixture(scope="module")
def server():
    """The port and the token of a real server."""
    process = subprocess.Popen(
        command(port=0, browser=False), env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\?access_token=(\S+)", line)
        assert found, line
        yield int(found[1]), found[2]
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()


def asked(port, path, **extra):
    """Status, headers and body of an answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as line:
        line.request("GET", path, headers={k.replace("_", "-"): v for k, v in extra.items()})
        answer = line.getresponse()
        return answer.status, answer.headers, answer.read()


def upgraded(port, token, **extra):
    key = base64.b64encode(b"0" * 16).decode()
    query = urllib.parse.urlencode({"session_id": "s1", "access_token": token})
    wanted = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
              "Sec-WebSocket-Key": key}  # fmt: skip
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as line:
        line.request("GET", f"/ws?{query}", headers=wanted | extra)
        return line.getresponse().status


def test_the_page_is_served_to_who_has_the_token(server):
    port, token = server
    status, sent, _ = asked(port, f"/?level=330&access_token={token}")
    assert status == 303  # to the same page without the token
    assert sent["location"].endswith("/?level=330")
    assert token not in sent["set-cookie"]
    cookie = sent["set-cookie"].split(";")[0]
    own = f"http://127.0.0.1:{port}"
    for extra in ({}, {"Origin": own}):
        status, _, body = asked(port, "/?level=330", Cookie=cookie, **extra)
        assert status == 200
        assert b"The shrinkage lab" in body


@pytest.mark.parametrize("query", ["", "?access_token=", "?access_token=wrong"])
def test_without_the_token_there_is_no_page(server, query):
    port, _ = server
    status, sent, _ = asked(port, f"/{query}")
    assert status == 303
    assert "/auth/login" in sent["location"]
    assert asked(port, f"/api/status{query}")[0] == 401


@pytest.mark.parametrize(
    "extra", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
def test_the_token_does_not_help_another_host_or_page(server, extra):
    port, token = server
    for path in (f"/?access_token={token}", f"/api/status?access_token={token}", "/auth/login"):
        status, _, body = asked(port, path, **extra)
        assert status == 403
        assert body.startswith(b"The lab answers on this machine's own address")
    assert upgraded(port, token, **extra) == 403


def test_a_websocket_needs_the_token_and_the_pages_own_origin(server):
    port, token = server
    own = {"Origin": f"http://127.0.0.1:{port}"}
    assert upgraded(port, token, **own) == 101
    assert upgraded(port, token, Origin=f"http://127.0.0.1:{port + 1}") == 403


def test_a_port_that_is_taken_is_one_sentence():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = subprocess.run(command(port=port, browser=False), env=os.environ | ENVIRONMENT,
                               capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert found.returncode == 1
    assert found.stderr == f"The lab can't listen on port {port}: Address already in use.\n"


def test_the_token_is_new_each_time_and_on_no_command_line():
    assert not any("token" in word for word in command(port=1, browser=True))
    assert sys.executable in command()
