"""Make the lines of the engine's tables: what vLLM 0.33.0's own code plans for a config, without a GPU.

The engine's configuration, model class, layers, grouping, page unification and planner run as they are. In their place
stand only: a platform that says it is an H100 of 80 GB, groups of ranks that know their size and rank and send
nothing, and the ``meta`` device, on which the model has shapes and no memory. No kernel runs, and the memory that is
left for the KV cache is given instead of profiled.

Two things can differ from a real device: kernels that are written in ``cutlass`` count as there, and those of
``flashinfer`` as absent, so a block size that is left to a kernel of theirs is not to be trusted (Gemma 4 with fp8).

Set up (about 9 GB; Python 3.11 and gcc, no GPU, no driver), in a folder outside the repository::

    python3.11 -m venv engine && engine/bin/pip install vllm==0.33.0

Run; a config is the path of a ``config.json``, or the name of a case in ``reference_parameters.jsonl`` or of a preset
that has one. Some of those leave out keys that the engine wants (DeepSeek, Kimi K2): take the published file::

    engine/bin/python make_engine.py make engine_hybrids.csv gpt-oss-20b=config.json -o tp=1,2,8
    engine/bin/python make_engine.py make engine_pools.csv whisper-large-v3 -o max_model_len=448
    engine/bin/python make_engine.py check engine_hybrids.csv --configs FOLDER
    engine/bin/python make_engine.py check engine_pools.csv --configs FOLDER

``make`` prints a line for every combination of the options; ``remake`` prints every line of a file anew; ``check``
does the same and prints those that differ. FOLDER holds ``<name>.json`` for names that are not known otherwise.

Columns
-------
preset, case
    A preset of the calculator; the same, or a case of ``reference_parameters.jsonl``.
tp, pp
    Tensor and pipeline parallel size [-].
dtype
    ``bf16``: the model's own 16 bit; else vLLM's ``--kv-cache-dtype``.
max_model_len, max_num_batched_tokens
    As asked for [tokens].
async_scheduling
    ``true`` or ``false``, as asked for.
variant
    A name for both and for the hybrid KV cache manager; see ``VARIANTS``.
asked_block_size
    ``--block-size``, empty for the engine's choice [tokens].
available_gib
    Memory for the KV cache on each rank [GiB].
block_size
    ``cache_config.block_size`` once the layers are known [tokens].
kv_heads_per_rank
    ``ModelConfig.get_num_kv_heads`` [-].
bytes_per_token_per_rank
    What each token adds in all layers of a rank: page bytes over block tokens [bytes].
bytes_per_block
    One block of the pool in all layers of a rank that share it; with stages, those of each, with a slash [bytes].
num_blocks
    ``KVCacheConfig.num_blocks``, the fewest of all ranks [-].
kv_tokens, max_concurrency
    ``get_kv_cache_capacity``: what the log prints, unrounded [tokens], [-].
request_blocks
    Blocks that one request of ``max_model_len`` takes [-].
longest
    ``_estimate_max_model_len_from_groups`` with the block held back, up to ``LIMIT``; the least of all stages [tokens].
longest_blocks
    Blocks that one request of that length takes [-].
refused
    The first words of the engine's refusal; then the engine does not start, and the columns that follow from the
    length are empty.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import ctypes
import importlib.abc
import importlib.machinery
import itertools
import json
import os
import pickle
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

HERE = Path(__file__).parent
GIB = 2**30
LIMIT = 1_000_000_000
DRIVER_CALLS = (
    "cuInit", "cuDriverGetVersion", "cuGetProcAddress", "cuGetProcAddress_v2", "cuGetErrorString", "cuGetErrorName",
    "cuPointerGetAttribute", "cuTensorMapEncodeTiled",
)  # fmt: skip
VARIANTS = {
    "default": {"max_num_batched_tokens": 8192, "async_scheduling": True},
    "2048": {"max_num_batched_tokens": 2048, "async_scheduling": False},
    "no hybrid manager": {
        "max_num_batched_tokens": 8192, "async_scheduling": True, "disable_hybrid_kv_cache_manager": True,
    },
}  # fmt: skip
COLUMNS = {
    "engine_plans.csv": (
        "preset", "tp", "dtype", "kv_heads_per_rank", "bytes_per_token_per_rank", "max_model_len", "num_blocks",
        "kv_tokens", "max_concurrency",
    ),
    "engine_hybrids.csv": (
        "preset", "tp", "dtype", "max_model_len", "variant", "block_size", "bytes_per_block", "num_blocks",
        "kv_tokens", "max_concurrency",
    ),
    "engine_pools.csv": (
        "case", "tp", "pp", "dtype", "max_model_len", "max_num_batched_tokens", "async_scheduling",
        "asked_block_size", "available_gib", "block_size", "bytes_per_block", "num_blocks", "kv_tokens",
        "max_concurrency", "request_blocks", "longest", "longest_blocks", "refused",
    ),
}  # fmt: skip
SHARED = ("tp", "pp", "dtype", "asked_block_size")
ASKED = {
    "tp": 1, "pp": 1, "dtype": "bf16", "max_model_len": 8192, "variant": "default", "max_num_batched_tokens": 8192,
    "async_scheduling": "true", "asked_block_size": "", "available_gib": 20,
}  # fmt: skip


class Ranks:
    """A group of ranks that knows its size and which of them this is, and sends nothing."""

    device_communicator = mq_broadcaster = None
    use_device_communicator = use_custom_op_call = False
    local_rank = 0
    unique_name = "ranks"

    def __init__(self, size: int, rank: int = 0) -> None:
        self.world_size, self.rank, self.rank_in_group, self.ranks = size, rank, rank, list(range(size))
        self.is_first_rank, self.is_last_rank = rank == 0, rank == size - 1
        self.device_group = self.cpu_group = SimpleNamespace(size=lambda: size, rank=lambda: rank)


def load_driver_of_no_device() -> None:
    """Load a library in the driver's place that answers every call with "no device" (100), where there is no driver."""
    with contextlib.suppress(OSError):
        ctypes.CDLL("libcuda.so.1", mode=ctypes.RTLD_GLOBAL)
        return
    with tempfile.TemporaryDirectory() as folder:
        library = str(Path(folder, "libcuda.so.1"))
        source = "".join(f"int {name}(void) {{ return 100; }}\n" for name in DRIVER_CALLS)
        compiler = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-Wl,-soname,libcuda.so.1", "-o", library]
        subprocess.run(compiler, input=source, text=True, check=True)
        ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)


def pretend() -> None:
    """Make vLLM believe that it runs on an H100 of 80 GB."""
    os.environ.update(VLLM_LOGGING_LEVEL="ERROR", HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="")
    import torch  # noqa: F401

    load_driver_of_no_device()
    sys.modules["flashinfer"] = None  # kernels that ask the device at import; none of this one is among those chosen
    import vllm.platforms as platforms
    from vllm.platforms.cuda import CudaPlatformBase
    from vllm.platforms.interface import DeviceCapability

    class H100(CudaPlatformBase):
        """What the engine asks a device about itself."""

        @classmethod
        def get_device_capability(cls, device_id: int = 0) -> DeviceCapability:  # noqa: ARG003
            return DeviceCapability(9, 0)

        @classmethod
        def get_device_name(cls, device_id: int = 0) -> str:  # noqa: ARG003
            return "NVIDIA H100 80GB HBM3"

        @classmethod
        def get_device_total_memory(cls, device_id: int = 0) -> int:  # noqa: ARG003
            return 85_520_809_984

        @classmethod
        def is_fully_connected(cls, device_ids: list[int]) -> bool:  # noqa: ARG003
            return True

        @classmethod
        def device_count(cls) -> int:
            return 64

        @classmethod
        def num_compute_units(cls, device_id: int = 0) -> int:  # noqa: ARG003
            return 132

        @classmethod
        def is_integrated_gpu(cls, device_id: int = 0) -> bool:  # noqa: ARG003
            return False

    platforms._current_platform = H100()
    from vllm.model_executor.models import registry

    def inspected_here(self):
        """Return what the engine asks of a model class, in this process: another would not know of the platform."""
        return registry._ModelInfo.from_model_cls(self.load_model_cls())

    registry._LazyRegisteredModel.inspect_model_cls = inspected_here


class Anything(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands for the package that kernels are written in, which asks the device at import."""

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002
        """Return a module that has everything."""
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.split(".")[0] == "cutlass" else None

    def create_module(self, spec):
        """Return the module."""
        module = ModuleType(spec.name)
        module.__getattr__ = lambda name: MagicMock(name=name)
        return module

    def exec_module(self, module) -> None:
        """Run nothing."""


def place_on_meta() -> None:
    """Let layers that ask for the current device build on the meta device."""
    import torch

    sys.modules.pop("cutlass", None)
    sys.meta_path.insert(0, Anything())
    torch.cuda.current_device = lambda: "meta"
    torch.cuda.Stream = torch.cuda.Event = type("Nothing", (), {"__init__": lambda *_, **__: None})


def with_architecture(config: dict) -> dict:
    """Return a config that names its model class, by the table of transformers, and no format of its weights."""
    config = {name: value for name, value in config.items() if name != "quantization_config"}
    if config.get("architectures"):
        return config
    from transformers.models.auto import modeling_auto as auto

    for table in ("SPEECH_SEQ_2_SEQ", "SEQ_TO_SEQ_CAUSAL_LM", "CAUSAL_LM", "IMAGE_TEXT_TO_TEXT"):
        name = getattr(auto, f"MODEL_FOR_{table}_MAPPING_NAMES", {}).get(config["model_type"])
        if name:
            return {**config, "architectures": [name if isinstance(name, str) else name[0]]}
    raise ValueError(f"no model class is known for {config['model_type']}: name it under 'architectures'")


def engine_config(folder: str, row: dict):
    """Return the engine's configuration for what is asked."""
    from vllm.engine.arg_utils import EngineArgs

    return EngineArgs(
        model=folder,
        skip_tokenizer_init=True,
        load_format="dummy",
        dtype="bfloat16",
        kv_cache_dtype="auto" if row["dtype"] == "bf16" else row["dtype"],
        max_model_len=int(row["max_model_len"]),
        tensor_parallel_size=int(row["tp"]),
        pipeline_parallel_size=int(row["pp"]),
        block_size=int(row["asked_block_size"]) if row["asked_block_size"] else None,
        distributed_executor_backend="mp" if int(row["tp"]) * int(row["pp"]) > 1 else "uni",
        max_num_batched_tokens=int(row["max_num_batched_tokens"]),
        async_scheduling=str(row["async_scheduling"]).lower() == "true",
        disable_hybrid_kv_cache_manager=row.get("disable_hybrid_kv_cache_manager"),
        enforce_eager=True,
        max_num_seqs=256,
    ).create_engine_config()


def layer_specs(config, stage: int, built: dict) -> dict:
    """Build the model of one stage on the meta device; return what its layers keep, by the engine's own layers."""
    import torch
    import vllm.distributed.parallel_state as state
    from vllm.config import set_current_vllm_config
    from vllm.model_executor.model_loader.utils import initialize_model
    from vllm.platforms import current_platform
    from vllm.utils.torch_utils import set_default_torch_dtype
    from vllm.v1.worker.gpu.attn_utils import get_kv_cache_spec
    from vllm.v1.worker.workspace import init_workspace_manager

    tp, pp = config.parallel_config.tensor_parallel_size, config.parallel_config.pipeline_parallel_size
    for name in ("_DP", "_PCP", "_DCP", "_ETP", "_EPLB"):
        setattr(state, name, Ranks(1))
    state._WORLD, state._TP, state._EP, state._PP = Ranks(tp * pp, stage * tp), Ranks(tp), Ranks(tp), Ranks(pp, stage)
    config.parallel_config.rank, config.device_config.device = stage * tp, torch.device("meta")
    if stage not in built:
        config.compilation_config.static_forward_context.clear()
        with set_current_vllm_config(config), set_default_torch_dtype(config.model_config.dtype), torch.device("meta"):
            current_platform.device_type = "meta"
            init_workspace_manager(torch.device("meta"))
            initialize_model(config)
            current_platform.device_type = "cuda"
        built[stage] = dict(config.compilation_config.static_forward_context)
    config.compilation_config.static_forward_context = built[stage]
    current_platform.update_block_size_for_backend(config)
    with set_current_vllm_config(config):
        return get_kv_cache_spec(config)


def plan(row: dict, folder: str, built: dict) -> None:
    """Add to a row all that the engine answers; layers that are built stay for the next row of the model."""
    from vllm.config import set_current_vllm_config
    from vllm.distributed.kv_transfer.kv_connector.utils import get_current_attn_backends
    from vllm.v1.attention.backends.utils import get_supported_kv_cache_layouts, resolve_kv_cache_layout
    from vllm.v1.core import kv_cache_planning as planning
    from vllm.v1.core.kv_cache_config_builder import get_kv_cache_config_builder
    from vllm.v1.core.kv_cache_utils import generate_scheduler_kv_cache_config, get_kv_cache_capacity
    from vllm.v1.core.single_type_kv_cache_manager import register_all_kvcache_specs

    config = engine_config(folder, row)
    model, available = config.model_config, int(float(row["available_gib"]) * GIB)
    specs = [layer_specs(config, stage, built) for stage in range(int(row["pp"]))]
    row["block_size"] = config.cache_config.block_size
    row["kv_heads_per_rank"] = model.get_num_kv_heads(config.parallel_config)
    row["bytes_per_token_per_rank"] = sum(spec.page_size_bytes // spec.block_size for spec in specs[0].values())
    with set_current_vllm_config(config):
        register_all_kvcache_specs(config)
        layouts = [layout.name for layout in get_supported_kv_cache_layouts(get_current_attn_backends(config))]
        resolve_kv_cache_layout(config, [layouts], [spec for stage in specs for spec in stage.values()])
        groups = planning.get_global_kv_cache_groups(config, specs)
        builder = get_kv_cache_config_builder(config)
        of_stages = [planning._project_kv_cache_groups_to_worker(groups, spec) for spec in specs]
        blocks = [planning._pool_bytes_per_block_from_builder(builder, config, one) for one in of_stages]
        row["bytes_per_block"] = "/".join(str(block) for block in dict.fromkeys(blocks))

        def taken(length: int) -> int:
            asked, model.max_model_len = model.max_model_len, length
            needed = planning._max_memory_usage_bytes_from_groups(builder, config, of_stages[0])
            model.max_model_len = asked
            return needed // blocks[0]

        row["request_blocks"] = taken(model.max_model_len)
        asked, model.max_model_len = model.max_model_len, LIMIT
        row["longest"] = min(
            planning._estimate_max_model_len_from_groups(builder, config, one, available - block)
            for one, block in zip(of_stages, blocks, strict=True)
        )
        model.max_model_len = asked
        row["longest_blocks"] = taken(row["longest"]) if row["longest"] else ""
        plans = planning.get_kv_cache_configs(config, specs, [available] * len(specs), groups)
        row["num_blocks"] = plans[0].num_blocks
        row["kv_tokens"], row["max_concurrency"] = get_kv_cache_capacity(
            config, generate_scheduler_kv_cache_config(plans)
        )


def refusal(error: BaseException) -> str:
    """Return the first words of a refusal."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = next((one for one in lines if one.startswith("Value error, ")), lines[0] if lines else "")
    return f"{type(error).__name__}: {line.removeprefix('Value error, ').split(' (')[0]}"[:120]


def in_a_process_of_its_own(rows: list[dict], config_json: dict, verbose: bool):
    """Yield the rows of one model as planned in a child, so that nothing of one model stays for the next."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        sink = os.open(os.devnull, os.O_WRONLY)
        if not verbose:
            os.dup2(sink, 1)
            os.dup2(sink, 2)
        built: dict = {}
        with os.fdopen(writing, "wb") as pipe, tempfile.TemporaryDirectory() as folder:
            for row in rows:
                try:
                    Path(folder, "config.json").write_text(json.dumps(with_architecture(config_json)), "utf-8")
                    plan(row, folder, built)
                except BaseException as error:
                    if verbose:
                        traceback.print_exc()
                    row["refused"] = refusal(error)
                pickle.dump(row, pipe)
                pipe.flush()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        for _ in rows:
            yield pickle.load(pipe)
    os.waitpid(child, 0)


def asked_of(row: dict, columns: tuple[str, ...]) -> dict:
    """Return what a line asks for, with the defaults and what its variant stands for."""
    asked = {**ASKED, **{name: value for name, value in row.items() if name in ASKED or name == columns[0]}}
    return {**asked, **VARIANTS[asked["variant"]]} if "variant" in columns else asked


@cache
def known_configs() -> dict[str, dict]:
    """Return the configs of the presets that have one and of the cases of the reference."""
    import yaml

    lines = (HERE / "reference_parameters.jsonl").read_text(encoding="utf-8").splitlines()
    found = {case["case"]: case["config"] for case in reversed([json.loads(line) for line in lines])}
    with (HERE.parents[1] / "model_presets.yaml").open(encoding="utf-8") as file:
        presets = yaml.load(file, Loader=yaml.CSafeLoader)["models"]
    return {**{name: preset["config"] for name, preset in presets.items() if "config" in preset}, **found}


def config_of(name: str, folder: Path | None) -> dict | None:
    """Return the config of a name: a file of the folder, else that of a case of the reference or of a preset."""
    if folder and (path := folder / f"{name}.json").exists():
        return json.loads(path.read_text(encoding="utf-8"))
    return known_configs().get(name)


def rows_of(table: str) -> list[dict]:
    """Return the lines of a file."""
    with (HERE / table).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def shown(found: dict, columns: tuple[str, ...]) -> dict:
    """Return a row as its file has it."""
    return {name: str(found.get(name, "")) for name in columns}


def main() -> int:
    """Make lines, or check those that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=("make", "remake", "check"))
    parser.add_argument("table", choices=tuple(COLUMNS))
    parser.add_argument("names", nargs="*", help="a name, or name=config.json; else: only these of the file")
    parser.add_argument("-o", "--option", action="append", default=[], help="column=value,value,…")
    parser.add_argument("--configs", type=Path)
    parser.add_argument("--verbose", action="store_true")
    asked = parser.parse_args()
    columns = COLUMNS[asked.table]
    key = columns[0]
    pretend()
    place_on_meta()
    import vllm.engine.arg_utils
    import vllm.model_executor.model_loader.utils
    import vllm.v1.core.kv_cache_planning
    import vllm.v1.worker.gpu.attn_utils  # noqa: F401

    if asked.verb == "make":
        options = {name: values.split(",") for name, _, values in (one.partition("=") for one in asked.option)}
        lines = []
        for name in asked.names:
            name, _, path = name.partition("=")
            config = json.loads(Path(path).read_text(encoding="utf-8")) if path else config_of(name, asked.configs)
            if config is None:
                parser.error(f"{name} is no case of reference_parameters.jsonl; give name=config.json")
            lines += [
                ({key: name, **dict(zip(options, values, strict=True))}, config)
                for values in itertools.product(*options.values())
            ]
    else:
        lines = [
            (row, config_of(row[key], asked.configs))
            for row in rows_of(asked.table)
            if not asked.names or row[key] in asked.names
        ]
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    equal = different = missing = 0
    of_models: dict = {}
    for row, config in lines:
        missing += config is None
        if config is not None:
            given = asked_of(row, columns)
            of_models.setdefault(tuple(given[name] for name in (key, *SHARED)), []).append((row, given, config))
    for model in of_models.values():
        answers = in_a_process_of_its_own([given for _, given, _ in model], model[0][2], asked.verbose)
        for (row, _, _), answer in zip(model, answers, strict=True):
            found = shown(answer, columns)
            if asked.verb != "check":
                writer.writerow(found)
                sys.stdout.flush()
                continue
            unlike = {name: (row[name], found[name]) for name in columns if row[name] != found[name]}
            equal, different = equal + (not unlike), different + bool(unlike)
            if unlike:
                print(*(row[name] for name in columns[:5]), unlike, answer.get("refused", ""), flush=True)
    if asked.verb == "check":
        print(f"{equal} equal, {different} differ, {missing} without a config")
    return bool(different)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
