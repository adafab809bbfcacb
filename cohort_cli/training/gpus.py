"""GPUs that people rent or own: memory, speed, and where the numbers stand; and how well published runs used theirs.

The speed is the peak of dense bf16 matrix products that sum in float32, which is what training uses. Data sheets like
to print twice that ("with sparsity"). Memory is the vendor's number, taken as 10^9 bytes: a little less than there is.
"""

from __future__ import annotations

from typing import NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.manifest import did_you_mean

GB = 1e9  # bytes
TERA = 1e12


class Gpu(NamedTuple):
    name: str
    memory: float  # bytes
    flops: float  # FLOP/s at its peak: dense bf16, or float32 where there are no bf16 units
    source: str
    bf16: bool = True


NVIDIA = "https://www.nvidia.com/"
SHEETS = NVIDIA + "content/dam/en-zz/Solutions/Data-Center/"
PAPERS = "https://images.nvidia.com/aem-dam/Solutions/geforce/"
GPUS = {
    "b200": Gpu("B200", 180 * GB, 2250 * TERA, NVIDIA + "en-us/data-center/hgx/"),
    "h200": Gpu("H200 SXM", 141 * GB, 989.4 * TERA, NVIDIA + "en-us/data-center/h200/"),
    "h100": Gpu("H100 SXM", 80 * GB, 989.4 * TERA, NVIDIA + "en-us/data-center/h100/"),
    "h100-pcie": Gpu("H100 PCIe", 80 * GB, 756 * TERA, NVIDIA + "en-us/data-center/h100/"),
    "a100": Gpu("A100 80 GB", 80 * GB, 312 * TERA, NVIDIA + "en-us/data-center/a100/"),
    "a100-40": Gpu("A100 40 GB", 40 * GB, 312 * TERA, NVIDIA + "en-us/data-center/a100/"),
    "l40s": Gpu("L40S", 48 * GB, 362 * TERA, NVIDIA + "en-us/data-center/l40s/"),
    "l4": Gpu("L4", 24 * GB, 121 * TERA, NVIDIA + "en-us/data-center/l4/"),
    "a10": Gpu("A10", 24 * GB, 125 * TERA, SHEETS + "a10/pdf/a10-datasheet.pdf"),
    "t4": Gpu(
        "T4", 16 * GB, 8.1 * TERA, SHEETS + "tesla-t4/t4-tensor-core-datasheet-951643.pdf", bf16=False
    ),
    "rtx5090": Gpu(
        "RTX 5090", 32 * GB, 209.5 * TERA, PAPERS + "blackwell/nvidia-rtx-blackwell-gpu-architecture.pdf"
    ),
    "rtx4090": Gpu("RTX 4090", 24 * GB, 165.2 * TERA, PAPERS + "ada/nvidia-ada-gpu-architecture.pdf"),
    "rtx3090": Gpu(
        "RTX 3090", 24 * GB, 71 * TERA, NVIDIA + "content/PDF/nvidia-ampere-ga-102-gpu-architecture-whitepaper-v2.pdf"
    ),
    "mi300x": Gpu(
        "MI300X", 192 * GB, 1307.4 * TERA, "https://www.amd.com/en/products/accelerators/instinct/mi300/mi300x.html"
    ),
}  # fmt: skip


class Published(NamedTuple):
    """A run that others measured. Its utilisation follows from these numbers; `plan.utilisation_of` does it."""

    what: str
    n_layers: int
    d_model: int
    context: int  # tokens
    parameters: int
    gpu: str  # a key of GPUS
    gpus: int
    tokens_per_second: float
    source: str


PUBLISHED = (
    Published("nanoGPT, 124M", 12, 768, 1024, 124_439_808, "a100", 8, 853e3, "https://github.com/karpathy/nanoGPT"),
    Published(
        "llm.c, 1558M", 48, 1600, 1024, 1_557_611_200, "h100", 8, 374e3,
        "https://github.com/karpathy/llm.c/discussions/677",
    ),
    Published(
        "llm.c, 124M", 12, 768, 1024, 124_439_808, "a100", 8, 1.75e6,
        "https://github.com/karpathy/llm.c/discussions/481",
    ),
)  # fmt: skip
UTILISATION = 0.40  # what a plan assumes: between nanoGPT's 0.29 and llm.c's 0.49 and 0.60


def find(word: str) -> Gpu:
    """The GPU of that name. Raises UsageError with the names that there are."""
    key = word.lower().replace("_", "-").replace(" ", "")
    if key not in GPUS:
        raise UsageError(f"The kit knows no GPU {word!r}.", did_you_mean(key, list(GPUS)))
    return GPUS[key]
