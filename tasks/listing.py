"""The process behind plans of models whose files have to tell what they are made of.

Started as ``python -P -m rankscope.tasks.listing MODEL`` with the model's settings as JSON; answers
with its linear modules as JSON on stdout. No weights are read: the model is built without values.
"""

import argparse
import sys

from pydantic import TypeAdapter

from rankscope.models.inventory import Linears
from rankscope.models.roots import Roots
from rankscope.models.vlms import AnyVlm, HubVlm
from rankscope.models.vlms.hub.meta import hub_linears
from rankscope.models.vlms.linears import known_linears
from rankscope.storage.settings import Settings


def list_model(settings: AnyVlm, roots: Roots) -> Linears:
    """Every linear module of a model outside heads and embeddings.

    Raises:
        ValueError: If its files cannot be found or read.
    """
    if isinstance(settings, HubVlm):
        here = settings.model_copy(update={"source": roots.model_source(settings.source)})
        return hub_linears(here, allow_remote_code=roots.allow_remote_code)
    known = known_linears(settings)
    assert known is not None
    return known


def main() -> int:
    """Exit status 0 and an answer, or 1 and one line that says why."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="its settings as JSON")
    arguments = parser.parse_args()
    settings: AnyVlm = TypeAdapter(AnyVlm).validate_json(arguments.model)
    try:
        answer = list_model(settings, Settings().roots)
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)  # noqa: T201
        return 1
    print(answer.model_dump_json())  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
