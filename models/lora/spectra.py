"""How large the components of every trained adapter are."""

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.gauge import canonical


def singular_values(elastic: ElasticLora) -> dict[str, tuple[float, ...]]:
    """Per module the singular values of its whole change s B A, falling, one per unit of rank.

    0 while B is untrained. Dropping all but the first k changes the weight by the root of the sum
    of the others' squares (Eckart & Young 1936), which is what a resize to rank k does.
    """
    values = {}
    for name in elastic.ranks():
        a_RI, b_OR = elastic.parameters_of(name)
        scaled_R = elastic.layers.scale_of(name) * canonical(b_OR, a_RI).singular
        values[name] = tuple(float(value) for value in scaled_R)
    return values
