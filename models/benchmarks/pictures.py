"""Pictures that tables hold as base64."""

import base64
import binascii

from rankscope.models.benchmarks.rows import CUT_OFF, shortened


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
