"""The command line: a thin face over the package; ``main`` and what its commands share, a module a command below."""

OK, MISSED, BAD_INPUT = 0, 1, 2
"""Exit codes: all is fine; an expectation is missed or a plan does not fit; bad usage or bad input."""
