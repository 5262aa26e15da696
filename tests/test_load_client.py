"""The client of ``make load``: it sends back what the page told it, as the front end does."""

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.load.client import Failed, Run, Session
from benchmarks.load.crowd import Met


def number(key, label, default, value=None):
    message = ForwardMsg(hash=key)
    field = message.delta.new_element.number_input
    field.id, field.label, field.default, field.data_type = key, label, default, field.INT
    if value is not None:
        field.value, field.set_value = value, True
    return message


def told(session, *messages):
    """Let a run begin, tell a session of it, and end it."""
    session._runs += 1
    begin = ForwardMsg()
    begin.new_session.page_script_hash = "page"
    ended = [session._take(message) for message in (begin, *messages, ForwardMsg(script_finished=0))]
    session._forget()
    assert ended == [False] * (len(messages) + 1) + [True]


def asked(session):
    return session._asked().rerun_script


def test_the_address_and_the_fields_go_back_as_the_page_last_said_them():
    session = Session(1)
    address = ForwardMsg()
    address.page_info_changed.query_string = "batch_size=16"
    told(session, address, number("a", "Users at once", 16), number("b", "Blocks", 2, value=7))
    state = asked(session)
    assert (state.query_string, state.page_script_hash) == ("batch_size=16", "page")
    assert {one.id: one.int_value for one in state.widget_states.widgets} == {"a": 16, "b": 7}
    session._numbers["a"] = ("Users at once", 99, True)
    told(session, number("a", "Users at once", 16))  # a default does not undo what was typed; "b" is gone
    assert {one.id: one.int_value for one in asked(session).widget_states.widgets} == {"a": 99}


def test_a_session_stays_on_its_page():
    session = Session(1, path="need")
    assert (asked(session).page_script_hash, asked(session).page_name) == ("", "need")
    turned = ForwardMsg()
    turned.navigation.page_script_hash = "need's own"
    told(session, turned)  # a run begins by naming the script that all pages share
    assert asked(session).page_script_hash == "need's own"


def test_messages_that_were_kept_can_be_referred_to_for_two_runs():
    session = Session(1)
    kept = number("big", "Users at once", 3)
    kept.metadata.cacheable = True
    told(session, kept)
    assert list(asked(session).cached_message_hashes) == ["big"]
    told(session, ForwardMsg(ref_hash="big"))
    assert session._numbers["big"][:2] == ("Users at once", 3)
    told(session)
    assert list(asked(session).cached_message_hashes) == ["big"]
    told(session)
    assert list(asked(session).cached_message_hashes) == []
    with pytest.raises(Failed, match="not kept: big"):
        session._take(ForwardMsg(ref_hash="big"))


def test_an_exception_on_the_page_is_an_error():
    broken = ForwardMsg()
    broken.delta.new_element.exception.type = "ValueError"
    broken.delta.new_element.exception.message = "no"
    with pytest.raises(Failed, match="ValueError: no"):
        told(Session(1), broken)


def test_percentiles_of_latencies():
    met = Met(runs=[Run(seconds) for seconds in range(1, 102)])  # 1 to 101 s
    assert (met.percentile(50), met.percentile(95)) == (51, 96)
