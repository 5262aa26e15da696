"""Many threads at once in a fresh interpreter, as the first readers of a fresh server are."""

import subprocess
import sys

from golden import ROOT

THREADS = 10
CODE = f"""
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

sys.path.insert(0, "tests")
sys.setswitchinterval(1e-5)
together = Barrier({THREADS})


def use(shift):
    together.wait(60)
    import calculator
    from calculator import charts
    from calculator.views import VIEWS
    from logs import VLLM_V1

    plan = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=4, seq_len=8192)
    answers = [plan.as_dict(), calculator.reconcile(VLLM_V1).finding, [step.label for step in calculator.levers(plan)]]
    drawn = {{"memory": charts.memory_bar(plan).to_json()}}
    makes = [question for question in VIEWS.values() if not question.is_slow]
    for make in makes[shift % len(makes):] + makes[:shift % len(makes)]:
        view = make(plan)
        drawn[view.name] = (charts.draw(view).to_json(), view.frame().to_csv())
    return repr((answers, sorted(drawn.items())))


with ThreadPoolExecutor({THREADS}) as threads:
    runs = [threads.submit(use, shift) for shift in range({THREADS})]
print("raised", {{repr(run.exception()) for run in runs}} - {{"None"}})
print("answers", len({{run.result() for run in runs}}))
"""


def test_threads_that_start_together_plan_draw_and_read_logs_alike():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.splitlines()[:1] == ["raised set()"]
    assert (done.stdout.splitlines()[1:], done.stderr) == (["answers 1"], "")
