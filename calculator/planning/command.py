"""A plan as the engine's own command line, to copy; the words are in the engine's folder."""

from __future__ import annotations

import shlex

from calculator.engines import engine_command
from calculator.engines.command import Command, Parts, is_asked
from calculator.errors import friendly
from calculator.planning.answer import Plan
from calculator.request import OPTIONS, PLAN_DEFAULTS

ALWAYS = ("tensor_parallel_size", "pipeline_parallel_size")
"""What a command line states even where it was not asked for, since the answer hangs on it."""
PARALLEL = (*ALWAYS, "decode_context_parallel_size")
NOT_THE_ENGINES = tuple(name for name, option in OPTIONS.items() if not option.is_engines)
"""Keywords of ``plan`` that describe the load, the device or the estimate, not how the engine is set up."""


@friendly
def serve_command(plan: Plan) -> str:
    """Return the engine's command line for a plan: what was asked, under the engine's own flags.

    Parameters
    ----------
    plan : Plan
        The plan [-].

    Returns
    -------
    str
        A command of one line, ``max_num_seqs`` no larger than what memory holds and the length no longer than what the
        model is made for; where something was asked that the command does not say, a line of comment after it that
        names it.
    """
    flags, own = plan.rules.flags, engine_command(plan.request.engine)
    words: list[str] = []
    left = ["seq_len"] if own.tokens(plan) < plan.request.seq_len else []
    for name in dict.fromkeys((*flags, *OPTIONS)):
        if name in NOT_THE_ENGINES or name in own.says_itself:
            continue
        parts = _parts(plan, own, name) if name in flags or name == "weight_dtype" else None
        if parts is None and is_asked(plan, name):
            left.append(name)
        words += parts or []
    return " ".join(map(_quoted, words)) + _comment(plan, own, left)


def flag_of(plan: Plan, name: str) -> str:
    """Return one keyword of a plan as the engine's command line has it, its own name where the command has no flag."""
    parts = _parts(plan, engine_command(plan.request.engine), name)
    return " ".join(map(_quoted, parts)) if parts else f"{name} {getattr(plan.request, name)}"


def _quoted(word: str) -> str:
    """Quote a word for a shell; what does not print is written out, so that a command stays one line."""
    if word.isprintable():
        return shlex.quote(word)
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in plain) + "'"


def _parts(plan: Plan, own: Command, name: str) -> Parts:
    """Return the words of one keyword: the engine's own where it has some, else its flag and the value."""
    flag = plan.rules.flags.get(name, "")
    spoken = getattr(own, name, None)
    if spoken:
        words: Parts = spoken(plan, flag)
        return words
    value = getattr(plan.request, name)
    if name in PARALLEL and value == 1:
        return []
    if name not in ALWAYS and (plan.asked.get(name) is None or value == "auto"):
        return []
    if value is False:  # a switch that the engine sets itself where it is not given has a form that turns it off
        return [f"--no-{flag.removeprefix('--')}"] if PLAN_DEFAULTS[name] is None else []
    return [flag] if value is True else [flag, str(value)]


def _comment(plan: Plan, own: Command, left: list[str]) -> str:
    """Return a line that names what the command has no flag for, and where else it goes."""
    if not left:
        return ""
    keys = own.keys_in_file(plan, left)
    elsewhere = f"; in the YAML file of {own.file_flag}: {', '.join(keys)}" if keys else ""
    comment = f"# not on the command line: {', '.join(_named(plan, name) for name in left)}{elsewhere}"
    return "\n" + " ".join(comment.split())


def _named(plan: Plan, name: str) -> str:
    value = getattr(plan.request, name)
    if name == "seq_len":
        return f"{name} {value} (the model is made for {plan.model.max_position_embeddings})"
    shown = name if value is True else f"{name} {value}"
    return f"{shown} (needs a checkpoint in it)" if name == "weight_dtype" else shown
