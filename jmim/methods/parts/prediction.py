"""What a network predicts of noisy vectors: noise, v, x0, or EDM's F.

    eps, v, x0   see `diffusion.targets`
    edm          F of Karras et al. 2022, of a network that sees x_t / r:
                 x0 = (d^2 a / r^2) x_t + (s d / r) F,  r^2 = s^2 + d^2 a^2

With d = 1, the deviation of the data, F is -v. The loss is the mean squared
error of what is predicted. Letters: m vectors, c numbers of each.
"""

import dataclasses

import jax

from jmim.core import field
from jmim.core import method
from jmim.diffusion import sampler as samplers
from jmim.diffusion import targets
from jmim.diffusion import variance as variances
from jmim.methods.parts import gaussian

KINDS = ("eps", "v", "x0", "edm")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
  """Which of them."""

  kind: str = field.value("eps", "quantity that is predicted", choices=KINDS)
  data_std: float = field.value(
    0.5, "deviation of the data, for kind='edm'", above=0
  )

  @property
  def given(self) -> str:
    """Kind of `diffusion.targets` that samplers get: of F, x0 is made."""
    return "x0" if self.kind == "edm" else self.kind

  def check(self, noise: gaussian.Gaussian, key: str = "prediction") -> None:
    """Raises ValueError where a process does not fit; key: of this part."""
    if self.kind != "eps" and noise.learn_variance:
      raise ValueError(
        f"{key}.kind={self.kind!r} with noise.learn_variance, which is learned "
        "beside the noise only"
      )

  def inside(
    self, x: jax.Array, a: targets.Factor, s: targets.Factor
  ) -> jax.Array:
    """What the network sees of noisy vectors at signal a and noise s."""
    return (
      x / targets.edm_size(a, s, self.data_std) if self.kind == "edm" else x
    )

  def noised(
    self, noise: gaussian.Gaussian, x: jax.Array, draws: method.Draws
  ) -> jax.Array:
    """[m, c] what the network sees of noisy vectors of data x [m, c]."""
    x_t, a, s = noise.add(x, draws["t"], draws["noise"])
    return self.inside(x_t, a=a, s=s)

  def errors(
    self,
    noise: gaussian.Gaussian,
    raw: jax.Array,
    x: jax.Array,
    draws: method.Draws,
  ) -> dict[str, jax.Array]:
    """As `Gaussian.errors`: terms [m] of predictions of vectors x [m, c]."""
    if self.kind == "eps":
      return noise.errors(raw, x, draws)
    eps = draws["noise"]
    _, a, s = noise.add(x, draws["t"], eps)
    if self.kind == "edm":
      target = targets.edm_target(x, eps, a=a, s=s, data=self.data_std)
    else:
      target = targets.target(self.kind, x, eps, a=a, s=s)
    return {"mse": variances.per_row((raw - target) ** 2)}

  def output(
    self,
    noise: gaussian.Gaussian,
    raw: jax.Array,
    x: jax.Array,
    level: samplers.Level,
  ) -> targets.Output:
    """What a sampler needs of a (guided) prediction at vectors [m, c]."""
    if self.kind == "edm":
      a, s = level.signal, level.noise
      raw = targets.edm_to_x0(raw, x, a=a, s=s, data=self.data_std)
    how = dict(channels=x.shape[-1], clip=0.0, kind=self.given)
    return noise.output(raw, x, level, **how)
