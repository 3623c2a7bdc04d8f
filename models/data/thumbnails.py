"""Pictures of data as people see them on a page: small, and safe to show."""

import base64
import io

from rankscope.models.data.dialogue import Picture

SIDE_PX = 192


def thumbnail(picture: Picture) -> str:
    """The picture as a ``data:`` address of a PNG, its longer side at most 192 px.

    It is decoded and encoded anew, so that nothing of the file itself reaches a browser.

    Raises:
        Unfit: If it is missing, no picture, too large or damaged.
    """
    image = picture.open()
    image.thumbnail((SIDE_PX, SIDE_PX))
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
