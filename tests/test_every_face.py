"""Every engine, every kind of cache, every switch, every face: what must hold whatever was asked.

Nothing here names a number. A face that raises for a plan that ``plan()`` accepted, or shows of one GPU what the
plan does not hold there, fails.
"""

import json
import shlex
from math import ceil, isfinite
from zlib import crc32

import pytest
import yaml
from cases import ENGINES, KINDS, PRESETS, SWITCHES, planned

import calculator
from calculator import charts, views
from calculator.views import words

VIEWS = views.VIEWS
PAIRS = [(kind, engine) for kind in KINDS for engine in ENGINES]


def plans(kind, engine, share=1):
    """Yield the accepted plans of a kind of cache on an engine, with the switch that each stands for."""
    for switch in SWITCHES:
        answer = planned(kind, engine, switch)
        if answer is not None and crc32(f"{kind} {engine} {switch}".encode()) % share == 0:
            yield switch, answer


def on_rank(answer):
    """Sequences of the batch that one rank of a replica serves."""
    return ceil(answer.request.batch_size / answer.request.attention_replicas)


@pytest.mark.parametrize(("kind", "engine"), PAIRS)
def test_sums_and_ranges(kind, engine):
    for switch, answer in plans(kind, engine):
        memory, request = answer.per_gpu, answer.request
        lines = [size for _, size, _ in words.memory_lines(answer)]
        assert sum(lines) == memory.total_bytes, switch
        assert answer.kv_pool_bytes_low <= answer.kv_pool_bytes <= answer.kv_pool_bytes_high, switch
        assert answer.max_batch_size_low <= answer.max_batch_size <= answer.max_batch_size_high, switch
        assert 0 <= memory.requested_bytes <= memory.total_bytes, switch
        stages = answer.stages
        for name in ("weights_bytes", "kv_pool_bytes", "total_bytes"):
            of_stages = request.tensor_parallel_size * sum(getattr(stage.memory, name) for stage in stages)
            assert getattr(answer.per_replica, name) == of_stages, switch
            assert getattr(answer.all_gpus, name) == of_stages * request.data_parallel_size, switch
        assert answer.num_gpus == (
            request.tensor_parallel_size * request.pipeline_parallel_size * request.data_parallel_size
        )


@pytest.mark.parametrize(("kind", "engine"), PAIRS)
def test_what_fits_is_held_and_no_more(kind, engine):
    for switch, answer in plans(kind, engine):
        ranks = answer.request.attention_replicas
        held = answer.max_batch_size // ranks
        assert answer.fits is (answer.max_batch_size >= answer.request.batch_size), switch
        for stage in answer.stages:
            taken = held * stage.geometry.bytes_of(answer.request.seq_len)
            assert taken <= stage.memory.kv_pool_bytes, switch
            everything = stage.memory.before_kv_bytes + stage.memory.in_slack_bytes + stage.memory.kv_pool_bytes
            assert answer.max_batch_size == 0 or everything <= stage.memory.total_bytes, switch


@pytest.mark.parametrize(("kind", "engine"), PAIRS)
def test_longest_context_is_a_boundary(kind, engine):
    for switch, answer in plans(kind, engine, share=2):
        longest = answer.max_context_len
        if longest:
            assert calculator.vary(answer, seq_len=longest).fits, switch
        if longest < 10**9:
            assert not calculator.vary(answer, seq_len=longest + 1).fits, switch


@pytest.mark.parametrize(("kind", "engine"), PAIRS)
def test_faces_show_of_one_gpu_what_the_plan_holds_there(kind, engine):
    for switch, answer in plans(kind, engine, share=2):
        request, batch = answer.request, on_rank(answer)
        length = views.VIEWS["sequence-length"](answer)
        shown = next(row["kv_bytes_per_gpu"] for row in length.rows if row["seq_len"] == request.seq_len)
        assert shown == views.kv_bytes_per_gpu(answer), switch
        assert shown <= batch * answer.allocated_bytes_per_sequence, switch
        if request.pipeline_parallel_size == 1:
            of_all = shown * request.tensor_parallel_size
            of_batch = answer.kv_bytes_per_sequence * request.batch_size
            assert of_batch <= of_all < of_batch + answer.kv_bytes_per_sequence * request.attention_replicas + 1, switch
        steps = {what: size for what, _, size in words.formula_steps(answer)}
        assert steps["One sequence, one GPU"] * batch == shown, switch
        if answer.state_bytes_per_sequence and request.pipeline_parallel_size == 1:
            kept = steps["One sequence, one GPU"] + answer.state_bytes_per_sequence
            assert steps["State of one sequence, one GPU"] == answer.state_bytes_per_sequence, switch
            # llama.cpp keeps states in 32 bit and SGLang as the model says: never less than half of what is stated
            assert kept <= 2 * answer.allocated_bytes_per_sequence, switch


@pytest.mark.parametrize(("kind", "engine"), PAIRS)
def test_no_face_raises(kind, engine):
    for switch, answer in plans(kind, engine, share=8):
        for name, view in VIEWS.items():
            if name == "kv-heads" and not answer.model.is_uniform:
                continue  # layers of different heads cannot be varied, which is said where it is asked
            place = crc32(f"{kind} {engine} {switch} {name}".encode())
            if place % (96 if view.is_slow else 3):
                continue  # every view meets every kind, engine and switch, not all of them at once
            shown = view(answer)
            assert shown.finding.endswith("."), (switch, name)
            figure = charts.draw(shown)
            assert "NaN" not in json.dumps(figure.to_dict()["data"], default=str), (switch, name)
            assert len(shown.frame()) == len(shown.rows)
        charts.memory_bar(answer)
        found = calculator.levers(answer)
        assert [lever.label for lever in calculator.next_steps(answer) if lever not in found] == []
        for lever in calculator.what_would_fit(answer):
            assert lever.plan.fits, (switch, lever.label)
            assert calculator.vary(answer, **lever.changes).total_max_batch_size == lever.plan.total_max_batch_size
        smallest = calculator.smallest_fit(answer)
        assert smallest is None or smallest.fits, switch
        assert answer.as_dict()["num_blocks"] == answer.num_blocks
        assert answer._repr_html_().endswith("</table>")
        for text in (words.headline(answer), words.detail(answer), words.formula(answer), words.spread(answer)):
            assert "None" not in text, switch
        command, _, comment = calculator.serve_command(answer).partition("\n")
        assert shlex.split(command), switch
        assert "\n" not in comment, switch


TRAFFIC = calculator.Workload(requests_per_second=1, prompt_tokens=1000, output_tokens=250)


@pytest.mark.parametrize(("kind", "engine"), PAIRS)
def test_traffic_and_speed_of_every_plan(kind, engine):
    for switch, answer in plans(kind, engine, share=6):
        held = calculator.concurrency(answer, TRAFFIC)
        assert 0 <= held.sequences <= held.sequences_even, switch
        assert (held.sequences_even > 0) or not answer.fits, switch
        assert isfinite(held.saturated), switch
        assert held.max_num_seqs == max(1, held.servable // answer.request.attention_replicas), switch
        fast = calculator.speed(answer, batch_size=answer.request.batch_size)
        report = json.loads(json.dumps(fast.as_dict(), allow_nan=False))
        assert sum(term["seconds"] for term in report["terms"]) == pytest.approx(report["time_per_output_token_s"])
        assert not (fast.checked and not answer.fits), switch
        assert calculator.speed(answer, clients=3).batch_size <= 3, switch
        for shown in (held, fast):
            assert "None" not in shown.finding, switch
            assert shown._repr_html_().endswith("</table>"), switch


@pytest.mark.parametrize(("kind", "engine"), PAIRS)
def test_a_plan_file_gives_the_plan_that_wrote_it(kind, engine, tmp_path):
    path = tmp_path / "plans.yaml"
    written = list(plans(kind, engine, share=3))
    if not written:
        return
    entries = [yaml.safe_load(calculator.write_plan_file(answer, switch))["deployments"] for switch, answer in written]
    path.write_text(yaml.safe_dump({"deployments": [entry for (entry,) in entries]}), encoding="utf-8")
    for (switch, answer), deployment in zip(written, calculator.read_plan_file(path), strict=True):
        again, before = deployment.plan.as_dict(), answer.as_dict()
        assert {name for name in before if again[name] != before[name]} == set(), switch


def flags(asked):
    """Return keywords of ``plan`` as arguments of the command line."""
    for name, value in asked.items():
        flag = f"--{name.replace('_', '-')}"
        if value is False:
            yield flag.replace("--", "--no-", 1)
        else:
            yield from (flag,) if value is True else (flag, str(value))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["full", "experts", "window and full", "latent", "state and full"])
def test_text_and_json_of_a_command_agree(kind, engine, run):
    for switch, asked in SWITCHES.items():
        given = {"model": PRESETS[kind], "gpu": "h100-sxm", "engine": engine, "seq_len": 4096, **asked}
        if crc32(f"{kind} {engine} {switch}".encode()) % 4:
            continue
        text, plain, wrong = run("plan", *flags(given))
        code, report, same = run("plan", *flags(given), "--format", "json")
        assert (text, wrong) == (code, same), switch
        answer = planned(kind, engine, switch)
        if answer is None:
            assert (code, plain, report) == (2, "", ""), switch
        else:
            assert json.loads(report) == json.loads(json.dumps(answer.as_dict())), switch
            assert words.headline(answer) in plain, switch
