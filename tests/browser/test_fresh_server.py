"""A server that nobody has asked anything yet: what its first readers get, all at once."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from calculator.views import words

from .actions import expected
from .conftest import serving

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser-fresh")]

READERS = 10
WAIT_SECONDS = 120


def read(port, together):
    """Open the page as a browser does; return the headings and the errors that one run of it sends."""
    begin = BackMsg()
    begin.rerun_script.query_string = ""
    with connect(
        f"ws://localhost:{port}/_stcore/stream", origin=f"http://localhost:{port}", max_size=None
    ) as connection:
        together.wait(WAIT_SECONDS)
        connection.send(begin.SerializeToString())
        headings, errors = [], []
        while True:
            message = ForwardMsg.FromString(connection.recv(timeout=WAIT_SECONDS))
            element = message.delta.new_element
            if element.WhichOneof("type") == "heading" and element.heading.tag == "h1":
                headings.append(re.sub(r"\\(\W)", r"\1", element.heading.body))  # Markdown's escapes
            if element.WhichOneof("type") == "exception":
                errors.append(f"{element.exception.type}: {element.exception.message}")
            if message.WhichOneof("type") == "script_finished":
                return headings, errors


def test_all_first_readers_of_a_fresh_server_get_the_answer(tmp_path):
    together = Barrier(READERS)
    with serving(tmp_path / "server.log") as port, ThreadPoolExecutor(READERS) as threads:
        readers = [threads.submit(read, port, together) for _ in range(READERS)]
        seen = [reader.result() for reader in readers]
    assert seen == [([words.headline(expected())], [])] * READERS
