"""Write ``reference_encoders.json``: the sizes that the config classes of encoders have where a config is silent.

``python make_encoders.py > reference_encoders.json``, with transformers 5.23.0 installed.
"""

import importlib
import json
import pkgutil

import transformers
from transformers.configuration_utils import PreTrainedConfig

TYPES = """
qwen2_vl_vision qwen2_5_vl_vision qwen3_vl_vision qwen3_vl_moe_vision cohere_compass_vision qwen3_5_vision
qwen3_5_moe_vision siglip_vision_model clip_vision_model qwen2_5_omni_vision_encoder qwen3_omni_moe_vision_encoder
pixtral llama4_vision_model gemma4_vision internvl_vision qianfan_ocr_vision kimi_k25_vision glm4v_vision
glm4v_moe_vision glm_ocr_vision idefics3_vision smolvlm_vision paddleocr_vl_vision siglip2_vision_model step3p5_vision
minimax_m3_vl_vision exaone4_5_vision qwen2_audio_encoder audioflamingo3_encoder voxtral_encoder
qwen2_5_omni_audio_encoder qwen3_omni_moe_audio_encoder qwen3_asr_encoder
"""


def classes():
    """Yield every config class of the library by its model type."""
    for found in pkgutil.iter_modules(transformers.models.__path__):
        try:
            module = importlib.import_module(f"transformers.models.{found.name}.configuration_{found.name}")
        except ImportError:
            continue
        for each in vars(module).values():
            if isinstance(each, type) and issubclass(each, PreTrainedConfig) and each.__module__ == module.__name__:
                yield getattr(each, "model_type", ""), each


def is_size(key, value):
    """Whether a value is a whole number, a switch, or a list of whole numbers, and of the encoder itself."""
    if key.startswith(("output_attentions", "output_hidden", "return_", "is_encoder", "chunk_size_feed")):
        return False
    return type(value) in (int, bool) or (isinstance(value, list) and all(type(each) is int for each in value))


if __name__ == "__main__":
    made = {kind: each().to_dict() for kind, each in classes() if kind in TYPES.split()}
    rows = {
        kind: {key: value for key, value in sorted(made[kind].items()) if is_size(key, value)} for kind in TYPES.split()
    }
    print("{" + ",\n".join(f'"{kind}": {json.dumps(row)}' for kind, row in rows.items()) + "}")
