"""The product's story in two acts: a class too rare to prove, then the images it lacked."""

import json
import os
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path

from wafergate.sample.acts import RARE_CLASS, write_act_one, write_act_two
from wafergate.sample.generate import SampleSummary

__all__ = ["play"]

Say = Callable[[str], None]
_SEED = 7


def play(folder: Path, *, retrain: Callable[[Path, Path], str], say: Say) -> None:
    """Write the sample line and retrain it twice; a second call finds everything done.

    Args:
        folder: where line file and images go.
        retrain: runs the whole flow on (line file, source) and returns the decision's id.
        say: prints one line.
    """
    folder.mkdir(parents=True, exist_ok=True)
    line = folder / "line.toml"
    line.write_bytes(files("wafergate.sample").joinpath("line.toml").read_bytes())
    with _receiver(say) as address:
        os.environ["WAFERGATE_ALERT_URLS"] = address
        say(f"\nAct one: a new line. {RARE_CLASS} is rare, so an even test holds few of any class and proves little.")
        retrain(line, _drawn(write_act_one, folder / "act-one", say))
        say(f"\nAct two: labelled images of {RARE_CLASS} arrive.")
        retrain(line, _drawn(write_act_two, folder / "act-two", say))


def _drawn(write: Callable[..., SampleSummary], folder: Path, say: Say) -> Path:
    done = folder / "annotations.json"  # written last: it is there only when all images are
    if not done.exists():
        summary = write(folder, _SEED)
        say(f"  drew {summary.images} images with golden references")
    return folder


@contextmanager
def _receiver(say: Say) -> Iterator[str]:
    """Stand in for the quality engineer's inbox: print each alert that arrives on a loopback address."""

    class Inbox(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            alert = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told = f"An alert arrives: {alert.get('title', '')}"
            say("\n" + textwrap.fill(told, 78, initial_indent="  ", subsequent_indent="    ") + "\n")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the terminal for the story."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"json://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
