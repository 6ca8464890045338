"""Processes that train one model together, each on a card of its own (PyTorch's DistributedDataParallel)."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from wafergate.domain.training import TrainingJob

__all__ = ["Followers", "group_environments", "rank", "ranks"]

LOOPBACK = "127.0.0.1"


def rank() -> int:
    """Return this process's number in its group; 0 leads, and trains alone where there is no group."""
    return int(os.environ.get("RANK", "0"))


def ranks() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def group_environments(processes: int, cards: Sequence[str]) -> list[dict[str, str]]:
    """Return what each process of a group finds in its environment, the leader's first; nothing for one alone.

    Args:
        processes: how many train together.
        cards: what `CUDA_VISIBLE_DEVICES` is to list; empty leaves it as it is.
    """
    if processes == 1:
        return [{}]
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": LOOPBACK, "MASTER_PORT": str(port)}
    if sys.platform == "linux":
        shared["GLOO_SOCKET_IFNAME"] = "lo"  # else it asks for the name of the machine, which may not resolve
    if cards:
        shared["CUDA_VISIBLE_DEVICES"] = ",".join(cards)
    return [shared | {"RANK": str(number), "LOCAL_RANK": str(number)} for number in range(processes)]


class Followers:
    """The processes of a group that lend their card and tell nothing; they end when the block does.

    Attributes:
        fallen: the first that failed, as its exit code and its job; its end also ends the leader, which would wait for
            it in vain.
    """

    def __init__(self, send: Callable[["subprocess.Popen[bytes]", TrainingJob], None], log_name: str) -> None:
        self.fallen: tuple[int, TrainingJob] | None = None
        self._send, self._log_name = send, log_name
        self._running: list[tuple[subprocess.Popen[bytes], TrainingJob]] = []

    def start(self, command: Sequence[str], job: TrainingJob, environments: Sequence[dict[str, str]]) -> None:
        """Start one for each environment, with a folder of its own below the job's."""
        for number, environment in enumerate(environments, start=1):
            own = replace(job, folder=job.folder / f"rank-{number}")
            scratch = own.folder / "scratch"
            scratch.mkdir(parents=True)
            # what they tell goes nowhere
            with (own.folder / self._log_name).open("wb") as log, Path(os.devnull).open("wb") as nowhere:
                process = subprocess.Popen(
                    [*command, str(nowhere.fileno())],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd=scratch,
                    env=environment,
                    pass_fds=(nowhere.fileno(),),
                )
            self._running.append((process, own))
            self._send(process, own)

    def watch(self, leader: "subprocess.Popen[bytes]") -> None:
        """End the leader when one of them fails."""

        def wait(process: "subprocess.Popen[bytes]", job: TrainingJob) -> None:
            code = process.wait()
            if code and leader.poll() is None and self.fallen is None:
                self.fallen = (code, job)
                leader.kill()

        for process, job in self._running:
            threading.Thread(target=wait, args=(process, job), daemon=True).start()

    def __enter__(self) -> Self:
        """Return the empty group."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End those that still run."""
        for process, _ in self._running:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
