"""Apprise: alerts by e-mail, chat, webhook and whatever else it has an address scheme for."""

import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from mimetypes import guess_type
from typing import Any, Final

from wafergate.errors import AlertError, ConfigError
from wafergate.ports import Attachment

__all__ = ["AppriseChannel"]

TIMEOUT_S: Final = 15.0
"""Longest wait for a connection and for each answer; an address may ask for less, never for more."""

_TALKATIVE: Final = ("apprise", "requests", "urllib3", "urllib3.connectionpool", "urllib3.util.retry")
_SCHEME: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*)://")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OVERFLOW: Final = re.compile(r"[?&]overflow=", re.IGNORECASE)
_STATUS: Final = re.compile(r"error=(\d{3})\b")


class AppriseChannel:
    """Sends each message to every address; it is taken only when all of them took it.

    An address that names several targets is one channel for each: who has the message does not get it again because
    another could not be reached.

    An address often carries a password or token, so none is ever shown: messages name the address's position and
    scheme, and what Apprise and its HTTP client would log while at work is held back.
    """

    def __init__(self, addresses: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Check every address.

        Args:
            addresses: Apprise addresses, or `env:NAME` for one that stands in `environment` under that name.
            environment: the variables `env:` may name.

        Raises:
            ConfigError: there is no address, a variable is not set, or an address is not one Apprise knows.
        """
        if not addresses:
            message = "[alerts] channels needs at least one address, found none: without it no alert reaches anybody"
            raise ConfigError(message)
        self._services: list[tuple[str, str, Any]] = []
        for position, address in enumerate(addresses, start=1):
            scheme, services = _services(address, position, environment or {})
            places = (f"{position}.{target}" if len(services) > 1 else str(position) for target in count(1))
            self._services += ((place, scheme, service) for place, service in zip(places, services, strict=False))

    def __call__(
        self, title: str, body: str, attachments: Sequence[Attachment] = (), *, taken: Sequence[str] = ()
    ) -> None:
        """Send to every address but those that have the message already.

        Args:
            title: one line; line breaks become spaces.
            body: plain text.
            attachments: files; a kind of channel that carries none gets the text alone.
            taken: the `taken` of an earlier `AlertError` for the same message.

        Raises:
            AlertError: one or more addresses did not take it; names their positions and schemes.
        """
        title = " ".join(title.split())
        have, failures = list(taken), []
        for place, scheme, service in self._services:
            name = f"{place} {scheme}"
            if name in have:
                continue
            problem = _send(service, title, body, attachments)
            if problem is None:
                have.append(name)
            else:
                failures.append(f"channel {place} ({scheme}) {problem}")
        if failures:
            message = f"the alert was not taken: {'; '.join(failures)}; it stays in the outbox and is tried again"
            raise AlertError(message, tuple(have))


def _services(address: str, position: int, environment: Mapping[str, str]) -> tuple[str, list[Any]]:
    """Return the scheme of an address and what sends to each of its targets.

    Raises:
        ConfigError: it is wrong, or cannot be taken apart into its targets.
    """
    where = f"[alerts] channels, address {position}"
    if address.startswith("env:"):
        name = address.removeprefix("env:").strip()
        if not _VARIABLE.fullmatch(name):
            # Not shown: it may be the address itself, written after `env:` by mistake.
            message = (
                f"{where}: `env:` must be followed by the name of an environment variable, as in env:ALERT_ADDRESS"
            )
            raise ConfigError(message)
        where += f" (from {name})"
        address = environment.get(name, "")
        if not address.strip():
            message = f"{where}: the environment variable {name} is not set; set it to an Apprise address"
            raise ConfigError(message)
    match = _SCHEME.match(address)
    if match is None:
        message = f"{where} must be an Apprise address such as mailto://… or json://…; found one without a scheme"
        raise ConfigError(message)
    scheme = match.group(1).lower()
    service = _service(address.strip())
    if service is None:
        message = f"{where}: Apprise does not know the scheme {scheme!r} or finds its address incomplete"
        raise ConfigError(message)
    messages, targets = len(service), getattr(service, "targets", ())
    if messages == 1:
        return scheme, [service]
    if len(targets) != messages:
        message = f"{where} ({scheme}) names {messages} targets: write an address of its own for each"
        raise ConfigError(message)
    return scheme, [_service(address.strip(), target) for target in targets]


def _service(address: str, target: object = None) -> Any:
    """Return what sends to an address, or to one target of it; None where Apprise does not know it."""
    import apprise

    with _quiet():
        # In memory: some services would otherwise keep tokens in a folder of the user.
        asset = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY, async_mode=False)
        service = apprise.Apprise.instantiate(address, asset=asset)
    if service is None:
        return None
    service.socket_connect_timeout = min(float(service.socket_connect_timeout), TIMEOUT_S)
    service.socket_read_timeout = min(float(service.socket_read_timeout), TIMEOUT_S)
    # The outbox tries again; and an address marked optional would count a failure as a success.
    service.retry, service.optional = 0, False
    if not _OVERFLOW.search(address):
        # Else Apprise sends a text that is too long for the service as it is, and the service refuses it for ever.
        service.overflow_mode = apprise.OverflowMode.SPLIT
    if target is not None:
        service.targets = type(service.targets)([target])
    return service


def _send(service: Any, title: str, body: str, attachments: Sequence[Attachment]) -> str | None:
    """Send to one address; return None when it was taken, else what went wrong, without any address."""
    import apprise
    from apprise.attachment.memory import AttachMemory

    sender = apprise.Apprise(asset=service.asset)
    sender.add(service)
    with _quiet() as said:
        files = [AttachMemory(item.data, name=item.name, mimetype=guess_type(item.name)[0]) for item in attachments]
        attached = apprise.AppriseAttachment(files, asset=service.asset) if files else None
        taken = sender.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT, attach=attached)
    if taken:
        return None
    statuses = [found.group(1) for record in said if (found := _STATUS.search(record.getMessage()))]
    return f"answered HTTP {statuses[-1]}" if statuses else "did not answer or refused"


@contextmanager
def _quiet() -> Iterator[list[logging.LogRecord]]:
    """Hold back what this thread logs through the talkative loggers, and return it; other threads keep theirs."""
    thread, held = threading.get_ident(), list[logging.LogRecord]()

    def hold(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        held.append(record)
        return False

    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    for logger in loggers:
        logger.addFilter(hold)
    try:
        yield held
    finally:
        for logger in loggers:
            logger.removeFilter(hold)
