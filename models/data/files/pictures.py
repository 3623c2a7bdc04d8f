"""From what a row has as a picture to a picture that can be opened."""

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from rankscope.models.confined import Folder
from rankscope.models.data.dialogue import Picture, Unfit
from rankscope.models.data.files.fields import told
from rankscope.models.data.files.settings import Limits


@dataclass(frozen=True)
class Gallery:
    """Finds the pictures of rows.

    Args:
        folder: What paths begin at; None where data must bring their pictures with them.
        limits: On pixels and bytes of a picture.
    """

    folder: Folder | None
    limits: Limits

    def find(self, cell: object, where: str) -> Picture:
        """The picture that a row has as a path, as bytes, in base64, or as bytes beside a path.

        Raises:
            Unfit: If it cannot be found, or is too large for the limits.
        """
        match cell:
            case bytes():
                return self._picture("picture in the row", cell, where)
            case {"bytes": bytes(content), "path": str(name)} if name:
                return self._picture(name, content, where)
            case {"bytes": bytes(content)}:
                return self._picture("picture in the row", content, where)
            case {"path": str(name)} | str(name):
                if name.startswith("data:"):
                    return self._picture("picture in the row", _decoded(name), where)
                return self._picture(name, self._file(name), where)
            case _:
                raise Unfit(
                    "a picture must be a path, bytes, or a mapping of both",
                    told(cell),
                    "write one of them",
                )

    def _file(self, name: str) -> Path:
        if self.folder is None:
            raise Unfit(
                "a picture of a data set of the hub must lie in its rows",
                repr(name),
                "download the data set and name its files",
            )
        return self.folder.file(name)

    def _picture(self, name: str, source: Path | bytes, where: str) -> Picture:
        num_bytes = len(source) if isinstance(source, bytes) else source.stat().st_size
        if num_bytes > self.limits.max_picture_bytes:
            raise Unfit(
                f"a picture must not exceed {self.limits.max_picture_bytes:,} bytes",
                f"{name}: {num_bytes:,}",
                "shrink it or raise limits.max_picture_bytes",
            )
        return Picture(name, source, where, self.limits.max_pixels)


def _decoded(uri: str) -> bytes:
    """The bytes of a ``data:`` address, as chat interfaces send pictures."""
    head, comma, body = uri.partition(",")
    if not comma or not head.endswith(";base64"):
        raise Unfit(
            "a picture in a data: address must be in base64", repr(head), "encode it in base64"
        )
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unfit("base64 must be whole", str(error), "encode the picture anew") from error
