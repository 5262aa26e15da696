"""One session over Streamlit's own websocket: it answers as the front end does, and counts what it is sent.

At every rerun the front end sends back the query string as the page last wrote it, and the hashes of messages that it
has kept. One that leaves the query string empty would be shown the opening plan again and again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

DONE = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)
KEPT_RUNS = 2
"""Runs for which the front end keeps a message that may be sent as a reference."""
INPUT = "at once"
"""How the label of the number that is changed ends, on the page and on the bare one."""
PATIENCE_SECONDS = 120


class Failed(Exception):
    """What a reader would have seen as an error."""


@dataclass
class Run:
    """One run of the script, as a session met it.

    Attributes
    ----------
    seconds : float
        From what was sent to the script's end [s].
    bytes : int
        What was received [bytes].
    messages : int
        In how many messages [-].
    """

    seconds: float
    bytes: int = 0
    messages: int = 0


@dataclass
class Session:
    """A reader: connect, then change a number again and again.

    Attributes
    ----------
    port : int
        Where the server listens.
    query : str
        What stands in the address.
    path : str
        The page's own path; empty for the first page.
    """

    port: int
    query: str = ""
    path: str = ""
    _socket: ClientConnection | None = None
    _page: str = ""
    _kept: dict[str, tuple[int, Any]] = field(default_factory=dict)
    _numbers: dict[str, tuple[str, Any, bool]] = field(default_factory=dict)
    _runs: int = 0

    async def __aenter__(self) -> Self:
        """Connect."""
        self._socket = await connect(
            f"ws://localhost:{self.port}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            origin=f"http://localhost:{self.port}",  # type: ignore[arg-type]
            max_size=None,
            ping_interval=None,  # as browsers do; a server that is slow is not one that is gone
            open_timeout=PATIENCE_SECONDS,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Go away."""
        if self._socket:
            await self._socket.close()

    async def open(self) -> Run:
        """Open the page."""
        return await self._run()

    async def change(self, value: int) -> Run:
        """Change the number, and wait for the run that follows; the page's address must say it.

        Raises
        ------
        Failed
            If the page shows an exception, or goes on with another number.
        """
        known = [key for key, (label, _, _) in self._numbers.items() if label.endswith(INPUT)]
        if not known:
            raise Failed(f"the page has no number whose label ends in {INPUT!r}")
        label, _, is_whole = self._numbers[known[0]]
        self._numbers[known[0]] = (label, value, is_whole)
        run = await self._run()
        if self.query and f"={value}" not in self.query:
            raise Failed(f"{value} was asked, the page says {self.query}")
        return run

    async def _run(self) -> Run:
        assert self._socket is not None
        self._runs += 1
        start, run = perf_counter(), Run(0.0)
        await self._socket.send(self._asked().SerializeToString())
        while True:
            data = await self._socket.recv()
            assert isinstance(data, bytes)
            run.bytes += len(data)
            run.messages += 1
            message = ForwardMsg.FromString(data)
            if self._take(message):
                run.seconds = perf_counter() - start
                self._forget()
                return run

    def _asked(self) -> BackMsg:
        state = ClientState(
            query_string=self.query, page_script_hash=self._page, page_name="" if self._page else self.path
        )
        state.cached_message_hashes.extend(self._kept)
        state.context_info.timezone = "Etc/UTC"
        state.context_info.locale = "en-US"
        state.context_info.url = f"http://localhost:{self.port}/{self.path}"
        state.context_info.color_scheme = "light"
        for key, (_, value, is_whole) in self._numbers.items():
            one = state.widget_states.widgets.add(id=key)
            if is_whole:
                one.int_value = int(value)
            else:
                one.double_value = value
        return BackMsg(rerun_script=state)

    def _take(self, message: ForwardMsg) -> bool:
        """Take in a message; say whether it ends the run."""
        kind = message.WhichOneof("type")
        if kind == "ref_hash":
            if message.ref_hash not in self._kept:
                raise Failed(f"the server refers to a message that was not kept: {message.ref_hash}")
            self._kept[message.ref_hash] = (self._runs, self._kept[message.ref_hash][1])
            self._read(self._kept[message.ref_hash][1])
        elif kind == "new_session":
            self._page = message.new_session.page_script_hash
            self._numbers_before, self._numbers = self._numbers, {}
        elif kind == "navigation":  # which page it is; a new session names the script of them all at first
            self._page = message.navigation.page_script_hash
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "delta":
            if message.metadata.cacheable:
                self._kept[message.hash] = (self._runs, message.delta)
            self._read(message.delta)
        elif kind == "script_finished":
            if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                raise Failed("the script did not compile")
            return message.script_finished in DONE
        return False

    def _read(self, delta: Any) -> None:
        """Note the numbers that can be changed, and what a reader would see as an error."""
        element = delta.new_element if delta.WhichOneof("type") == "new_element" else None
        if element is None:
            return
        if element.WhichOneof("type") == "exception":
            raise Failed(f"{element.exception.type}: {element.exception.message}")
        if element.WhichOneof("type") == "number_input":
            number = element.number_input
            before = self._numbers_before.get(number.id)
            default = number.default if number.HasField("default") else 0
            value = number.value if number.set_value else before[1] if before else default
            self._numbers[number.id] = (number.label, value, number.data_type == number.INT)

    _numbers_before: dict[str, tuple[str, Any, bool]] = field(default_factory=dict)

    def _forget(self) -> None:
        """Drop the messages that no run has used of late."""
        self._kept = {key: one for key, one in self._kept.items() if self._runs - one[0] < KEPT_RUNS}
