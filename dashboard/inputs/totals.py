"""Users and GPUs in all, from what a plan says of one replica, and back."""

from __future__ import annotations

from typing import Any, NamedTuple

import streamlit as st

import calculator
from calculator.architecture.limits import MAX_TOKENS
from calculator.engines import engine_class
from calculator.planning.resolve import legal_degrees, why_degree_not
from calculator.request.options import MAX_RANKS
from calculator.units import plural
from dashboard import state
from dashboard.text import tell

SPLIT = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
USERS = state.TOTAL_USERS
_USERS, _GPUS, _WANTED, _ASKED = "_users", "_num_gpus", "_gpus_wanted", "_users_asked"


class Offer(NamedTuple):
    """A value that would do, and what it sets."""

    label: str
    changes: dict[str, Any]


class Refused(NamedTuple):
    """Why a number of GPUs cannot be, and what is nearest."""

    why: str
    offers: tuple[Offer, ...]


def users() -> int:
    """Return the users asked for, over all replicas [-]."""
    replicas, each = st.session_state["data_parallel_size"] or 1, st.session_state["batch_size"] or 1
    total: int | None = st.session_state[USERS]
    return total if total is not None and -(-total // replicas) == each else each * replicas


def ask_users() -> None:
    """Ask for the users, over all replicas."""
    st.session_state[_ASKED] = users()
    is_empty = st.session_state["batch_size"] is None
    st.session_state[_USERS] = None if is_empty else st.session_state[_ASKED]
    st.number_input(
        tell("Users at once"),
        1,
        MAX_TOKENS,
        value=None,
        step=1,
        key=_USERS,
        on_change=_take_users,
        placeholder=tell("one"),
        help=tell("Of all replicas together"),
    )


def _take_users() -> None:
    _share_out(st.session_state[_USERS])


def share_out() -> None:
    """Share the users that were asked for out to the replicas that there are now."""
    _share_out(st.session_state.get(_ASKED))


def _share_out(total: int | None) -> None:
    replicas = st.session_state["data_parallel_size"] or 1
    each = None if total is None else -(-total // replicas)
    rest = total if total is not None and each is not None and each * replicas != total else None
    st.session_state.update({"batch_size": each, USERS: rest})


def ask_gpus() -> None:
    """Ask for the number of GPUs, over all replicas."""
    wanted = st.session_state.get(_WANTED)
    st.session_state[_GPUS] = wanted[0] if wanted else num_gpus()
    st.number_input(
        tell("GPUs"), 1, MAX_RANKS, value=None, step=1, key=_GPUS, on_change=_want,
        help=tell("Of all replicas together; how they share the model is a chip below"),
    )  # fmt: skip


def num_gpus() -> int:
    """Return all GPUs [-]."""
    ranks, stages, replicas = (st.session_state[name] or 1 for name in SPLIT)
    return int(ranks * stages * replicas)


def _want() -> None:
    """Remember the GPUs that are wanted, and beside which split."""
    number = st.session_state[_GPUS]
    st.session_state[_WANTED] = None if number is None else (number, _split())


def _split() -> tuple[int, ...]:
    return tuple(st.session_state[name] or 1 for name in SPLIT)


def take_gpus(model: calculator.ModelArchitecture | None, options: dict[str, Any]) -> Refused | None:
    """Share out the GPUs that are wanted with as many stages and replicas; return why not where that cannot be."""
    wanted = st.session_state.get(_WANTED)
    if wanted is None or wanted[1] != _split() or wanted[0] == num_gpus():
        st.session_state[_WANTED] = None
        return None
    number = wanted[0]
    _, stages, replicas = _split()
    name, others = "tensor_parallel_size", stages * replicas
    if not engine_class(st.session_state["engine"]).splits_layers:
        name, others = "pipeline_parallel_size", replicas
    degree, rest = divmod(number, others)
    if rest or not degree:
        why = tell(
            "{gpus} cannot be shared out to {shares}", gpus=plural(number, "GPU"), shares=_shares(stages, replicas)
        )
        return Refused(why, _offers(model, options, number))
    reason = None
    if name == "tensor_parallel_size" and model is not None:
        reason = why_degree_not(model, {**options, name: degree})
    elif model is not None and degree > model.num_layers:
        reason = tell("there are {num_layers} layers", num_layers=model.num_layers)
    if reason:
        return Refused(
            tell("{gpus} cannot be had: {reason}", gpus=plural(number, "GPU"), reason=reason),
            _offers(model, options, number),
        )
    st.session_state[name] = degree
    st.session_state[_WANTED] = None
    return None


def _shares(stages: int, replicas: int) -> str:
    parts = [plural(replicas, "replica")] if replicas > 1 else []
    parts += [tell("{stages} stages", stages=stages)] if stages > 1 else []
    return " of ".join(parts)


def _offers(model: calculator.ModelArchitecture | None, options: dict[str, Any], number: int) -> tuple[Offer, ...]:
    """Return the nearest numbers of GPUs that can be, and other ways to share out this number."""
    ranks, stages, replicas = _split()
    most_stages = 1 if model is None else model.num_layers
    if engine_class(st.session_state["engine"]).splits_layers:
        name, others = "tensor_parallel_size", stages * replicas
        legal = (1,) if model is None else legal_degrees(model, options)
    else:
        name, others, legal = "pipeline_parallel_size", replicas, tuple(range(1, most_stages + 1))
    below = [degree for degree in legal if degree * others < number]
    above = [degree for degree in legal if degree * others > number]
    found = [Offer(plural(degree * others, "GPU"), {name: degree}) for degree in (*below[-1:], *above[:1])]
    if number % (ranks * stages) == 0:
        copies = number // (ranks * stages)
        found.append(Offer(plural(copies, "replica"), {"data_parallel_size": copies}))
    each, rest = divmod(number, replicas)
    if name == "tensor_parallel_size" and not rest:
        shared = max((tp for tp in legal if not each % tp and 1 < each // tp <= most_stages), default=None)
        if shared is not None:
            changes = {name: shared, "pipeline_parallel_size": each // shared}
            found.append(Offer(f"PP {each}" if shared == 1 else f"TP {shared} · PP {each // shared}", changes))
    return tuple(found)


def take(offer: Offer) -> None:
    """Take a value that was offered."""
    asked = st.session_state.get(_ASKED)
    state.change(**offer.changes, **{_WANTED: None})
    if "data_parallel_size" in offer.changes:
        _share_out(asked)
