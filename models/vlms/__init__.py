"""The vision-language models a run can fine-tune; their settings are free of torch."""

from typing import Annotated

from pydantic import Field

from rankscope.models.vlms.hub.settings import HubVlm
from rankscope.models.vlms.settings import EmbeddedVlm, MobileVlm, SmolVlm

__all__ = ["AnyVlm", "EmbeddedVlm", "HubVlm", "MobileVlm", "SmolVlm"]

AnyVlm = Annotated[EmbeddedVlm | MobileVlm | SmolVlm | HubVlm, Field(discriminator="kind")]
