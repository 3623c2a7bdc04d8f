"""Pictures as benchmarks hold them: decoded from tables, opened only if they are not too big."""

import base64
import binascii
import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from rankscope.models.benchmarks.rows import CUT_OFF, shortened

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 50_000_000
"""The pictures of the six benchmarks have a few million; PIL itself warns at 89 million."""
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")


def decoded(cell: str, place: str) -> bytes:
    """The bytes of a picture that a table holds as base64.

    Raises:
        ValueError: If it is no base64.
    """
    try:
        content = base64.b64decode("".join(cell.split()), validate=True)
    # Characters beyond ASCII are a plain ValueError.
    except (binascii.Error, ValueError) as error:
        raise ValueError(
            f"{place}: the picture must be base64 ({error}), got {shortened(cell)}; {CUT_OFF}"
        ) from error
    if not content:
        raise ValueError(f"{place}: the picture must not be empty; {CUT_OFF}")
    return content


def open_picture(image: Path | bytes, place: str) -> "Image":
    """A picture in RGB, fully read.

    Args:
        image: Its file or its bytes.
        place: What it belongs to, for messages.

    Raises:
        ValueError: If it has too many pixels, or is no picture of a usual format.
    """
    from PIL import Image as Pil

    source = BytesIO(image) if isinstance(image, bytes) else image
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Pil.DecompressionBombWarning)
            with Pil.open(source, formats=_FORMATS) as picture:
                num_pixels = picture.width * picture.height
                if num_pixels <= MAX_PIXELS:
                    return picture.convert("RGB")
    except (Pil.DecompressionBombWarning, Pil.DecompressionBombError) as error:
        raise _too_large(place, str(error)) from error
    # What PIL raises on broken files of one format or another.
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValueError(
            f"{place}: must be a picture ({', '.join(_FORMATS)}), got {error}; {CUT_OFF}"
        ) from error
    raise _too_large(place, f"{num_pixels:,} pixels")


def _too_large(place: str, got: str) -> ValueError:
    return ValueError(
        f"{place}: a picture must have at most {MAX_PIXELS:,} pixels, got {got}; scale it down"
    )
