"""Shipped tables of requests: lengths, relative times and numbered blocks only, each with its licence beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "data" / "traces"


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a table comes from, and under which licence."""

    file: str
    licence: str
    source: str


_AZURE = "Azure/AzurePublicDataset b469a11, data/AzureLLMInferenceTrace_{}.csv; Patel et al., Splitwise, ISCA 2024"
_MOONCAKE = "kvcache-ai/Mooncake 3b5a594, FAST25-release/traces/{}_trace.jsonl; Qin et al., Mooncake, FAST 2025"
_SERVEGEN = "drawn from the histograms of alibaba/ServeGen f891d11, data/{}; Xiang et al., arXiv 2505.09999"
TRACES = {
    "azure-2023-conversation": Trace("azure_llm_2023_conv.csv", "CC-BY 4.0", _AZURE.format("conv")),
    "azure-2023-code": Trace("azure_llm_2023_code.csv", "CC-BY 4.0", _AZURE.format("code")),
    "mooncake-conversation": Trace("mooncake_conversation.csv", "Apache-2.0", _MOONCAKE.format("conversation")),
    "mooncake-synthetic": Trace("mooncake_synthetic.csv", "Apache-2.0", _MOONCAKE.format("synthetic")),
    "vidur-arxiv-summarisation": Trace(
        "vidur_arxiv_summarisation.csv", "MIT",
        "microsoft/vidur 7d47513, data/processed_traces/arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv; "
        "Agrawal et al., Vidur, MLSys 2024",
    ),
    "servegen-m-large": Trace(
        "servegen_m_large_resampled.csv", "Apache-2.0", _SERVEGEN.format("language/m-large, 63 % of its request rate")
    ),
    "servegen-deepseek-r1": Trace(
        "servegen_deepseek_r1_resampled.csv", "Apache-2.0",
        _SERVEGEN.format("reason/deepseek-r1, reasoning among the output"),
    ),
}  # fmt: skip


def trace_text(name: str) -> bytes:
    """Return the content of a shipped table."""
    return (_FOLDER / TRACES[name].file).read_bytes()
