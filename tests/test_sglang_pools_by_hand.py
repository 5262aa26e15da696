"""SGLang's pools of tokens, windows and states, and what sets its fraction, by hand (0.5.23 and before)."""

from types import SimpleNamespace

import pytest

import calculator
from calculator.architecture.caches import Recurrence, State
from calculator.architecture.sums import Cached
from calculator.engines.pools import Claim, Pool
from calculator.engines.sglang.fraction import ByMemory, ByRanks, ByWork, Start, encoder_factor, reported_mib
from calculator.engines.sglang.groups import CountedPool, WindowPools
from calculator.engines.sglang.states import state_bytes, with_states

GDN = Recurrence.GATED_DELTA_NET
WHOLE = Pool(64, (Claim(1),))


def state(**more):
    return State(GDN, 30, 2, 1_000, 4, **more)


def cut(whole=WHOLE, version="0.5.23", **asked):
    rules = SimpleNamespace(**{
        "state_ratio": 0.9, "slots_follow_requests": True, "most_slots": 512, "padding_slots": 1, "version": version,
        "asked_version": version, **{key: asked.pop(key) for key in [*asked] if key in RULES},
    })  # fmt: skip
    request = SimpleNamespace(**{
        "enable_prefix_caching": None, "mamba_ssm_cache_dtype": "auto", "block_size": 1, "max_num_seqs": 2_048,
        "split": SimpleNamespace(replicas=1), "speculative_config": None, **asked,
    })  # fmt: skip
    return with_states(rules, whole, [Cached(state(), 3)], request)


RULES = {"state_ratio", "slots_follow_requests", "most_slots", "padding_slots"}


def drafts(tokens):
    return SimpleNamespace(num_tokens=tokens)


@pytest.mark.parametrize(
    ("asked", "drafted", "at_once", "each", "slots"),
    # three slots a request under a cache of prefixes, else one; then as many as are asked for, of a rank that serves
    # its own, or 512; a draft and the token that is checked beside it
    [
        ({}, 0, 0, 3, 0), ({"enable_prefix_caching": True}, 0, 0, 3, 0),
        ({"enable_prefix_caching": False}, 0, 0, 1, 512),
        ({"enable_prefix_caching": False, "max_num_seqs": 40}, 0, 0, 1, 40),
        ({"enable_prefix_caching": False, "max_num_seqs": 2_047}, 0, 0, 1, 2_047),
        ({"enable_prefix_caching": False, "max_num_seqs": 40, "split": SimpleNamespace(replicas=8)}, 0, 0, 1, 5),
        ({"enable_prefix_caching": False, "slots_follow_requests": False}, 0, 0, 1, 0),
        ({"max_num_seqs": 40}, 0, 0, 3, 0), ({"speculative_config": drafts(3), "max_num_seqs": 40}, 4, 40, 3, 0),
        ({"speculative_config": drafts(None), "max_num_seqs": 40}, 1, 40, 3, 0),
    ],
)  # fmt: skip
def test_slots_of_states(asked, drafted, at_once, each, slots):
    found = cut(**asked)
    # three layers of 30 values in 16 bit and 1,000 in 32
    assert found.pools == (WHOLE, Pool(3 * 4_060, (Claim(0, fixed=each),)))
    assert (found.ratio, found.padding, found.block_size) == (0.9, 1, 1)
    assert (found.drafted, found.at_once, found.slots_each, found.slots) == (drafted, at_once, each, slots)


def test_states_alone_and_before_they_were_read():
    assert cut(whole=None).pools == (Pool(3 * 4_060, (Claim(0, fixed=3),)),)
    with pytest.raises(calculator.UnsupportedError, match=r"how SGLang 0\.4\.4 keeps states is not known") as caught:
        cut(version="0.4.4", state_ratio=0)
    assert (caught.value.what, caught.value.asked) == ("engine_version", "0.4.4")


@pytest.mark.parametrize(
    ("made", "asked", "size"),
    # 16 bit for a convolution whatever is asked; the state in what is asked, else in what the model names, else 32 bit
    [
        (state(), "auto", 60 + 4_000), (state(), "bfloat16", 60 + 2_000), (state(), "float32", 60 + 4_000),
        (State(GDN, 30, 4, 1_000, 2), "auto", 60 + 4_000),
        (State(GDN, 30, 4, 1_000, 2, state_named=True), "auto", 60 + 2_000),
    ],
)  # fmt: skip
def test_bytes_of_a_state(made, asked, size):
    assert state_bytes(made, asked) == size


def test_pools_in_a_ratio_of_tokens():
    # 100 + 0.8 x 50 bytes for a token: 10,000 hold 71; pages of 16: 64 and int(51.2) // 16
    pools = (Pool(100, (Claim(1),)), Pool(50, (Claim(1, 8),)))
    assert WindowPools(pools, 1, 0.8).counts(10_000, 1) == (71, 56)
    paged = (Pool(1_600, (Claim(16),)), Pool(800, (Claim(16, 8),)))
    assert WindowPools(paged, 16, 0.8).counts(10_000, 1) == (4, 3)
    # counted at fewer bytes than a page takes
    assert CountedPool((Pool(64, (Claim(1),)),), 1, 50).counts(1_000, 1) == (20,)


# The fraction that is derived


def start(**more):
    stated = {
        "memory_mib": 50_000, "tensor_parallel_size": 4, "pipeline_parallel_size": 1, "chunk": 4_096,
        "largest_batch": 32, "attention_dp": False, "latent": False, "prefill_graphs": True,
    }  # fmt: skip
    return Start(**stated | more)


@pytest.mark.parametrize(
    ("rule", "asked", "reserved"),
    [
        # 512 + 1.5 x 4,096 + 1,024 x 4 / 8 + 2 x 32 [MiB]
        (ByWork(False), {}, 7_232), (ByWork(False), {"pipeline_parallel_size": 2}, 7_744),
        (ByWork(False), {"chunk": 2_048}, 4_160), (ByWork(False), {"chunk": 2_047}, 4_160),
        (ByWork(False), {"chunk": 2_049}, 4_161.5),
        # 50 sizes of prompts of 8; of latent attention 1,536
        (ByWork(True), {}, 7_632), (ByWork(True), {"latent": True}, 8_768),
        (ByWork(True), {"prefill_graphs": False}, 7_232),
        # 3 x batch x ranks, half as much again above 300
        (ByWork(False), {"attention_dp": True}, 7_616),
        (ByWork(False), {"attention_dp": True, "largest_batch": 300}, 7_168 + 600 + 3_600),
        (ByWork(False), {"attention_dp": True, "largest_batch": 301}, 7_168 + 602 + 3_612 + 1_806),
        # at least 10 GiB above 60
        (ByWork(False), {"memory_mib": 61_440}, 7_232), (ByWork(False), {"memory_mib": 61_441}, 10_240),
        (ByWork(False), {"memory_mib": 61_441, "chunk": 16_384}, 25_664),
        # GiB and GiB for each rank, below so many MiB; 4 GiB more where ranks serve their own
        (ByMemory(((50_000, 1, 1), (2**40, 2, 0.5)), 4_096), {}, 4 * 1_024),
        (ByMemory(((50_001, 1, 1), (2**40, 2, 0.5)), 4_096), {}, 5 * 1_024),
        (ByMemory(((50_001, 1, 1), (2**40, 2, 0.5)), 4_096), {"attention_dp": True}, 9 * 1_024),
    ],
)  # fmt: skip
def test_what_is_reserved(rule, asked, reserved):
    asked = start(**asked)
    assert rule.fraction(asked) == round((asked.memory_mib - reserved) / asked.memory_mib, 3)


def test_a_fraction_by_ranks():
    rule = ByRanks(((8, 0.8), (2, 0.9), (1, 0.95)))
    assert [rule.fraction(start(tensor_parallel_size=ranks)) for ranks in (1, 2, 7, 8, 9)] == [0.95, 0.9, 0.9, 0.8, 0.8]
    assert start(pipeline_parallel_size=3).ranks == 12


def test_what_an_encoder_takes_off():
    def model(**config):
        return SimpleNamespace(towers={"vision_config": ()}, fields={"vision_config": config})

    assert encoder_factor(SimpleNamespace(towers={"audio_config": ()}, fields={}), 0.9) == 1.0
    assert encoder_factor(model(), 0.9) == 0.9
    # ViT-L/14, which stands in where a config names neither
    assert encoder_factor(model(), None) == encoder_factor(model(num_hidden_layers=24, hidden_size=1_024), None) == 0.95
    assert encoder_factor(SimpleNamespace(towers={"vision_config": ()}, fields=None), None) == 0.95
    # twice, three and four times as much; half
    for layers, factor in ((48, 0.9), (72, 0.8), (96, 0.8), (12, 1.05), (13, 1 + 11 / 240)):
        found = encoder_factor(model(num_hidden_layers=layers, hidden_size=1_024), None)
        assert found == pytest.approx(0.95 * min(factor, 1.05), abs=1e-12)


def test_what_a_driver_reports():
    assert [reported_mib(2**30, driver) for driver in (None, 0, 900)] == [1_024, 1_024, 900]
    assert reported_mib(1, None) == 1
