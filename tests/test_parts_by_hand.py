"""Parts of devices and links, each row against what makers and drivers publish, written out here once more."""

from fractions import Fraction

import pytest

import calculator
from calculator.catalogue.host_links import host_link
from calculator.catalogue.parts import mig, table, vgpu
from calculator.units import GIB

# nvidia-smi mig -lgip, as in NVIDIA's MIG user guide: profile, memory [GiB], multiprocessors
SLICES = {
    "a100-40gb":
        "1g.5gb 4.75 14, 1g.10gb 9.75 14, 2g.10gb 9.75 28, "
        "3g.20gb 19.62 42, 4g.20gb 19.62 56, 7g.40gb 39.5 98",
    "a100-80gb-sxm":
        "1g.10gb 9.5 14, 1g.20gb 19.5 14, 2g.20gb 19.5 28, "
        "3g.40gb 39.25 42, 4g.40gb 39.25 56, 7g.80gb 79 98",
    "h100-sxm":
        "1g.10gb 9.75 16, 1g.20gb 19.62 26, 2g.20gb 19.62 32, "
        "3g.40gb 39.5 60, 4g.40gb 39.5 64, 7g.80gb 79.25 132",
    "h100-pcie":
        "1g.10gb 9.75 14, 1g.20gb 19.62 14, 2g.20gb 19.62 30, "
        "3g.40gb 39.5 46, 4g.40gb 39.5 62, 7g.80gb 79.25 114",
    "h200":
        "1g.18gb 16 16, 1g.35gb 32.5 26, 2g.35gb 32.5 32, "
        "3g.71gb 69.5 60, 4g.71gb 69.5 64, 7g.141gb 140 132",
}  # fmt: skip
SLICES["a100-80gb-pcie"] = SLICES["a100-80gb-sxm"]
# data sheets: multiprocessors and memory [GB]
WHOLE = {"a100-40gb": (108, 40), "a100-80gb-sxm": (108, 80), "a100-80gb-pcie": (108, 80), "h100-sxm": (132, 80),
         "h100-pcie": (114, 80), "h200": (132, 141)}  # fmt: skip


@pytest.mark.parametrize("device", SLICES)
def test_slices_are_those_that_the_driver_lists(device):
    assert SLICES.keys() == mig.MIG.keys()
    whole, (multiprocessors, label) = calculator.load_gpu(device), WHOLE[device]
    rows = [row.split() for row in SLICES[device].split(", ")]
    assert [each.profile for each in mig.MIG[device].slices] == [profile for profile, _, _ in rows]
    for profile, gib, own in rows:
        part = calculator.load_gpu(f"{device}-mig-{profile}")
        assert part.memory_bytes == round(float(gib) * GIB)
        assert part.bf16_tflops == pytest.approx(whole.bf16_tflops * int(own) / multiprocessors, abs=0.0501)
        # of eight parts of the memory, by the size that the profile names
        eighths = round(8 * int(profile.split(".")[1].removesuffix("gb")) / label)
        assert part.bandwidth_gb_per_s == pytest.approx(whole.bandwidth_gb_per_s * eighths / 8, abs=0.0501)
        assert (part.gpus_per_node, part.link_gb_per_s, part.price_usd_per_hour, part.label_gb) == (1, None, None, None)
    seen = {each.profile for each in mig.MIG[device].slices if each.seen}
    assert seen == {"a100-80gb-sxm": {"1g.10gb"}, "a100-80gb-pcie": {"1g.10gb"}, "h200": {"1g.18gb"}}.get(device, set())


# NVIDIA's virtual GPU types: framebuffers of the Q profiles [GB], and of time-sliced MIG profiles (slices-framebuffer)
OF_24, OF_48 = "24 12 8 6 4 3 2 1", "48 24 16 12 8 6 4 3 2 1"
OF_80 = "80 40 20 16 10 8 5 4 7-80 4-40 3-40 2-20 1-20 1-10"
PROFILES = {
    "t4": "16 8 4 2 1", "a10": OF_24, "rtx-a5000": OF_24, "l4": OF_24, "a40": OF_48, "rtx-a6000": OF_48,
    "rtx-6000-ada": OF_48, "l40": OF_48, "l40s": OF_48, "a100-40gb": "40 20 10 8 5 4 7-40 4-20 3-20 2-10 1-10 1-5",
    "a100-80gb-pcie": OF_80, "a100-80gb-sxm": OF_80, "h100-pcie": OF_80, "h100-sxm": OF_80,
    "rtx-pro-6000-blackwell": "96 48 32 24 16 12 8 6 4 3 2 4-96 2-48 1-24",
}  # fmt: skip
BOARDS = {
    "t4": "t4", "a10": "a10", "a40": "a40", "rtx-a6000": "rtxa6000", "rtx-a5000": "rtxa5000", "l4": "l4", "l40": "l40",
    "rtx-6000-ada": "rtx6000 ada", "l40s": "l40s", "a100-40gb": "a100", "a100-80gb-pcie": "a100d",
    "a100-80gb-sxm": "a100dx", "h100-pcie": "h100", "h100-sxm": "h100xm",
    "rtx-pro-6000-blackwell": "rtx pro 6000 blackwell dc",
}  # fmt: skip


@pytest.mark.parametrize("device", PROFILES)
def test_virtual_devices_are_those_that_are_documented(device):
    assert PROFILES.keys() == vgpu.VGPU.keys()
    assert vgpu.VGPU[device].board == BOARDS[device]
    whole, here = calculator.load_gpu(device), f"{device}-vgpu-"
    assert {key for key in table.parts() if key.startswith(here)} == {
        f"{here}{one}q" for one in PROFILES[device].split()
    }
    most = max((int(one.split("-")[0]) for one in PROFILES[device].split() if "-" in one), default=1)
    for one in PROFILES[device].split():
        slices, size = ([most, *map(int, one.split("-"))])[-2:]
        part = calculator.load_gpu(f"{here}{one}q")
        if (device, size) != ("rtx-pro-6000-blackwell", 96):  # of which a program sees 95.5
            assert part.memory_bytes == size * GIB
        assert part.reported_mib == 1024 * size
        for mine, all_of_it in ((part.bf16_tflops, whole.bf16_tflops),
                                (part.bandwidth_gb_per_s, whole.bandwidth_gb_per_s)):  # fmt: skip
            assert mine == pytest.approx(all_of_it * slices / most, abs=0.0501)


# Apple's technical specifications: bandwidth [GB/s], memory [GB]
CHIPS = {
    "m1": "68.25 8 16", "m1-pro": "200 16 32", "m1-max": "400 32 64", "m1-ultra": "800 64 128", "m2": "100 8 16 24",
    "m2-pro": "200 16 32", "m2-max": "400 32 64 96", "m2-ultra": "800 64 128 192", "m3": "100 8 16 24",
    "m3-pro": "150 18 36", "m3-max": "400 36 48 64 96 128", "m3-ultra": "819 96 256 512", "m4": "120 16 24 32",
    "m4-pro": "273 24 48 64", "m4-max": "546 36 48 64 128",
}  # fmt: skip
SLOWER = {"m3-max-36gb": 300, "m3-max-96gb": 300, "m4-max-36gb": 410}  # a chip of the same name with fewer cores
# recommendedMaxWorkingSetSize of newer systems, as llama.cpp prints it [10^6 bytes]
NEWER = {16: 12_713.12, 24: 19_069.67, 32: 26_800.60, 36: 30_150.67, 48: 40_200.90, 64: 55_662.79, 128: 115_448.73}


def test_memory_of_apples_chips():
    ids = {key for key in table.parts() if key.startswith("apple-")}
    assert ids == {f"apple-{chip}-{size}gb" for chip in CHIPS for size in CHIPS[chip].split()[1:]}
    for chip, row in CHIPS.items():
        for size in map(int, row.split()[1:]):
            part = calculator.load_gpu(f"apple-{chip}-{size}gb")
            assert part.bandwidth_gb_per_s == SLOWER.get(f"{chip}-{size}gb", float(row.split()[0]))
            # two thirds up to 32 GB, three quarters above, of 512 29 / 32, in whole pages of 16 KiB
            share = Fraction(2, 3) if size <= 32 else Fraction(29, 32) if size == 512 else Fraction(3, 4)
            low = round(-(-size * GIB * share // 16_384) * 16_384 / 10**6, 2)
            high = NEWER.get(size, low)
            assert part.memory_bytes == (round(low * 10**6) + round(high * 10**6)) // 2
            assert part.program_gib == (f"{low * 10**6 / GIB:.2f}", f"{high * 10**6 / GIB:.2f}")
            assert ("newer systems allow more" in part.memory_source) is (size in NEWER)
            assert ("newer systems may allow more" in part.memory_source) is (size not in NEWER)
            seen = size not in (18, 96, 192, 256)
            assert part.memory_verified is seen
            assert part.unverified == (("bandwidth_gb_per_s",) if seen else ("memory", "bandwidth_gb_per_s"))
            assert (part.label_gb, part.gpus_per_node, part.vendor, part.generation) == (size, 1, "Apple", "apple")
            assert part.name == f"Apple {chip.replace('-', ' ').title()} {size} GB"


@pytest.mark.parametrize(
    ("device", "generation", "central", "low", "high"),
    [
        # GB/s into the device: NVIDIA/nvbandwidth issues 42, 15 and 53; 6; 23 and 41, and half of 342 both ways at once
        *((device, generation, 25.1, 11, 26.4) for device, generation in
          (("a100-80gb-sxm", "ampere"), ("l40s", "ada"), ("mi250x", "cdna2"))),
        *((device, generation, 56.9, 12.3, 57.1) for device, generation in
          (("h200", "hopper"), ("b200", "blackwell"), ("mi300x", "cdna3"), ("mi355x", "cdna4"))),
        ("gh200-144gb", "hopper", 342, 171, 346),
        # 12 of 16 GB/s; of PCIe 4.0 11 and 26.4 of 25.1: 5.3 and 12.6, rounded up to 13
        ("v100-16gb", "volta", 12, 5.3, 13), ("t4", "turing", 12, 5.3, 13), ("p40", "pascal", 12, 5.3, 13),
    ],
)  # fmt: skip
def test_links_to_the_host_as_measured(device, generation, central, low, high):
    link = host_link(device, generation)
    assert (link.gb_per_s, link.gb_per_s_low, link.gb_per_s_high) == (central, low, high)


@pytest.mark.parametrize(
    ("device", "generation"),
    [
        ("gb200", "blackwell"),
        ("gb300", "blackwell"),
        ("x", "apple"),
        ("mi300a", "cdna3"),
        ("jetson-agx-thor", "blackwell"),
        ("jetson-agx-orin-32gb", "ampere"),
        ("x", ""),
    ],
)
def test_a_link_that_was_not_measured_is_none(device, generation):
    assert host_link(device, generation) is None
