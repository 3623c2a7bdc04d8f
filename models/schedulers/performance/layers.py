"""How much is still unknown about each layer.

Shape letters: M modules, L layers.
"""

import numpy as np

from rankscope.models.inventory import Part
from rankscope.models.schedulers.performance.contract import PerformanceModel


def layer_uncertainty(
    model: PerformanceModel, before: PerformanceModel
) -> dict[tuple[Part, int], float]:
    """Per layer, the share (0 to 1) of its variance before measuring that is still left.

    Of each layer's mean log utility relative to the mean of all layers: their common part cannot be
    told from the level, and does not matter for how layers share a budget.

    Args:
        model: What is believed now.
        before: The same model before it measured.
    """
    modules = model.modules
    layers = list(dict.fromkeys((m.part, m.layer) for m in modules))
    inside_LM = np.array([[(m.part, m.layer) == layer for m in modules] for layer in layers])
    mean_LM = inside_LM / inside_LM.sum(axis=1, keepdims=True)
    contrast_LM = mean_LM - mean_LM.mean(axis=0)
    left_L, first_L = (
        np.einsum("lm,mk,lk->l", contrast_LM, one.belief.covariance_MM, contrast_LM)
        for one in (model, before)
    )
    share_L = np.divide(left_L, first_L, out=np.zeros(len(layers)), where=first_L > 1e-12)
    return dict(zip(layers, np.clip(share_L, 0, 1).tolist(), strict=True))
