"""Links as text: what a field holds, cleared or not, is what its link opens."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import state

CLEARED = sorted(name for name, parameter in state.PARAMETERS.items() if parameter.clears)


class Query(dict):
    def to_dict(self):
        return dict(self)

    def from_dict(self, values):
        self.clear()
        self.update(values)


@pytest.fixture
def page(monkeypatch):
    """A page's state and address without the page."""
    fake = SimpleNamespace(session_state=Query(), query_params=Query())
    monkeypatch.setattr(state, "st", fake)
    state.load()
    return fake


def opened(page, link):
    """What the fields hold when a link is opened afresh, and what is said of it."""
    page.session_state.clear()
    page.query_params.from_dict(link)
    state.load()
    return {name: page.session_state[name] for name in state.PARAMETERS}, state.problems()


@pytest.mark.parametrize("name", state.PARAMETERS)
def test_an_empty_field_opens_empty(page, name):
    empty = None if state.PARAMETERS[name].clears else state.PARAMETERS[name].default
    owner, owned = state._BELONGS_TO.get(name, ("model", page.session_state["model"]))
    page.session_state[owner] = owned
    page.session_state[name] = empty
    state.save()
    held, said = opened(page, dict(page.query_params))
    assert (held[name], said) == (empty, [])


def test_what_can_be_cleared_is_every_number_but_the_degree_that_must_be_chosen():
    # the degree is a row of buttons of which one is always down; users in all have no field, a link alone says them
    numbers = {name for name, parameter in state.PARAMETERS.items() if parameter.least is not None}
    assert numbers - set(CLEARED) == {"tensor_parallel_size", state.TOTAL_USERS}


def test_only_what_a_bare_link_would_fill_in_is_written_for_a_cleared_field(page):
    page.session_state.update(dict.fromkeys(CLEARED))
    state.save()
    written = {name for name, value in page.query_params.items() if value == "default"}
    assert written == {
        "seq_len", "batch_size", "pipeline_parallel_size", "data_parallel_size", "decode_context_parallel_size",
        "prompt_tokens", "output_tokens", "prompt_cv", "output_cv", "correlation", "shared_prefix_tokens", "risk",
        "users", "num_gpus", "max_gpus",
    }  # fmt: skip


def test_a_bare_link_opens_what_it_always_did(page):
    held, said = opened(page, {})
    assert (held["seq_len"], held["batch_size"], held["tensor_parallel_size"], said) == (8192, 16, 4, [])


@pytest.mark.parametrize("name", ["tensor_parallel_size", "engine_version", "swa_full", "model", "weight_dtype"])
def test_what_cannot_be_cleared_is_not_by_a_link_either(page, name):
    held, (said,) = opened(page, {name: "default"})
    assert said.startswith(f"The link asked for {name}='default'")
    assert held[name] == state.PARAMETERS[name].default


@given(st.floats(0.01, 1))
def test_every_fraction_of_a_link_is_read_as_it_was_written(fraction):
    text = state._written("gpu_memory_utilization", fraction)
    assert state._read("gpu_memory_utilization", state.PARAMETERS["gpu_memory_utilization"], text) == fraction


@given(st.floats(0, 10**6))
def test_every_size_of_a_link_is_read_as_it_was_written(size):
    text = state._written("activation_gib", size)
    assert state._read("activation_gib", state.PARAMETERS["activation_gib"], text) == size


def test_turning_to_another_page_keeps_what_was_asked(page):
    page.session_state["seq_len"] = 4_096
    state.save()
    page.query_params.clear()  # what the browser sends when a reader turns the page
    state.load("heads")
    assert page.session_state["seq_len"] == 4_096
    # a link to that page is read as any other
    page.query_params.from_dict({"seq_len": "2048"})
    state.load("heads")
    assert page.session_state["seq_len"] == 2_048


def test_a_bare_address_on_the_same_page_opens_what_it_always_did(page):
    page.session_state["seq_len"] = 4_096
    state.save()
    page.query_params.clear()
    state.load()
    assert page.session_state["seq_len"] == 8_192


def test_a_change_before_the_first_link_came_back_is_kept(page):
    opened(page, {"prompt_tokens": "300"})
    state.save()
    page.query_params.from_dict({"prompt_tokens": "300"})
    page.session_state["output_tokens"] = 77
    state.load()
    assert (page.session_state["prompt_tokens"], page.session_state["output_tokens"]) == (300, 77)


def test_two_changes_at_once_are_both_kept_and_going_back_is_going_back(page):
    state.save()
    first = dict(page.query_params)
    page.session_state["prompt_tokens"] = 2000
    state.save()
    second = dict(page.query_params)
    # the second change was on its way before the page had seen the link of the first
    page.query_params.from_dict(first)
    page.session_state["risk"] = 0.1
    state.load()
    assert (page.session_state["prompt_tokens"], page.session_state["risk"]) == (2000, 0.1)
    state.save()
    assert (page.query_params["prompt_tokens"], page.query_params["risk"]) == ("2000", "0.1")
    for link, held in ((second, (2000, 0.01)), (first, (1000, 0.01)), (second, (2000, 0.01))):
        page.query_params.from_dict(link)
        state.load()
        assert (page.session_state["prompt_tokens"], page.session_state["risk"]) == held
        state.save()
