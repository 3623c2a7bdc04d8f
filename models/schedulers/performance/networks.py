"""Many small networks trained side by side with numpy alone.

Shape letters: E members, M modules, F features or units of a layer, G units of the next layer.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from rankscope.models.inventory import FloatArray

HIDDEN = (32, 32, 32)
BIAS_SD = 0.3
"""Of biases at the start; weights start at one over the root of a layer's inputs."""

ADAM_DECAYS = (0.9, 0.999)
ADAM_EPSILON = 1e-8


@dataclass
class Networks:
    """Multilayer perceptrons with tanh, one output each, held to the weights they start from.

    Args:
        features_MF: What all members read.
        gain: Brings the outputs at the start to a mean square of 1.
        starts: Per layer weights (E, F, G) and biases (E, 1, G) at the start.
        sds: Of the starts, which is also how strongly training is held to them.
        weights: The same now.
    """

    features_MF: FloatArray
    gain: float
    starts: list[FloatArray]
    sds: list[float]
    weights: list[FloatArray]
    _means: list[FloatArray]
    _squares: list[FloatArray]
    _num_steps: int = 0

    @classmethod
    def drawn(cls, generator: np.random.Generator, num_pairs: int, features_MF: FloatArray) -> Self:
        """Two members per pair, whose outputs are each other's negative."""
        sizes = [features_MF.shape[1], *HIDDEN, 1]
        starts: list[FloatArray] = []
        sds: list[float] = []
        for fan_in, fan_out in pairwise(sizes):
            is_output = len(starts) == 2 * len(HIDDEN)
            for shape, sd in (((fan_in, fan_out), fan_in**-0.5), ((1, fan_out), BIAS_SD)):
                half = sd * generator.standard_normal((num_pairs, *shape))
                starts.append(np.concatenate([half, -half if is_output else half]))
                sds.append(sd)
        weights, means, squares = (
            [factor * start for start in starts] for factor in (1.0, 0.0, 0.0)
        )
        networks = cls(features_MF, 1.0, starts, sds, weights, means, squares)
        networks.gain = 1 / float(np.sqrt(np.mean(networks.outputs() ** 2)))
        return networks

    def outputs(self) -> FloatArray:
        """outputs_EM."""
        return self._layers()[-1][:, :, 0] * self.gain

    def step(self, slope_EM: FloatArray, learning_rate: float) -> None:
        """One step of Adam, given the slope of the loss in the outputs.

        Source: Kingma & Ba 2015, arXiv 1412.6980, algorithm 1.
        """
        self._num_steps += 1
        for place, slope in enumerate(self._slopes(slope_EM)):
            held = slope + (self.weights[place] - self.starts[place]) / self.sds[place] ** 2
            moments = (self._means, self._squares)
            for decay, moment, value in zip(ADAM_DECAYS, moments, (held, held**2), strict=True):
                moment[place] = decay * moment[place] + (1 - decay) * value
            mean, square = (
                moment[place] / (1 - decay**self._num_steps)
                for decay, moment in zip(ADAM_DECAYS, moments, strict=True)
            )
            self.weights[place] -= learning_rate * mean / (np.sqrt(square) + ADAM_EPSILON)

    def _layers(self) -> list[FloatArray]:
        """Inputs and every layer's activations, each (E, M, F); the output is linear."""
        layers = [
            np.broadcast_to(self.features_MF, (len(self.weights[0]), *self.features_MF.shape))
        ]
        for place in range(0, len(self.weights), 2):
            sums = layers[-1] @ self.weights[place] + self.weights[place + 1]
            is_output = place == len(self.weights) - 2
            layers.append(sums if is_output else np.tanh(sums))
        return layers

    def _slopes(self, slope_EM: FloatArray) -> list[FloatArray]:
        """The loss's slopes in all weights and biases, by the chain rule backwards."""
        layers = self._layers()
        back = slope_EM[:, :, None] * self.gain
        slopes: list[FloatArray] = []
        for place in range(len(self.weights) - 2, -1, -2):
            inputs = layers[place // 2]
            slopes[:0] = [inputs.transpose(0, 2, 1) @ back, back.sum(axis=1, keepdims=True)]
            back = (back @ self.weights[place].transpose(0, 2, 1)) * (1 - inputs**2)
        return slopes
