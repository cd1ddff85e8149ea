r"""An estimate of an image, noised and denoised: its error contracts.

Yue and Loy 2024 (DifFace). Of T' visited times, numbered from data to noise:

    x    = a_n z + s_n e                  z: estimate, e ~ N(0, I)
    for i = n-1 .. 0:  e_i = net(x, t_i)
      x0 = clip((x - s_i e_i) / a_i)
      x0 = clip(x0 - gamma d/dx0 sum k (x0 - y)^2)    k: 1 where y is known
      x  = step(x0, e_i) + noise          DDIM's or the ancestral one

e_i is what the network said, however x0 was changed. The state is that of time
n, and the first call is told time n - 1: so does the authors' code.

    KL(q(x_n | x) || p(x_n | z)) = a_n^2 / (2 s_n^2) ||x - z||^2
"""

import dataclasses
from collections.abc import Callable
from typing import Any
from typing import ClassVar
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import respace
from jmim.diffusion import sampler as samplers
from jmim.diffusion import targets
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided

Array = jax.Array


class Known(NamedTuple):
  """Pixels that are not to be restored.

  Attributes:
    image: [b, h, w, c] in the units of what is diffused.
    hole: [b, h, w, 1], 1 where the image is not known, else 0.
  """

  image: Array
  hole: Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contraction:
  """Where it begins, and what known pixels do."""

  asked: ClassVar[bool] = True  # a run may restore otherwise

  start: int = field.value(
    100,
    "number n of the visited time whose noise the estimate gets, from data; "
    "0: the estimate stays as it is",
    low=0,
  )
  gamma: float = field.value(
    0.5, "step of x0 towards known pixels; 0.5 makes them known ones", low=0.0
  )

  def check(self, noise: gaussian.Gaussian, sampling: guided.Guided) -> None:
    """Raises ValueError unless the sampler visits a time of that number.

    Nor is there anything to guide it by.
    """
    if sampling.guidance != 1:
      raise ValueError(
        f"sampling.guidance={sampling.guidance}: nothing is shown to the "
        "network that guidance could be by; set it to 1"
      )
    count = len(self._visited(noise, sampling))
    if self.start >= count:
      raise ValueError(
        f"contraction.start={self.start} of {count} visited times "
        f"(sampling.steps, noise.spacing): at most {count - 1}"
      )

  def level(
    self, noise: gaussian.Gaussian, sampling: guided.Guided
  ) -> tuple[float, float]:
    """(a_n, s_n) that the estimate is noised with; (1, 0) where n is 0."""
    if not self.start:
      return 1.0, 0.0
    t, process = self._visited(noise, sampling)[self.start], noise.process
    return float(process.signal[t]), float(process.noise[t])

  def walk(
    self,
    noise: gaussian.Gaussian,
    sampling: guided.Guided,
    network: guided.Network,
    *,
    estimate: Array,
    start: Array,
    more: samplers.Noise | None,
    known: Known | None = None,
  ) -> tuple[Array, dict[str, Array]]:
    """The restored image [b, h, w, c], and every x and x0 [n, b, h, w, c].

    Args:
      noise: the process.
      sampling: its sampler, whose last n steps are made.
      network: see `guided.Guided.denoiser`; it is told nothing.
      estimate: z [b, h, w, c] in the units of what is diffused.
      start: standard normal of the same shape.
      more: noise of the steps, see `sampler.sample`.
      known: pixels that pull x0; the result does not yet hold them.
    """
    if not self.start:
      return estimate, {}
    table = noise.table(
      sampling, self.start / len(self._visited(noise, sampling))
    )
    denoise = sampling.denoiser(
      network,
      self._output(noise, sampling, estimate.shape[-1], known),
      condition=(None, None),
      end=noise.end,
      channels=estimate.shape[-1],
    )
    a, s = self.level(noise, sampling)
    x = targets.noised(estimate, start, a, s)
    return samplers.sample(
      table, denoise, x, noise=more, callback=samplers.trajectory
    )

  def _output(
    self,
    noise: gaussian.Gaussian,
    sampling: guided.Guided,
    channels: int,
    known: Known | None,
  ) -> Callable[..., targets.Output]:
    """(raw, x, level) -> x0 and noise, x0 pulled towards known pixels."""
    clip = sampling.clip
    clipped = lambda x: jnp.clip(x, -clip, clip) if clip else x

    def output(raw: Array, x: Array, level: Any) -> targets.Output:
      made = noise.output(
        raw, x, level, channels=channels, clip=clip, reproject=False
      )
      if known is None or not self.gamma:
        return made
      pull = 2 * self.gamma * (1 - known.hole) * (made.x0 - known.image)
      return made._replace(x0=clipped(made.x0 - pull))

    return output

  @staticmethod
  def _visited(noise, sampling):
    """Times of the whole sampler, from data to noise."""
    return respace.visited(noise.spacing, noise.times, sampling.steps)[::-1]
