"""A distribution of single tokens given a vector each: "diffusion loss" (MAR).

    t ~ U{0..T-1}, eps:  of every token, `repeat` times
    mse, vb = those of parts/gaussian.py, of each token

The noise is predicted, or v, x0, EDM's F: `parts/prediction.py`. As a baseline
it is a regression: the mean squared error of one prediction per token, and that
prediction as the only sample. Letters: b batch, n tokens, c numbers of a token,
d of its vector, r repetitions, m tokens of all rows.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.diffusion import guidance as guiding
from jmim.diffusion import sampler as samplers
from jmim.methods.parts import gaussian
from jmim.methods.parts import prediction as predicted
from jmim.nn import token_head


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
  """Kind and size of the MLP, and how often a token is noised in a step."""

  kind: str = field.value(
    "diffusion",
    "model of a token; regression: the mean only, a baseline",
    choices=("diffusion", "regression"),
  )
  width: int = field.value(1024, "width", low=1)
  depth: int = field.value(3, "residual blocks", low=1)
  repeat: int = field.value(4, "draws of time and noise per token", low=1)
  prediction: predicted.Prediction = field.part(
    predicted.Prediction, "quantity that is predicted of a noisy token"
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def diffuses(self) -> bool:
    """Whether tokens are noised."""
    return self.kind == "diffusion"

  def net(self, out: int) -> token_head.TokenHead:
    """The network, which predicts so many numbers of a token."""
    return token_head.TokenHead(
      width=self.width, depth=self.depth, out=out, rt=self.rt
    )

  def init(
    self, key: jax.Array, noise: gaussian.Gaussian, given: int, numbers: int
  ) -> method.Tree:
    """Parameters, for vectors [given] and tokens [numbers]."""
    z, x = jnp.zeros((1, given)), jnp.zeros((1, numbers))
    more = (x, jnp.zeros(1)) if self.diffuses else ()
    out = numbers * (noise.outputs if self.diffuses else 1)
    return self.net(out).init(key, z, *more)["params"]

  def draw(
    self, keys: randomness.Keys, noise: gaussian.Gaussian, shape: tuple
  ) -> method.Draws:
    """t [b, r, n] and noise [b, r, n, c], or nothing; shape: (b, n, c)."""
    if not self.diffuses:
      return {}
    b, n, c = shape
    several = (b, self.repeat, n)
    return {
      "t": jax.random.randint(keys("t"), several, 0, noise.times),
      "noise": jax.random.normal(keys("noise"), (*several, c)),
    }

  def errors(
    self,
    params: method.Tree,
    noise: gaussian.Gaussian,
    z: jax.Array,
    x: jax.Array,
    draws: method.Draws,
  ) -> dict[str, jax.Array]:
    """The terms of the loss of each token, [b, r, n] (regression: r = 1).

    Args:
      params: of the head.
      noise: the process.
      z: [b, n, d].
      x: [b, n, c] clean tokens.
      draws: of `draw`.
    """
    if not self.diffuses:
      pred = self.net(x.shape[-1]).apply({"params": params}, _flat(z))
      error = ((pred.reshape(x.shape) - x) ** 2).mean(-1)
      return {"mse": error[:, None]}
    shape = draws["t"].shape
    several = lambda a: _flat(
      jnp.broadcast_to(a[:, None], (*shape, a.shape[-1]))
    )
    z, x, t = several(z), several(x), draws["t"].reshape(-1)
    given = {"t": t, "noise": _flat(draws["noise"])}
    inside = self.prediction.noised(noise, x, given)
    raw = self.predict(params, noise, z, inside, t=t)
    terms = self.prediction.errors(noise, raw, x, given)
    return {name: term.reshape(shape) for name, term in terms.items()}

  def predict(
    self,
    params: method.Tree,
    noise: gaussian.Gaussian,
    z: jax.Array,
    x: jax.Array,
    t: jax.Array,
  ) -> jax.Array:
    """[m, c or 2 c]: of tokens as `inside` makes them; the variance last."""
    net = self.net(x.shape[-1] * noise.outputs)
    return net.apply({"params": params}, z, x, t)

  def denoiser(
    self,
    params: method.Tree,
    noise: gaussian.Gaussian,
    z: jax.Array,
    null: jax.Array | None,
    scale: jax.Array | float,
  ) -> samplers.Denoise:
    """The network with guidance of what it predicts, as a sampler calls it.

    The variance is that of the condition.

    Args:
      params: of the head.
      noise: the process.
      z: [m, d] conditions.
      null: [m, d] those of no label; None: no guidance.
      scale: of the guidance, 1 conditional.
    """

    def call(x, level):
      c = x.shape[-1]
      both = (z,) if null is None else (z, null)
      inside = self.prediction.inside(x, a=level.signal, s=level.noise)
      every = jnp.concatenate([inside] * len(both))
      t = jnp.full(len(every), level.time)
      raw = self.predict(params, noise, jnp.concatenate(both), every, t=t)
      raw = jnp.split(raw, len(both))
      guided = raw[0] if null is None else guiding.combine(*raw, scale, c)
      return self.prediction.output(noise, guided, x, level)

    return call

  def sample(
    self,
    params: method.Tree,
    noise: gaussian.Gaussian,
    z: jax.Array,
    *,
    null: jax.Array | None,
    scale: jax.Array | float,
    table: samplers.Table,
    normal: Callable[[jax.Array | int], jax.Array],
    numbers: int,
  ) -> jax.Array:
    """Tokens [b, k, c] given vectors [b, k, d].

    Args:
      params: of the head.
      noise: the process.
      z: [b, k, d] conditions.
      null: [b, k, d] those of no label; None: no guidance.
      scale: of the guidance.
      table: of the sampler.
      normal: number of the call -> noise [b, k, c]; the number after the last
        is that of the state to begin with.
      numbers: c.
    """
    shape = (*z.shape[:2], numbers)
    if not self.diffuses:
      pred = self.net(numbers).apply({"params": params}, _flat(z))
      return pred.reshape(shape)
    null = None if null is None else _flat(null)
    denoise = self.denoiser(params, noise, _flat(z), null, scale=scale)
    start = _flat(normal(len(table)))
    made, _ = samplers.sample(
      table, denoise, start, lambda call: _flat(normal(call))
    )
    return made.reshape(shape)


def _flat(x: jax.Array) -> jax.Array:
  """[..., c] -> [m, c]."""
  return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
