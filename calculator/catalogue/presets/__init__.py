"""Models and GPUs from the project's own strict YAML files.

A table is found when it is first asked for, by the name of a constant: ``presets.MODEL_FILE``.
"""

from pathlib import Path

from calculator.catalogue.presets.entries import EXPECTATION_FIELDS as EXPECTATION_FIELDS
from calculator.catalogue.presets.files import FILES as _FILES
from calculator.catalogue.presets.files import data_file as data_file
from calculator.catalogue.presets.files import gpu_file as gpu_file
from calculator.catalogue.presets.files import model_file as model_file
from calculator.catalogue.presets.files import more_gpus as more_gpus
from calculator.catalogue.presets.gpus import all_gpu_ids as all_gpu_ids
from calculator.catalogue.presets.gpus import gpu_id as gpu_id
from calculator.catalogue.presets.gpus import gpu_ids as gpu_ids
from calculator.catalogue.presets.gpus import load_gpu as load_gpu
from calculator.catalogue.presets.gpus import proposed_gpu_ids as proposed_gpu_ids
from calculator.catalogue.presets.known import is_a_preset as is_a_preset
from calculator.catalogue.presets.known import named as named
from calculator.catalogue.presets.models import load_model as load_model
from calculator.catalogue.presets.models import model_by_name as model_by_name
from calculator.catalogue.presets.models import model_ids as model_ids
from calculator.catalogue.presets.models import model_names as model_names
from calculator.catalogue.presets.models import model_of_files as model_of_files
from calculator.catalogue.presets.models import stated_name as stated_name
from calculator.messages import say as _say


def __getattr__(name: str) -> Path:
    """Find a table when it is first asked for."""
    if name in _FILES:
        return data_file(_FILES[name])
    raise AttributeError(
        _say(
            "presets.module_has_no_attribute", "module {name!r} has no attribute {name_2!r}", name=__name__, name_2=name
        )
    )
