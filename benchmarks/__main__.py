"""``python -m benchmarks [NAME …] [--json FILE]``: run them and print one line each."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

BENCHMARKS = {
    "import": ("start", "import_calculator"),
    "cli": ("start", "command_line"),
    "plan": ("planning", "plans"),
    "plan-one": ("planning", "plans_of_one_model"),
    "sweep": ("sweeping", "arrays"),
    "frame": ("sweeping", "frame"),
    "first-run": ("page", "first_run"),
    "redraw": ("page", "redraw"),
    "rerun-cpu": ("reruns", "cpu"),
    "rerun-sent": ("reruns", "sent"),
    "memory": ("reruns", "memory"),
}
GROUPS = {"page": ("first-run", "redraw", "rerun-cpu", "rerun-sent", "memory")}
QUIET_LOAD = 1.5
LIBRARIES = ("pydantic", "pydantic-core", "PyYAML", "numpy", "pandas", "plotly", "streamlit", "playwright")


def main() -> None:
    """Run the benchmarks named, or all of them."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of {', '.join((*BENCHMARKS, *GROUPS))}; by default all"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round to a file")
    arguments = parser.parse_args()
    names = [name for asked in arguments.names for name in GROUPS.get(asked, (asked,))]
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}: choose from {', '.join(BENCHMARKS)}")
    start, about = perf_counter(), _machine()
    print(about["python"], f"{about['cores']} cores", f"load {about['load']}", *about["libraries"], sep=", ")
    results = [_run(name) for name in names or BENCHMARKS]
    missed = [result["name"] for result in results if result["met"] is False]
    print(f"{'missed: ' + ', '.join(missed) if missed else 'every aim met'}; {perf_counter() - start:.0f} s in all")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": about, "results": results}, indent=2) + "\n")


def _run(name: str) -> dict[str, Any]:
    module, function = BENCHMARKS[name]
    measurement = getattr(import_module(f"benchmarks.{module}"), function)()
    print(measurement.line(), flush=True)
    why = measurement.explain() if measurement.met is False else ""
    load = os.getloadavg()[0]
    disturbed = f"load {load:.1f} on {os.cpu_count()} cores: others compete for them" if load > QUIET_LOAD else ""
    for heading, text in (("why", why), ("note", measurement.remark), ("disturbed", disturbed)):
        if text:
            print(f"    {heading}: {text}", flush=True)
    return measurement.as_dict(why)


def _machine() -> dict[str, Any]:
    return {
        "python": f"Python {platform.python_version()}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "libraries": [f"{name} {version(name)}" for name in LIBRARIES],
    }


if __name__ == "__main__":
    sys.exit(main())
