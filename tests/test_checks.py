"""``check``: an expectation that is missed names everything needed to find it."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import calculator
from calculator import FileFormatError
from calculator.catalogue.presets import GPU_FILE, MODEL_FILE
from calculator.cli.main import main
from calculator.planning.files import checks


@pytest.fixture
def mutated(tmp_path):
    """Return a function that copies a preset file with one text replaced."""

    def mutate(before, after, source=MODEL_FILE, count=1):
        text = source.read_text(encoding="utf-8")
        assert before in text
        path = tmp_path / "mutated.yaml"
        path.write_text(text.replace(before, after, count), encoding="utf-8")
        return path

    return mutate


def line_of(path, text):
    return next(number for number, line in enumerate(path.read_text("utf-8").splitlines(), 1) if text in line)


def test_a_wrong_number_is_found_with_all_that_is_known_of_it(mutated, capsys):
    path = mutated("num_parameters: 405853388800", "num_parameters: 405853388801")
    (missed,) = [finding for finding in checks.check_file(path) if not finding.ok]
    assert (missed.subject, missed.field) == ("llama-3.1-405b", "num_parameters")
    assert (missed.expected, missed.actual, missed.tolerance) == (405_853_388_801, 405_853_388_800, "exact")
    assert (missed.file, missed.line) == (str(path), line_of(path, "num_parameters: 405853388801"))
    assert missed.source.startswith("PyPI aiconfigurator")

    assert main(["check", str(path)]) == 1
    out = capsys.readouterr()
    assert out.out.startswith(
        f"{path}:{missed.line}: llama-3.1-405b: num_parameters: expected 405,853,388,801 (exact), "
        "actual 405,853,388,800; source: PyPI aiconfigurator"
    )
    assert re.search(rf"\n(\d+) of (\d+) expectations of {len(calculator.model_ids())} entries are met\n$", out.out)
    assert out.err == ""


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        ("num_layers: 118", "num_layers: 117", {"num_parameters", "num_active_parameters", "kv_bytes_per_token_fp16"}),
        ("hidden_size: 18432", "hidden_size: 18431", {"num_parameters", "num_active_parameters"}),
        ("kv_bytes_per_token_fp16: 120832", "kv_bytes_per_token_fp16: 120833", {"kv_bytes_per_token_fp16"}),
    ],
)
def test_every_stated_number_is_recomputed(mutated, before, after, fields):
    missed = [finding for finding in checks.check_file(mutated(before, after)) if not finding.ok]
    assert {(finding.subject, finding.field) for finding in missed} == {("palm-540b", field) for field in fields}


def test_a_file_that_changed_is_read_anew(mutated):
    assert not all(finding.ok for finding in checks.check_file(mutated("num_layers: 118", "num_layers: 117")))
    assert all(finding.ok for finding in checks.check_file(mutated("num_layers: 118", "num_layers: 118")))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("    num_layers: 118\n", "", "palm-540b: num_layers: num_layers is missing"),
        ("num_layers: 118", 'num_layers: "118"', "num_layers must be a whole number written without quotes, not '118'"),
        ("num_layers: 118", "num_layers: 118.0", "palm-540b: num_layers: num_layers must be a whole number, not 118.0"),
        ("num_layers: 118", "num_layers: 1" + "0" * 30, "num_layers must be at most 10,000, not about 10^30"),
        ("num_layers: 118", "num_layers: 118\n    num_layers: 118", "palm-540b: num_layers: duplicate key"),
        ("num_layers: 118", "num_layers: 118\n    num_layer: 1", "unknown field 'num_layer': did you mean num_layers"),
        ("num_attention_heads: 71", "num_attention_heads: 71\n    num_kv_head: 1", "falcon-7b: num_kv_head: "),
        ("num_key_value_heads: 96", "num_key_value_heads: 36", "gpt-3-175b: num_key_value_heads: num_key"),
        ("torch_dtype: float16", "torch_dtype: int3", "llama-1-65b: torch_dtype: torch_dtype must be one of"),
    ],
    ids=["missing", "text", "fraction", "10^30", "duplicate", "unknown", "unknown 2", "heads", "dtype"],
)  # fmt: skip
def test_a_preset_that_is_not_strict(mutated, before, after, message):
    path = mutated(before, after)
    with pytest.raises(FileFormatError, match=re.escape(message)) as caught:
        checks.check_file(path)
    assert re.match(re.escape(str(path)) + r":\d+: ", str(caught.value))


def test_the_line_is_that_of_the_field(mutated):
    path = mutated("num_layers: 118", "num_layers: -118")
    with pytest.raises(FileFormatError, match=f":{line_of(path, '-118')}: palm-540b: num_layers: "):
        checks.check_file(path)


@pytest.mark.parametrize("key", ["<img src=x onerror=alert(1)>", "[a](http://b)", "a b", "Upper-Case"])
def test_a_preset_id_with_markup_is_a_finding(mutated, key):
    missed = [one for one in checks.check_file(mutated("  palm-540b:", f'  "{key}":')) if not one.ok]
    assert [(one.subject, one.field) for one in missed] == [(key, "id")]


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ("program_gib_low: 14.56", "program_gib_low: 14.76", "program_gib_low <= program_gib_high"),
        ("reported_mib: 15360", "reported_mib: 14000", "a program sees no more than the driver"),
    ],
)
def test_gpus_are_checked(mutated, before, after, field):
    missed = [one for one in checks.check_file(mutated(before, after, GPU_FILE)) if not one.ok]
    assert [(one.subject, one.field, one.expected, one.actual) for one in missed] == [("t4", field, True, False)]


def test_a_gpu_without_any_memory_figure_is_refused(mutated):
    path = mutated("    reported_mib: 32768\n    bandwidth_gb_per_s: 880", "    bandwidth_gb_per_s: 880", GPU_FILE)
    with pytest.raises(FileFormatError, match="inferentia2: program_gib_low or reported_mib is needed"):
        checks.check_file(path)


@pytest.mark.parametrize("text", ["", "[]", "a: 1", "models: {}\ngpus: {}", "5", "deployments: {}"])
def test_a_file_that_is_none_of_the_three(tmp_path, text):
    path = tmp_path / "other.yaml"
    path.write_text(text)
    with pytest.raises(FileFormatError, match="must hold one"):
        checks.check_file(path)


# Plan files whole, and beside what they were

PLAN = {"model": "llama-3-8b", "gpu": "h100-sxm", "seq_len": 8192, "expect": {"fits": True}}


def plan_file(path, **deployments):
    entries = [{"name": name, **PLAN, **given} for name, given in deployments.items()]
    apart = json.loads(json.dumps({"deployments": entries}))  # what entries share would be written as an alias
    path.write_text(yaml.safe_dump(apart, sort_keys=False))
    return str(path)


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_a_broken_entry_does_not_hide_the_others(run, tmp_path, form):
    broken = {"model": "llama-3-9b"}, {"tensor_parallel_size": 3}
    first = plan_file(tmp_path / "a.yaml", good={}, one=broken[0], short={"expect": {"min_batch_size": 10**6}})
    second = plan_file(tmp_path / "b.yaml", two=broken[1], fine={})
    (tmp_path / "c.yaml").write_text("deployments: [")
    code, out, err = run("check", first, second, tmp_path / "c.yaml", tmp_path / "none.yaml", "--format", form)
    assert code == 2
    said = out + err
    lines = [line_of(tmp_path / "a.yaml", "llama-3-9b"), line_of(tmp_path / "b.yaml", "tensor_parallel_size: 3")]
    if form == "json":
        report = json.loads(out)
        assert err == ""
        assert (report["checked"], report["missed"]) == (3, 1)
        assert "deployments: 1 (one): model: unknown model 'llama-3-9b'" in report["problems"][0]["error"]
        assert [(Path(one["file"]).name, one["line"]) for one in report["problems"]] == [
            ("a.yaml", lines[0]),
            ("b.yaml", lines[1]),
            ("c.yaml", 2),  # where the text ends
            ("none.yaml", 1),
        ]
        return
    assert "2 of 3 expectations of 3 entries are met" in out
    for name, line in (("a", lines[0]), ("b", lines[1]), ("c", 2)):
        place = f"::error file={tmp_path}/{name}.yaml,line={line}::" if form == "github" else f"{name}.yaml:{line}:"
        assert place in said
    assert "none.yaml: cannot be read" in said
    assert "short: min_batch_size" in out


def test_what_differs_from_before_is_a_table(run, tmp_path, monkeypatch):
    """Against a file, and against a revision; 2 GPUs in place of 1 cost twice as much."""
    before = plan_file(tmp_path / "before.yaml", chat={}, old={}, same={})
    after = plan_file(tmp_path / "plans.yaml", chat={"tensor_parallel_size": 2}, new={}, same={})
    low, high = calculator.load_gpu("h100-sxm").price_usd_per_hour
    money = [f"${low * n:,.2f} to ${high * n:,.2f}" for n in (1, 2)]
    code, out, err = run("check", after, "--against", before)
    assert (code, err) == (0, "")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines() if line.startswith("| ")]
    assert rows[0] == ["deployment", "what", "before", "after", "change", "USD an hour"]
    chat = [row for row in rows if row[0] == "chat"]
    assert chat[0][5] == f"{money[0]} → {money[1]}"
    assert ["chat", "tensor_parallel_size", "1", "2", "+1", ""] in chat
    assert ["new", "new", "", "", "", f"- → {money[0]}"] in rows
    assert ["old", "gone", "", "", "", f"{money[0]} → -"] in rows
    assert not [row for row in rows if row[0] == "same"]

    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.c"]
    now = Path(after).read_text()
    Path(after).write_text(Path(before).read_text())
    for words in (["init", "-q"], ["add", "plans.yaml"], ["commit", "-qm", "before"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    Path(after).write_text(now)
    assert run("check", after, "--against", "HEAD") == (0, out, "")
    assert run("check", before, "--against", before)[1].startswith("nothing differs from")
    code, said, wrong = run("check", before, "--against", "no-such-revision")
    assert (code, "nothing differs" in said) == (2, False)
    assert "against 'no-such-revision': there is no such file" in wrong
    report = json.loads(run("check", after, "--against", "HEAD", "--format", "json")[1])
    assert {row["deployment"] for row in report["changed"]} == {"chat", "old", "new"}
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    _, out, _ = run("check", after, "--against", "HEAD", "--format", "github")
    notices = [line for line in out.splitlines() if line.startswith("::notice ")]
    assert [re.sub(r".*line=(\d+)::(\w+): .*", r"\1 \2", line) for line in notices] == [
        f"{line_of(Path(after), 'name: chat')} chat", "1 old", f"{line_of(Path(after), 'name: new')} new",
    ]  # fmt: skip
    assert "tensor_parallel_size: 1 → 2" in notices[0]
    assert summary.read_text() == "".join(f"{line}\n" for line in out.splitlines() if line.startswith("| "))
    fresh = plan_file(tmp_path / "fresh.yaml", first={})  # not there yet at that revision
    assert "| first | new |" in run("check", fresh, "--against", "HEAD")[1]
    for wrong in ("no-such-revision", "--output=x", ""):
        code, _, err = run("check", after, before, f"--against={wrong}")
        assert (code, err.count("\n")) == (2, 1)
        assert "against" in err
        code, out, err = run("check", after, before, f"--against={wrong}", "--format", "json")
        report = json.loads(out)
        assert (code, err, report["checked"]) == (2, "", 6)
        assert [problem["file"] for problem in report["problems"]] == [None]
    code, out, err = run("check", "--against=HEAD", "--format=json")
    assert (code, err, json.loads(out)["problems"][0]["line"]) == (2, "", None)
    assert run("check", "--against=HEAD", "--format=github")[1].startswith("::error::--against is of plan files")


def test_all_that_is_misstated_of_a_deployment_is_said_at_once(run, tmp_path):
    path = plan_file(tmp_path / "a.yaml", one={"tensor_parallel_size": 0, "expect": {"fits": 1}, "seq_length": 5})
    code, out, _ = run("check", path, "--format", "github")
    assert code == 2
    lines = sorted(line_of(tmp_path / "a.yaml", text) for text in ("tensor_parallel_size", "fits", "seq_length"))
    assert [int(line) for line in re.findall(r"^::error file=.*,line=(\d+)::", out, re.MULTILINE)] == lines


def test_the_action_gives_the_command_flags_that_it_has(run):
    action = yaml.safe_load((Path(__file__).parent.parent / "action.yml").read_text())
    steps = " ".join(step.get("run", "") for step in action["runs"]["steps"])
    flags = set(re.findall(r"--(?:against|upgrade-to|format)\b", steps))
    _, out, _ = run("check", "--help")
    assert flags == {"--against", "--upgrade-to", "--format"}
    assert all(flag in out for flag in flags)
