"""What GPUs are called, by people, drivers and logs; and devices that are parts of others."""

import pytest

import calculator
from calculator.catalogue import presets
from calculator.catalogue.parts.mig import MIG

GIB = 2**30


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        # nvidia-smi, torch.cuda.get_device_name
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb-sxm"),
        ("NVIDIA A100-PCIE-40GB", "a100-40gb"),
        ("Tesla V100-SXM2-32GB", "v100-32gb"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "rtx-4090-laptop"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000-blackwell"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"),
        ("NVIDIA GH200 480GB", "gh200-96gb"),
        ("NVIDIA B300 SXM6 AC", "b300"),
        ("NVIDIA GB10", "gb10"),
        ("NVIDIA H800", "h800-sxm"),
        ("NVIDIA A800 80GB PCIe", "a800-80gb-pcie"),
        ("NVIDIA H20-3e", "h20-141gb"),
        ("NVIDIA TITAN RTX", "titan-rtx"),
        ("Quadro RTX 5000", "rtx-5000-turing"),
        ("NVIDIA Thor", "jetson-agx-thor"),
        ("AMD Instinct MI300A", "mi300a"),
        ("AMD Radeon RX 9070 XT", "rx-9070-xt"),
        # rocm-smi, npu-smi, Metal and SYCL
        ("AMD Instinct MI300X OAM", "mi300x"),
        ("Ascend910B3", "ascend-910b"),
        ("Intel(R) Arc(TM) B580 Graphics", "arc-b580"),
        # people
        ("RTX 4090", "rtx-4090"),
        ("rtx4090", "rtx-4090"),
        ("4070ti", "rtx-4070-ti"),
        ("a100 80gb sxm", "a100-80gb-sxm"),
        ("RTX A5000", "rtx-a5000"),
        ("M4 Max 128GB", "apple-m4-max-128gb"),
        ("  h200 ", "h200"),
        # parts
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", "a100-80gb-sxm-mig-1g.10gb"),
        ("A100 MIG 3g.20gb", "a100-40gb-mig-3g.20gb"),
        ("NVIDIA RTX Pro 6000 Blackwell DC-4-96Q", "rtx-pro-6000-blackwell-vgpu-4-96q"),
        ("GRID A100D-80C", "a100-80gb-pcie-vgpu-80q"),
    ],
)
def test_a_name_means_a_device(name, gpu):
    assert calculator.load_gpu(name).id == gpu


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("H100", {"h100-pcie", "h100-sxm", "h100-nvl"}),
        ("H100 80GB", {"h100-pcie", "h100-sxm"}),
        ("A100", {"a100-40gb", "a100-80gb-sxm", "a100-80gb-pcie"}),
        ("RTX 4060 Ti", {"rtx-4060-ti-8gb", "rtx-4060-ti-16gb"}),
        ("RTX 6000", {"rtx-6000-ada", "rtx-6000-turing", "rtx-pro-6000-blackwell"}),
        ("Orin", {"jetson-agx-orin-32gb", "jetson-agx-orin-64gb"}),
        ("Apple M1", {"apple-m1-8gb", "apple-m1-16gb"}),
        ("NVIDIA GeForce RTX 3080 Laptop GPU", {"rtx-3080-laptop-8gb", "rtx-3080-laptop-16gb"}),
        ("H100 MIG 3g.40gb", {"h100-pcie-mig-3g.40gb", "h100-sxm-mig-3g.40gb"}),
    ],
)
def test_a_name_that_can_mean_several_is_refused_with_the_choices(name, choices):
    with pytest.raises(
        calculator.UnknownNameError, match=f"unknown GPU '{name}': it can be .* name one of them"
    ) as error:
        calculator.load_gpu(name)
    assert set(error.value.allowed) == choices


@pytest.mark.parametrize(
    "name",
    ["rtx-9090", "RTX 4080 Ti", "RTX 3090 Super", "H100 XYZ", "NVIDIA", "80GB", "", "MIG 9g.10gb", "T4-3Q"],
)
def test_an_unknown_gpu_says_that_its_memory_will_do(name):
    with pytest.raises(calculator.UnknownNameError, match=r"gpu_memory_bytes, or --gpu-memory-gib on the command line"):
        calculator.load_gpu(name)


def test_every_device_answers_to_its_id_and_its_name():
    for key in presets.all_gpu_ids():
        gpu = calculator.load_gpu(key)
        assert gpu.id == key
        assert calculator.load_gpu(key.upper()) is gpu
        if key in calculator.gpu_ids():
            assert calculator.load_gpu(gpu.name) is gpu
        if key in presets.more_gpus().entries and key != "gb10":
            # a driver shows no more than the label in GiB, and at most 8 % less of it
            assert 0.92 * gpu.label_gb * GIB < gpu.memory_bytes <= gpu.label_gb * GIB or (
                gpu.vendor == "Huawei" or key == "mi300a"
            )


def test_memory_is_what_programs_print():
    # 98304 MiB to nvidia-smi, about 95.5 GiB to a program
    assert calculator.load_gpu("DC-4-96Q").memory_bytes == int(95.5 * GIB)
    # llama.cpp, recommendedMaxWorkingSetSize of 16 GB: 11453.25 MB, on newer systems 12713.12 MB
    assert calculator.load_gpu("Apple M1 16GB").memory_bytes == (11_453_250_000 + 12_713_120_000) // 2
    # nvidia-smi mig -lgip: 4.75 GiB, 14 of 108 multiprocessors
    part, whole = calculator.load_gpu("a100-40gb-mig-1g.5gb"), calculator.load_gpu("a100-40gb")
    assert part.memory_bytes == int(4.75 * GIB)
    assert part.bf16_tflops == pytest.approx(whole.bf16_tflops * 14 / 108, abs=0.1)
    assert part.bandwidth_gb_per_s == pytest.approx(whole.bandwidth_gb_per_s / 8, abs=0.1)


def test_slices_are_no_more_than_their_device():
    for device, sliced in MIG.items():
        whole = calculator.load_gpu(device)
        for each in sliced.slices:
            assert float(each.gib) * GIB <= whole.memory_bytes * 1.01
            assert each.multiprocessors <= sliced.multiprocessors


def test_a_name_stands_where_a_gpu_is_named():
    by_name = calculator.plan("llama-3-8b", gpu="NVIDIA H100 80GB HBM3")
    assert by_name.request == calculator.plan("llama-3-8b", gpu="h100-sxm").request
    assert calculator.plan("qwen3-0.6b", gpu="rtx-4060-laptop").request.gpu == "rtx-4060-laptop"
