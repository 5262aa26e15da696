"""A checkpoint's folder: what its headers say is what is counted, and what is no header is refused by name."""

import json
import os

import pytest
from checkpoints import llama_tensors, write_safetensors
from small_config import CONFIG

import calculator
from calculator.architecture.weights import weight_bytes_per_rank

CONFIG = {**CONFIG, "hidden_size": 512, "intermediate_size": 1024}


def plain(_, __, outputs, inputs):
    return {"weight": ("BF16", (outputs, inputs))}


def mixed(layer, module, outputs, inputs):
    """Block fp8, and the attention of layer 0 in 16 bit."""
    if layer == 0 and module.startswith("self_attn"):
        return plain(layer, module, outputs, inputs)
    scales = (-(-outputs // 128), -(-inputs // 128))
    return {"weight": ("F8_E4M3", (outputs, inputs)), "weight_scale_inv": ("F32", scales)}


FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}


def folder(path, tensors, files=1, index=True, **config):
    """Write a checkpoint's folder; return the bytes of its tensors."""
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps({**CONFIG, **config}))
    names, total, where = list(tensors), 0, {}
    for number in range(files):
        part = names[number::files]
        file = f"model-{number + 1:05}-of-{files:05}.safetensors"
        total += write_safetensors(path / file, {name: tensors[name] for name in part})
        where |= dict.fromkeys(part, file)
    if index:
        content = {"metadata": {"total_size": total}, "weight_map": where}
        (path / "model.safetensors.index.json").write_text(json.dumps(content))
    return total


@pytest.mark.parametrize("linear", [plain, mixed], ids=["16 bit", "mixed"])
def test_weights_are_the_sum_of_all_tensors(tmp_path, linear):
    section = {"quantization_config": FP8} if linear is mixed else {}
    total = folder(tmp_path, llama_tensors(CONFIG, linear), files=2, **section)
    model = calculator.load_model(str(tmp_path))
    assert model.weights_from == "headers"
    assert weight_bytes_per_rank(model) == (total,)
    assert "headers of 2 files" in model.source


def test_a_rank_holds_its_part_of_each_module(tmp_path):
    """TP 2: of layer 0 the attention in 16 bit, all other projections in fp8, halved; 2 KV heads, one a rank."""
    folder(tmp_path, llama_tensors(CONFIG, mixed), quantization_config=FP8)
    model = calculator.load_model(str(tmp_path))
    attention, mlp = 512 * 512 * 2 + 512 * 256 * 2, 3 * 1024 * 512
    scales_of_attention = 4 * (2 * 4 * 4 + 2 * 2 * 4)
    scales_of_mlp = 4 * 3 * 8 * 4
    layers = 2 * attention // 2 + (attention + scales_of_attention) // 2 + 2 * (mlp + scales_of_mlp) // 2
    vectors = 2 * 512 * (2 * 2 + 1)
    ends = 2 * 2 * 1000 * 512 // 2
    assert weight_bytes_per_rank(model, tensor_parallel_size=2) == (layers + vectors + ends,)


def test_formats_are_named_by_their_share(tmp_path):
    folder(tmp_path, llama_tensors(CONFIG, mixed), quantization_config=FP8)
    model = calculator.load_model(str(tmp_path))
    assert model.resolve_weight_dtype("auto") == "fp8-block"
    # fp8: 786,432 of attention, 3,145,728 of MLPs; 16 bit: 786,432 and 1,024,000 of the ends and 2,560 of norms
    assert model.stored_as == "68.4 % fp8-block, 31.6 % 16 bit"


def test_an_index_alone_gives_the_size(tmp_path):
    total = folder(tmp_path, llama_tensors(CONFIG, plain), files=2)
    (tmp_path / "model-00001-of-00002.safetensors").unlink()
    model = calculator.load_model(str(tmp_path))
    assert model.weights_from == "index"
    assert weight_bytes_per_rank(model) == (total,)


def test_layers_for_drafts_are_not_loaded(tmp_path):
    tensors = llama_tensors(CONFIG, plain)
    more = {"model.layers.2.eh_proj.weight": ("BF16", (512, 1024)), "mtp.fc.weight": ("BF16", (512, 1024))}
    total = folder(tmp_path, {**tensors, **more})
    assert weight_bytes_per_rank(calculator.load_model(str(tmp_path))) == (total - 2 * 2 * 512 * 1024,)


def test_the_file_beside_the_config_says_how_weights_are_stored(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    said = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8",
                                                              "exclude_modules": ["lm_head"]}}  # fmt: skip
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(said))
    for name in (tmp_path, tmp_path / "config.json"):
        model = calculator.load_model(str(name))
        assert (model.resolve_weight_dtype("auto"), model.resolve_kv_dtype("auto")) == ("fp8", "fp8_e4m3")


def header(text, size=0):
    return len(text).to_bytes(8, "little") + text + b"\0" * size


ONE = '{"a": {"dtype": "%s", "shape": %s, "data_offsets": %s}}'
HOSTILE = {
    "empty": (b"", "ends after 0 bytes"),
    "a header of 2 GB": ((2**31).to_bytes(8, "little") + b"{}", "a header of 2147483648 bytes; at most 33,554,432"),
    "cut short": (header(b"{" + b" " * 100 + b"}")[:40], "is cut short"),
    "data cut short": (header((ONE % ("BF16", "[4]", "[0, 8]")).encode(), 4), "is cut short: the header describes 8"),
    "no JSON": (header(b"{nonsense"), "not valid JSON"),
    "no text": (header(b"{\xff\xfe}"), "not UTF-8"),
    "pickled": (header(b"\x80\x04c__builtin__"), "not UTF-8"),
    "twice": (header(b'{"a": {}, "a": {}}'), "duplicate key 'a'"),
    "another type": (header((ONE % ("Q4", "[4]", "[0, 8]")).encode(), 8), "of the type 'Q4', which is not known"),
    "another size": (header((ONE % ("BF16", "[5]", "[0, 8]")).encode(), 8), "takes 10 bytes, and not 8"),
    "negative": (header((ONE % ("BF16", "[-4]", "[0, 8]")).encode(), 8), "has the shape"),
    "huge": (header((ONE % ("BF16", "[99999999999999999999]", "[0, 8]")).encode(), 8), "has the shape"),
    "a hole": (header((ONE % ("BF16", "[4]", "[8, 16]")).encode(), 16), "begins at 8, not at 0"),
    "deep": (header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "nested too deeply"),
}


@pytest.mark.parametrize(("content", "said"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_header_is_refused_by_name(tmp_path, content, said):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(calculator.FileFormatError, match=said) as refused:
        calculator.load_model(str(tmp_path))
    assert "model.safetensors" in str(refused.value)


@pytest.mark.parametrize("name", ["pipe.safetensors", "pipe.gguf"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    os.mkfifo(tmp_path / name)
    with pytest.raises(calculator.FileFormatError, match="no regular file"):
        calculator.load_model(str(tmp_path / name if name.endswith(".gguf") else tmp_path))


def test_a_tensor_stands_in_one_file_and_adapters_are_no_weights(tmp_path):
    stored = folder(tmp_path, llama_tensors(CONFIG, plain), index=False)
    write_safetensors(tmp_path / "adapter_model.safetensors", {"base_model.x.lora_A.weight": ("BF16", (16, 512))})
    assert weight_bytes_per_rank(calculator.load_model(str(tmp_path)))[0] == stored
    write_safetensors(tmp_path / "model-copy.safetensors", {"model.norm.weight": ("BF16", (512,))})
    with pytest.raises(calculator.FileFormatError, match=r"'model\.norm\.weight', which .* holds already"):
        calculator.load_model(str(tmp_path))


def test_an_index_of_2_gb_is_not_read(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with (tmp_path / "model.safetensors.index.json").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(calculator.FileFormatError, match="larger than 50,331,648 bytes"):
        calculator.load_model(str(tmp_path))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd.safetensors", ".hidden.safetensors", "a.bin"])
def test_an_index_names_files_beside_it(tmp_path, name):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(calculator.FileFormatError, match="is not the name of a safetensors file beside it"):
        calculator.load_model(str(tmp_path))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model.layers.1.mlp.up_proj.weight": ("BF16", (1024, 500))}, "mlp.up_proj: the headers hold 512,000 weights"),
        ({"model.layers.1.mlp.strange.weight": ("BF16", (1024, 2048))}, "hold 'mlp.strange' of 4,194,304 bytes"),
    ],
)
def test_tensors_of_another_model_are_refused(tmp_path, changed, said):
    folder(tmp_path, {**llama_tensors(CONFIG, plain), **changed})
    with pytest.raises(calculator.FileFormatError, match=said):
        calculator.load_model(str(tmp_path))


def test_a_layer_without_tensors_is_refused(tmp_path):
    tensors = {name: kind for name, kind in llama_tensors(CONFIG, plain).items() if ".layers.1." not in name}
    folder(tmp_path, tensors)
    with pytest.raises(calculator.FileFormatError, match="no tensor of layer 1 of 2"):
        calculator.load_model(str(tmp_path))


def one_by_one(at, width):
    """Return eight experts of Mixtral, each a module of its own."""
    shapes = {"w1": (width, 512), "w3": (width, 512), "w2": (512, width)}
    return {f"{at}.block_sparse_moe.experts.{expert}.{name}.weight": ("BF16", shape)
            for expert in range(8) for name, shape in shapes.items()}  # fmt: skip


def test_experts_by_other_names(tmp_path):
    tensors = {name: kind for name, kind in llama_tensors(CONFIG, plain).items() if ".mlp." not in name}
    for layer in range(2):
        at = f"model.layers.{layer}"
        tensors |= {f"{at}.block_sparse_moe.gate.weight": ("BF16", (8, 512)), **one_by_one(at, 1024)}
    experts = {"num_local_experts": 8, "num_experts_per_tok": 2}
    total = folder(tmp_path, tensors, model_type="mixtral", **experts)
    model = calculator.load_model(str(tmp_path))
    assert weight_bytes_per_rank(model) == (total,)
    # experts, projections and ends are halved; the routers and the norms are not
    kept = 2 * 2 * (8 * 512 + 2 * 512) + 2 * 512
    assert weight_bytes_per_rank(model, tensor_parallel_size=2) == ((total - kept) // 2 + kept,)


def test_experts_that_are_stored_as_one_tensor(tmp_path):
    """gpt-oss: gate and up in one tensor, blocks and scales apart, biases in 16 bit; down's bias is not split."""
    tensors = {name: kind for name, kind in llama_tensors(CONFIG, plain).items() if ".mlp." not in name}
    for layer in range(2):
        at = f"model.layers.{layer}"
        for projection, outputs in (("q", 512), ("k", 256), ("v", 256), ("o", 512)):
            tensors[f"{at}.self_attn.{projection}_proj.bias"] = ("BF16", (outputs,))
        tensors |= {f"{at}.self_attn.sinks": ("BF16", (4,)), f"{at}.mlp.router.weight": ("BF16", (8, 512)),
                    f"{at}.mlp.router.bias": ("BF16", (8,))}  # fmt: skip
        for name, outputs, inputs in (("gate_up_proj", 2048, 512), ("down_proj", 512, 1024)):
            stem = f"{at}.mlp.experts.{name}"
            tensors[f"{stem}_blocks"] = ("U8", (8, outputs, inputs // 32, 16))
            tensors[f"{stem}_scales"] = ("U8", (8, outputs, inputs // 32))
            tensors[f"{stem}_bias"] = ("BF16", (8, outputs))
    section = {"quantization_config": {"quant_method": "mxfp4"}, "head_dim": 128, "sliding_window": 128}
    total = folder(tmp_path, tensors, model_type="gpt_oss", num_local_experts=8, num_experts_per_tok=2, **section)
    model = calculator.load_model(str(tmp_path))
    assert weight_bytes_per_rank(model) == (total,)
    kept = 2 * 2 * (8 * 512 + 8 + 2 * 512 + 512 + 8 * 512) + 2 * 512
    assert weight_bytes_per_rank(model, tensor_parallel_size=2) == ((total - kept) // 2 + kept,)


@pytest.mark.parametrize("vary", [{}, {"num_key_value_heads": 4}], ids=["as it is", "with other heads"])
def test_a_plan_file_names_a_checkpoint_by_its_path_from_the_file(tmp_path, vary):
    folder(tmp_path / "own", llama_tensors(CONFIG, mixed), quantization_config=FP8)
    (tmp_path / "plans").mkdir()
    path, asked = str(tmp_path / "own"), {"gpu": "rtx-4090", "seq_len": 1024}
    plan = calculator.plan(path, **asked)
    assert plan.weights_from == "headers"
    content = calculator.write_plan_file(plan, "own", tmp_path / "plans")
    assert "checkpoint: ../own" in content
    if vary:
        content = content.replace("checkpoint: ../own", f"checkpoint: ../own\n    variations: {json.dumps(vary)}")
        content = content[: content.index("  expect:")] + "  expect: {fits: true}\n"
    (tmp_path / "plans" / "deployments.yaml").write_text(content)
    (read,) = calculator.read_plan_file(tmp_path / "plans" / "deployments.yaml")
    assert read.plan.weights_from == "headers"
    if vary:
        assert read.plan.model.num_key_value_heads == 4
    else:
        assert read.plan.as_dict() == plan.as_dict()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("{checkpoint: nowhere}", "3.*model of checkpoint 'nowhere': it is no folder, config.json or .gguf file"),
        ("{checkpoint: nowhere.gguf}", "3.*model of checkpoint 'nowhere.gguf': .*No such file"),
        ("{checkpoint: own, preset: llama-3-8b}", "3.*model states checkpoint beside preset: a model is one of them"),
        ("{checkpoint: 7}", ".*checkpoint must be text, not 7"),
    ],
)
def test_what_is_no_checkpoint_is_refused_with_the_line_of_the_file(tmp_path, model, said):
    (tmp_path / "own").mkdir()
    file = tmp_path / "deployments.yaml"
    file.write_text(f"deployments:\n  - name: a\n    model: {model}\n    gpu: l4\n    expect: {{fits: true}}\n")
    with pytest.raises(calculator.FileFormatError, match=f"deployments.yaml:{said}"):
        calculator.read_plan_file(file)


def test_a_model_of_headers_without_its_path_is_not_written(tmp_path):
    folder(tmp_path, llama_tensors(CONFIG, mixed), quantization_config=FP8)
    plan = calculator.plan(calculator.load_model(str(tmp_path)), gpu="rtx-4090", seq_len=1024)
    with pytest.raises(calculator.UnsupportedError, match="are named where the plan was made by their path"):
        calculator.write_plan_file(plan, "own")
