"""What a page is given: the line it shows, the words it speaks, and how it reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from dashboards.texts import Text
from wafergate.errors import NotFoundError, ServiceError, StorageError
from wafergate.ports import FactStore, FileReader, InspectionStore, RunReader

__all__ = ["UNREADABLE", "Context", "Doors", "View"]

FRESH = "10s"  # how old a figure on screen may be when a page is opened
UNREADABLE = (NotFoundError, ServiceError, StorageError)
"""Why a file cannot be read; a page goes on without its pictures."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Doors:
    """How to open each store the pages read, once in the life of the process; none of them can be written through."""

    facts: Callable[[], FactStore]
    inspections: Callable[[], InspectionStore]
    files: Callable[[], FileReader]
    runs: Callable[[], RunReader]


# The leading underscores keep Streamlit from hashing functions; `store` tells one set of stores from another, and the
# first of `call` one function from another.
@st.cache_resource(show_spinner=False, max_entries=16)  # type: ignore[untyped-decorator]
def _opened(_doors: Doors, store: str, door: str) -> Any:  # noqa: ARG001 - part of the key
    return getattr(_doors, door)()


@st.cache_data(show_spinner=False, ttl=FRESH, max_entries=256)  # type: ignore[untyped-decorator]
def _read(_doors: Doors, store: str, door: tuple[str, ...], _load: Callable[..., Any], call: tuple[object, ...]) -> Any:
    return _load(*(_opened(_doors, store, one) for one in door), *call[1:])


@dataclass(frozen=True, slots=True)
class Context:
    """What a page is given.

    Attributes:
        line: the production line it shows; empty while the store holds none.
        lines: every line of the store, sorted.
        text: the reader's language and time zone.
        doors: how to open the stores.
        store: their name; what is read is cached under it.
        pages: every page by its path, for links.
    """

    line: str
    lines: tuple[str, ...]
    text: Text
    doors: Doors
    store: str
    pages: Mapping[str, StreamlitPage]

    def read(self, load: Callable[..., Result], *arguments: object, door: str | tuple[str, ...] = "facts") -> Result:
        """Return `load(store, *arguments)`, at most ten seconds old and shared by all viewers.

        Args:
            load: a function of `dashboards.reading`; what it returns must pickle.
            *arguments: hashable values it is called with, e.g. the line.
            door: the store it reads, a field of `Doors`; several give it as many stores, in this order.
        """
        name = f"{load.__module__}.{load.__qualname__}"
        doors = (door,) if isinstance(door, str) else door
        result: Result = _read(self.doors, self.store, doors, load, (name, *arguments))
        return result

    def link(self, path: str, label: str, **asked: str) -> None:
        """Write a link to a page of this dashboard that keeps the line and the language.

        Args:
            path: the page's `PATH`.
            label: Markdown; values from data in it are escaped by whoever made it.
            **asked: further query parameters, which say what the page opens with.
        """
        kept = {"lang": self.text.language, **({"line": self.line} if self.line else {})}
        st.page_link(self.pages[path], label=label, query_params=kept | asked, icon=":material/arrow_forward:")


class View(Protocol):
    """A page: a module of `dashboards.views`, listed in `dashboards.shell`."""

    TITLE: str
    """Key of its title among the phrases."""
    PATH: str
    """Its place in the address."""

    def render(self, context: Context) -> None:
        """Show the page below its title."""
