"""The stored bytes of a checkpoint on the page: given, in the link, forgotten with the model that they were of."""

from pages import agrees, change, expected, open_page

import calculator

GIB = 2**30


def test_stored_bytes_are_asked_travel_and_belong_to_a_model():
    page = open_page(model="llama-3-8b", checkpoint_gib="9.5", seq_len=4096)
    asked = {"model": "llama-3-8b", "seq_len": 4096, "checkpoint_bytes": int(9.5 * GIB)}
    agrees(page, expected(**asked))
    assert expected(**asked).per_gpu.weights_bytes < calculator.plan("llama-3-8b", gpu="l4").per_gpu.weights_bytes
    assert page.query_params["checkpoint_gib"] == "9.5"
    change(page, "model", "qwen3-8b")
    agrees(page, expected(**{**asked, "model": "qwen3-8b", "checkpoint_bytes": None}))
