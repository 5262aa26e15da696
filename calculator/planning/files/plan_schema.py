"""What may stand in a plan file, and its JSON Schema."""

from __future__ import annotations

import json
from dataclasses import replace

from calculator.architecture.decoder import ARCHITECTURE_FIELDS, PER_LAYER
from calculator.architecture.limits import MAX_HEADS
from calculator.hardware import ACCELERATOR_FIELDS
from calculator.planning.files.expectations import EXPECTATIONS, OF_SERVICE
from calculator.planning.sizing.prices import MOST_USD_PER_HOUR
from calculator.planning.traffic.inputs import LENGTHS, RISK, TRAFFIC
from calculator.reading.fields import Either, Field, Listed, Nested, count, flag, left_out, mapping, number, text
from calculator.reading.schema import Schema
from calculator.request import PLAN_FIELDS
from calculator.request.calibration import CALIBRATION_FIELDS

MAX_DEPLOYMENTS = 1_000
FILE_NAME = "deployments.yaml"
"""How the name of a plan file ends; the hook of pre-commit goes by it."""

_EXPECT_FIELDS: dict[str, Field] = {name: count(2**62, minimum=0, required=False) for name in EXPECTATIONS} | {
    "fits": flag(required=False),
    "max_price_usd_per_hour": number(10**9, required=False),
    **{name: number(10**9, required=False) for name in OF_SERVICE},
}
WORKLOAD_FIELDS: dict[str, Field] = {
    "workload": replace(text(80, required=False), help="lengths of a table in the package, by its id"),
    "trace": replace(text(400, required=False), help="lengths of a CSV file, found beside this one"),
    **{name: replace(field, required=False) for name, field in {**LENGTHS, **TRAFFIC}.items()},
    **RISK,
}
DESCRIPTION = ("id", "name", "huggingface_id", "family", "source", "checked", "unverified")
MODEL_FIELDS: dict[str, Field] = {
    **{name: text(400, required=False) for name in DESCRIPTION},
    "preset": text(200, required=False),
    "config": mapping(required=False),
    "checkpoint": replace(
        text(1_000, required=False),
        help="a checkpoint's folder, its config.json or a .gguf file, beside this one",
    ),
    "assume_full_attention": flag(required=False),
    "variations": Nested(
        name="Variations",
        fields={
            "num_key_value_heads": Either(
                kinds=(count(MAX_HEADS), Listed(item=count(MAX_HEADS, minimum=0), least=1)), required=False
            ),
            "windows": flag(required=False),
            "sliding_window": replace(PER_LAYER["sliding_window"], required=False),
        },
        required=False,
    ),
}
GPU_FIELDS: dict[str, Field] = {"preset": text(80, required=False), **ACCELERATOR_FIELDS}
_MODEL_NAME, _GPU_NAME, _FILE_NAME, _PRICE = text(200), text(80), text(400), number(MOST_USD_PER_HOUR)
_BY_HAND = ARCHITECTURE_FIELDS | {
    name: Either(kinds=(ARCHITECTURE_FIELDS[name], each)) for name, each in PER_LAYER.items()
}
_ONE_MODEL = Nested(name="Model", fields=MODEL_FIELDS | left_out(_BY_HAND), open=True)
DEPLOYMENT_FIELDS: dict[str, Field] = {
    "name": replace(text(120), help="what to call the deployment"),
    "model": Either(
        kinds=(_MODEL_NAME, _ONE_MODEL),
        help="a preset id or Hugging Face id; or the keys of a config.json; or an architecture, a preset, a config or "
        "a checkpoint's files",
    ),
    "gpu": Either(
        kinds=(_GPU_NAME, Nested(name="Gpu", fields=GPU_FIELDS)),
        required=False,
        help="a preset id, or the fields of a GPU; may be left out where gpu_memory_bytes is given",
    ),
    **left_out(PLAN_FIELDS),
    "calibration": Either(
        kinds=(_FILE_NAME, Nested(name="Calibration", fields=CALIBRATION_FIELDS)),
        required=False,
        help="what one machine holds, as reconcile writes it: its values, or their file, found beside this one",
    ),
    "workload": Nested(
        name="Workload",
        fields=WORKLOAD_FIELDS,
        required=False,
        help="the traffic over all replicas: means, a table of the package, or the file of a trace beside this one",
    ),
    "price_usd_per_hour": Either(
        kinds=(_PRICE, Listed(item=_PRICE, least=2, most=2)),
        required=False,
        help="your own price of one GPU an hour, or the lowest and the highest, in place of the catalogue's example",
    ),
    "expect": Nested(name="Expect", fields=_EXPECT_FIELDS, help="what the plan must come to, at least one of them"),
}
DEPLOYMENT = Schema("Deployment", DEPLOYMENT_FIELDS)
NAMED_MODEL, NAMED_GPU = Schema("NamedModel", {"model": _MODEL_NAME}), Schema("NamedGpu", {"gpu": _GPU_NAME})
MODEL, GPU = Schema("Model", MODEL_FIELDS), Schema("Gpu", GPU_FIELDS)
_FILE = Schema(
    "PlanFile",
    {"deployments": Listed(item=Nested(name="Deployment", fields=DEPLOYMENT_FIELDS), least=1, most=MAX_DEPLOYMENTS)},
)


def json_schema() -> str:
    """Return the JSON Schema of plan files, for editors."""
    made = _FILE.json_schema("Plan file", "Deployments of a KV-cache capacity plan, with what is expected of them.")
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def saved_name(name: str) -> str:
    """Return the name of a file that a deployment is saved under, which the hook of pre-commit finds."""
    return f"{name}.{FILE_NAME}"
