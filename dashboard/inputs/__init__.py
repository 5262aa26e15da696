"""The inputs: what the reader asks, and what was made of it; each is a real control that any page may show."""

from dashboard.inputs.asked import calibration_chip, keywords, settle
from dashboard.inputs.engine import SWITCHES, ask_engine, ask_engine_and_version, ask_memory, ask_more, how_many_set
from dashboard.inputs.formats import ask_kv_cache, ask_weights
from dashboard.inputs.gpu import ask_gpu
from dashboard.inputs.length import ask_length
from dashboard.inputs.model import ask_encoder, ask_model, choose_model, chosen_model
from dashboard.inputs.numbers import ask_number
from dashboard.inputs.split import ask_split, ask_tensor_parallel

__all__ = [
    "SWITCHES",
    "ask_encoder",
    "ask_engine",
    "ask_engine_and_version",
    "ask_gpu",
    "ask_kv_cache",
    "ask_length",
    "ask_memory",
    "ask_model",
    "ask_more",
    "ask_number",
    "ask_split",
    "ask_tensor_parallel",
    "ask_weights",
    "calibration_chip",
    "choose_model",
    "chosen_model",
    "how_many_set",
    "keywords",
    "settle",
]
