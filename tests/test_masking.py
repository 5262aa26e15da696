"""Secrets in foreign text: each form is masked, and what is none is left."""

import pytest

from calculator.logs.reading import read_log
from calculator.reading.masking import mask, mask_paths

SHOWN = {
    # what a line holds: what may be left of it
    "hf_abcdefghijkl": "hf_•••",
    "sk-abcdef123456": "sk-•••",
    "sk-proj-abc_def-123456": "sk-•••",
    "ghp_abcdefgh1234": "ghp_•••",
    "ghr_abcdefgh1234": "ghr_•••",
    "github_pat_11ABCDEFG0abcdefghij": "github_pat_•••",
    "glpat-abcdefghij12345": "glpat-•••",
    "xoxb-123456789012-abcdef": "xoxb-•••",
    "nvapi-abcdefgh_123": "nvapi-•••",
    "AKIAIOSFODNN7EXAMPLE": "AKIA•••",
    "ASIAIOSFODNN7EXAMPLE": "ASIA•••",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc": "eyJ•••",
    "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG": "aws_secret_access_key=•••",
    "api_key='12345678'": "api_key=•••",
    "'api_key': ['mysecret']": "'api_key': [•••]",
    '{"token": "abc def ghi"}': '{"token": •••}',
    "token: abcdef": "token: •••",
    "HF_TOKEN=abcdef": "HF_TOKEN=•••",
    "Authorization: Bearer abcdefghijk": "Authorization: Bearer •••",
    "Authorization: Basic dXNlcjpwYXNz": "Authorization: Basic •••",
    "sent Bearer abcdefghijk": "sent Bearer •••",
    "https://me:pass@host/": "https://•••@host/",
    "redis://:pass@host/": "redis://•••@host/",
    "https://mytoken@host/": "https://•••@host/",
    "https://host/?access_token=abcdef&x=1": "https://host/?access_token=•••&x=1",
    "--api-key mysecret \\": "--api-key ••• \\",
    "--api-key abc --port 80": "--api-key ••• --port 80",
    "--api-key first second --port 80": "--api-key ••• --port 80",
    "--hf-token abcdef --port 80": "--hf-token ••• --port 80",
    "--hf_token 'ab cd' -p 80": "--hf_token ••• -p 80",
    "-password abc -p 80": "-password ••• -p 80",
    "['--admin-api-key', 'abc', 'def', '--port', '80']": "['--admin-api-key', •••, '--port', '80']",
    "--api-key --port 80": "--api-key --port 80",
    'curl -H "Authorization: Bearer mysecret" http://host': 'curl -H "Authorization: Bearer •••" http://host',
    "args {'api_key': ['first', 'second'], 'port': 80}": "args {'api_key': [•••], 'port': 80}",
    "Namespace(api_key=[\"a]b\", 'c'], port=80)": "Namespace(api_key=[•••], port=80)",
    "{'token': ('first', 'second')}": "{'token': (•••)}",
}


@pytest.mark.parametrize("secret", SHOWN)
def test_a_secret_is_masked_wherever_it_stands(secret):
    assert mask(f"memory {secret} end") == f"memory {SHOWN[secret]} end"


@pytest.mark.parametrize(
    "text",
    [
        "/data/task-something/hub memory",
        "kv_tokens=1,000, max_num_tokens=8192, tokens: 12345",
        "https://huggingface.co/someone/small@main",
        "--max-num-batched-tokens 8192 --tokenizer-mode auto --stop-tokens a b",
        "risk-averse AKIA me@host",
    ],
)
def test_what_is_no_secret_is_left(text):
    assert mask(text) == text


def test_paths_are_masked_and_addresses_are_left():
    text = "Permission denied: '/home/me/.cache/huggingface/x', C:\\Users\\me\\x (see https://host/a/b) ~/x a/b 1/2"
    assert mask_paths(text) == "Permission denied: '•••', ••• (see https://host/a/b) ••• a/b 1/2"


def test_no_secret_of_a_command_or_a_list_is_left_in_a_log():
    lines = "  --api-key mysecret \\\nargs {'api_key': ['firstsecret','secondsecret']}\n"
    log = read_log(f"GPU KV cache size: 1,000 tokens\n{lines}")
    assert [text for _, text in log.not_understood] == ["--api-key ••• \\", "args {'api_key': [•••]}"]
