"""Traffic for tests: a workload, a trace, and the error of one that is refused."""

import pytest

import calculator

HUGE = 10**5000
"""More digits than Python prints of an integer."""


def spelt(value):
    """Name a case, however many digits it has."""
    return "huge" if isinstance(value, int) and abs(value) > 10**20 else str(value)[:12]


def traffic(**given):
    return calculator.Workload(**{"requests_per_second": 1, "prompt_tokens": 1000, "output_tokens": 250, **given})


def trace(inputs, outputs, **others):
    return calculator.workload_from_trace({"input_tokens": inputs, "output_tokens": outputs, **others})


def refused(call, *parts):
    """Call what must be refused and return the error; each part stands in its one line."""
    with pytest.raises(calculator.CalculatorError) as caught:
        call()
    text = str(caught.value)
    assert [part for part in parts if part not in text] == []
    assert "\n" not in text
    assert len(text) < 400
    return caught.value
