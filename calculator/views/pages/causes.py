"""What to do about a cause: how a reader gets to know whether it is the one."""

from __future__ import annotations

from calculator.engines import engine_log
from calculator.logs.reconciliation import Reconciliation
from calculator.messages import Message, say

IN_USE = say("pages.know.in_use", "What the GPU's own tool, such as nvidia-smi, shows in use before the start is it.")
FIRST_LINE = say("pages.know.first_line", "Paste the log from its first line on: the flags stand there.")
OTHER_GPU = say("pages.know.other_gpu", "Say the GPU beside the log, or its memory as a program sees it.")
HOW_TO_KNOW = {
    "logs.cause.other_process": IN_USE,
    "logs.cause.fraction": FIRST_LINE,
    "logs.cause.other_model": say(
        "pages.know.model", "Compare the layers in the checkpoint's config.json with those that were taken."
    ),
    "logs.cause.other_sequences": say(
        "pages.know.windows", "Compare windows and states in the checkpoint's config.json with those that were taken."
    ),
    "logs.cause.kv_format": say("pages.know.kv_format", "The checkpoint's config.json names its KV format."),
    "logs.cause.ranks_of_weights": FIRST_LINE,
    "logs.cause.ranks_of_tokens": FIRST_LINE,
}
"""By the keys of causes."""


UNEXPLAINED = (
    say("pages.know.process", "Another process on the GPU while the engine measured. {how}", how=IN_USE),
    say("pages.know.device", "Another GPU than was taken, or part of one. {how}", how=OTHER_GPU),
    say("pages.know.setting", "A setting that this part of the log does not show. {how}", how=FIRST_LINE),
)
"""What may hold memory that no cause explains: what no log shows."""


def to_know_more(result: Reconciliation) -> Message:
    """Return what makes the next log say more: the engine's own switch where it has one.

    Parameters
    ----------
    result : Reconciliation
        The log beside its plan [-].

    Returns
    -------
    Message
        A sentence.
    """
    return engine_log(result.log.engine).says_more or FIRST_LINE
