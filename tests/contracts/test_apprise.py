"""The alert channel over real sockets: an HTTP receiver and an SMTP server, down at first, then up."""

import base64
import email
import email.policy
import json
import logging
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from wafergate.adapters.apprise import TIMEOUT_S, AppriseChannel
from wafergate.errors import AlertError, ConfigError
from wafergate.ports import AlertChannel, Attachment

SECRET = "hush-8f3a"
TITLE = "line-a: model m-1 is undecided at the gate: recall of spur"
PICTURE = Attachment("alert-1.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
BODY = "spur: 18 of 20 found <b>&</b>, limit 0.90\n\nNext step: 41 more, all found, would prove it"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def http_receiver(port: int, status: int = 200) -> Iterator[list[dict[str, Any]]]:
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            logging.getLogger("apprise").warning("a line of the receiver's own thread")
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with running(HTTPServer(("127.0.0.1", port), Receiver)):
        yield received


@contextmanager
def smtp_server(port: int, dead: bytes = b"") -> Iterator[list[EmailMessage]]:
    """Take mail for everybody but one dead recipient."""
    received: list[EmailMessage] = []

    class Session(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 test")
            for raw in self.rfile:
                verb = raw.split()[0].upper() if raw.split() else b""
                if verb == b"QUIT":
                    return self.say("221 bye")
                if verb == b"RCPT" and dead and dead in raw:
                    self.say("550 no such user")
                    continue
                if verb == b"DATA":
                    self.say("354 go on")
                    received.append(self.read_message())
                self.say("250 ok")
            return None

        def read_message(self) -> EmailMessage:
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            return message

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True

    with running(Server(("127.0.0.1", port), Session)):
        yield received


def test_an_http_channel_is_down_and_then_takes_title_and_body_as_they_are(port: int) -> None:
    channel: AlertChannel = AppriseChannel([f"json://127.0.0.1:{port}/"])
    with pytest.raises(AlertError, match=r"channel 1 \(json\)"):
        channel(TITLE, BODY)
    with http_receiver(port) as received:
        channel(TITLE, BODY)
    assert [(message["title"], message["message"]) for message in received] == [(TITLE, BODY)]


def test_a_mail_channel_is_down_and_then_takes_title_and_body_as_they_are(port: int) -> None:
    address = f"mailto://127.0.0.1:{port}?from=line@fab.example&to=quality@fab.example&mode=insecure&format=text"
    channel = AppriseChannel(["env:ALERT_MAIL"], {"ALERT_MAIL": address})
    with pytest.raises(AlertError, match=r"channel 1 \(mailto\)"):
        channel(TITLE, BODY)
    with smtp_server(port) as received:
        channel(TITLE, BODY)
    assert len(received) == 1
    assert received[0]["Subject"] == TITLE
    assert received[0]["To"] == "quality@fab.example"
    assert received[0].get_content().replace("\r\n", "\n").rstrip("\n") == BODY


def test_a_channel_that_took_the_message_is_not_sent_it_again_while_another_is_down(port: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        second: int = probe.getsockname()[1]
    channel = AppriseChannel([f"json://127.0.0.1:{port}/a", f"json://127.0.0.1:{second}/b"])
    taken: tuple[str, ...] = ()
    with http_receiver(port) as first_received:
        for _ in range(2):
            with pytest.raises(AlertError, match=r"channel 2 \(json\)") as caught:
                channel(TITLE, BODY, taken=taken)
            taken = caught.value.taken
            assert taken == ("1 json",)
        with http_receiver(second) as second_received:
            channel(TITLE, BODY, taken=taken)
    assert (len(first_received), len(second_received)) == (1, 1)


def test_of_several_recipients_of_one_address_only_the_dead_one_is_tried_again(port: int) -> None:
    to = "lee@fab.example,gone@fab.example,kim@fab.example"
    channel = AppriseChannel([f"mailto://127.0.0.1:{port}?from=line@fab.example&to={to}&mode=insecure&format=text"])
    with smtp_server(port, dead=b"gone@") as received:
        with pytest.raises(AlertError, match=r"channel 1\.\d \(mailto\)") as caught:
            channel(TITLE, BODY)
        assert sorted(mail["To"] for mail in received) == ["kim@fab.example", "lee@fab.example"]
        with pytest.raises(AlertError):
            channel(TITLE, BODY, taken=caught.value.taken)
        assert len(received) == 2
    with smtp_server(port) as received:
        channel(TITLE, BODY, taken=caught.value.taken)
    assert [mail["To"] for mail in received] == ["gone@fab.example"]


def test_an_address_that_cannot_be_taken_apart_into_its_targets_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"address 1 \(slack\) names 2 targets: write an address of its own"
    ) as raised:
        AppriseChannel([f"slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#{SECRET}/#quality"])
    assert SECRET not in str(raised.value)


def test_a_text_too_long_for_the_service_goes_in_parts_unless_the_address_says_otherwise(port: int) -> None:
    said = "\n".join(f"spur {place:05}" for place in range(4000))
    with http_receiver(port) as received:
        AppriseChannel([f"json://127.0.0.1:{port}/"])(TITLE, said)
    assert len(received) > 1
    assert max(len(message["message"]) for message in received) <= 32768
    assert "".join("".join(message["message"].split()) for message in received) == "".join(said.split())
    with http_receiver(port) as received:
        AppriseChannel([f"json://127.0.0.1:{port}/?overflow=upstream"])(TITLE, said)
    assert len(received) == 1


def test_a_picture_arrives_in_the_mail_and_at_a_receiver_byte_for_byte(port: int) -> None:
    address = f"mailto://127.0.0.1:{port}?from=line@fab.example&to=quality@fab.example&mode=insecure&format=text"
    with smtp_server(port) as mails:
        AppriseChannel([address])(TITLE, BODY, [PICTURE])
    (picture,) = mails[0].iter_attachments()
    assert (picture.get_content_type(), picture.get_filename()) == ("image/png", PICTURE.name)
    assert picture.get_content() == PICTURE.data
    (words,) = (part for part in mails[0].walk() if part.get_content_type() == "text/plain")
    assert words.get_content().replace("\r\n", "\n").rstrip("\n") == BODY
    with http_receiver(port) as received:
        AppriseChannel([f"json://127.0.0.1:{port}/"])(TITLE, BODY, [PICTURE])
    (sent,) = received[0]["attachments"]
    assert (sent["filename"], base64.b64decode(sent["base64"])) == (PICTURE.name, PICTURE.data)


def test_a_refusal_names_its_http_status(port: int) -> None:
    with http_receiver(port, status=403), pytest.raises(AlertError, match=r"channel 1 \(json\) answered HTTP 403"):
        AppriseChannel([f"json://127.0.0.1:{port}/"])(TITLE, BODY)


def test_an_address_cannot_declare_its_own_failure_a_success(port: int) -> None:
    with pytest.raises(AlertError):
        AppriseChannel([f"json://127.0.0.1:{port}/?optional=yes"])(TITLE, BODY)


def test_a_title_over_several_lines_becomes_one(port: int) -> None:
    with http_receiver(port) as received:
        AppriseChannel([f"json://127.0.0.1:{port}/"])("first\r\nBcc: other@fab.example", "body")
    assert received[0]["title"] == "first Bcc: other@fab.example"


@pytest.mark.parametrize(
    "address",
    [f"json://user:{SECRET}@127.0.0.1:{{}}/{SECRET}", f"mailto://me:{SECRET}@127.0.0.1:{{}}?from=a@b.example"],
)
def test_no_log_line_or_message_shows_an_address(
    address: str, port: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in (None, "apprise", "urllib3", "urllib3.connectionpool"):
        caplog.set_level(1, name)
    channel = AppriseChannel([address.format(port)])
    with pytest.raises(AlertError) as raised:
        channel(TITLE, BODY, [PICTURE])
    with http_receiver(port, status=500), pytest.raises(AlertError):
        AppriseChannel([f"json://user:{SECRET}@127.0.0.1:{port}/{SECRET}"])(TITLE, BODY)
    with http_receiver(port):
        AppriseChannel([f"json://user:{SECRET}@127.0.0.1:{port}/{SECRET}"])(TITLE, BODY, [PICTURE])
    with smtp_server(port):
        AppriseChannel([f"mailto://127.0.0.1:{port}/{SECRET}@fab.example?from=a@b.example&mode=insecure"])(TITLE, BODY)
    told = caplog.text + str(raised.value) + repr(channel) + "".join(capfd.readouterr())
    assert SECRET not in told
    assert "127.0.0.1" not in told
    assert raised.value.__cause__ is None


def test_what_other_threads_log_meanwhile_is_left_alone(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with http_receiver(port):
        AppriseChannel([f"json://127.0.0.1:{port}/"])(TITLE, BODY)
    assert "a line of the receiver's own thread" in caplog.text


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (f"nosuchscheme://{SECRET}", r"address 2: Apprise does not know the scheme 'nosuchscheme'"),
        (f"slack://{SECRET}", r"address 2: .*'slack' or finds its address incomplete"),
        (SECRET, r"address 2 must be an Apprise address"),
        ("env:ALERT_MISSING", r"address 2 \(from ALERT_MISSING\): the environment variable ALERT_MISSING is not set"),
        ("env:ALERT_BAD", r"address 2 \(from ALERT_BAD\): Apprise does not know the scheme 'bad'"),
        (f"env:json://{SECRET}", r"`env:` must be followed by the name"),
    ],
)
def test_a_bad_address_is_refused_at_once_without_showing_it(address: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as raised:
        AppriseChannel(["json://127.0.0.1:1/", address], {"ALERT_BAD": f"bad://{SECRET}"})
    assert SECRET not in str(raised.value)


def test_a_line_without_any_address_cannot_make_a_channel() -> None:
    with pytest.raises(ConfigError, match="needs at least one address"):
        AppriseChannel([])


def test_no_address_can_wait_longer_than_the_limit() -> None:
    channel = AppriseChannel(["json://127.0.0.1:1/?cto=9999&rto=9999&retry=5", "json://127.0.0.1:1/?cto=2&rto=3"])
    first, second = (service for *_, service in channel._services)
    assert (first.request_timeout, first.retry) == ((TIMEOUT_S, TIMEOUT_S), 0)
    assert second.request_timeout == (2.0, 3.0)
