r"""Subspace clustering as diffusion: a denoiser whose weights are subspaces.

Wang, Zhang, Zhang, Chen, Ma, Qu 2024 (arXiv 2409.02426, "Diffusion Models Learn
Low-Dimensional Distributions via Subspace Clustering"); the authors' repository
(huijieZH/Diffusion-Model-Generalizability@6c7576c) has no such denoiser.

    k ~ pi,  x0 = U*_k a,  a ~ N(0, 1)             the data, R^n
    x_t    = s x0 + g eps                          g log-uniform in a range
    D(x)   = s / (s^2 + g^2) sum_k w_k(x) U_k U_k^T x
    w      = softmax_k(log pi_k + d_k/2 log(g^2 / (s^2 + g^2))
                       + s^2 |U_k^T x|^2 / (2 g^2 (s^2 + g^2)))
    loss   = mean |D(x_t) - x0|^2,   U_k = Q of A_k = Q R (`diffusion.low_rank`)

For one component the loss is, exactly and at every level, least where
sum_i |U^T x_i|^2 is greatest: PCA. With hard weights of the clean points it is
K-subspaces clustering (`metrics.subspaces`). So N_k >= d_k points of each
component are needed, and enough: error of the projectors with N < d points at
least sqrt(2 min(d - N, n - d)), with N = d points and no noise 0.

Reference: `tests/golden` compares denoiser, posterior weights, singular values
and rank of the Jacobian, PCA and clustering objectives and the expected loss;
closed forms checked against the exact density in float64. Recovery (card): PCA
1.40 at N = d - 1, 0 at N = d; this denoiser with 2 x 3 of 48 dimensions, worst
component of four seeds: N_k = 3 1.0 to 1.4, 6 0.08 to 0.38, 15 0.06 to 0.19.

Ours: the training levels; U by QR of free matrices, where the claim's figures
retract after every step (`parts.subspaces`).

    python -m jmim.tools.claim subspace
    python -m jmim.main --config=configs/subspace_molrg.py --workdir=runs/sub
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import low_rank
from jmim.diffusion import model
from jmim.diffusion import schedule
from jmim.diffusion import targets
from jmim.methods.parts import subspaces


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subspace(method.Method):
  """The denoiser of a mixture of low-rank Gaussians, its bases trained."""

  width: int = field.value(48, "dimensions n of the points", low=2)
  dims: tuple = field.value((3, 3), "dimensions d_k of the subspaces")
  priors: tuple = field.value((), "weights pi_k of the mixture; (): equal")
  signal: float = field.value(1.0, "factor s of the data", above=0.0)
  noise_least: float = field.value(0.1, "least noise g", above=0.0)
  noise_most: float = field.value(0.1, "greatest noise g", above=0.0)

  @classmethod
  def tiny(cls) -> "Subspace":
    """Two planes and a line in six dimensions, several levels."""
    return cls(width=6, dims=(2, 2, 1), noise_most=0.3)

  def inputs(self) -> dict[str, method.Input]:
    """Points [n]."""
    dims, priors = self.dims, self.priors
    if not dims or min(dims) < 1 or max(dims) > self.width:
      raise ValueError(f"dims {dims}: each 1 to width, {self.width}")
    if priors and len(priors) != len(dims):
      raise ValueError(f"{len(priors)} priors for {len(dims)} dims")
    if priors and (min(priors) <= 0 or not math.isclose(sum(priors), 1)):
      raise ValueError(f"priors {priors}: positive, and 1 together")
    if self.noise_least > self.noise_most:
      raise ValueError(f"noise_least above noise_most, {self.noise_most}")
    return {"vector": method.Input((self.width,))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Free matrices A_k; no extra state."""
    del batch
    bases = subspaces.random(key, self.width, self.dims)
    return {"main": {f"basis{k}": u for k, u in enumerate(bases)}}, {}

  def bases(self, params: method.Tree) -> subspaces.Bases:
    """U_k [n, d_k], orthonormal."""
    free = params["main"]
    names = [f"basis{k}" for k in range(len(self.dims))]
    return tuple(subspaces.orthonormal(free[name]) for name in names)

  @property
  def shares(self) -> tuple[float, ...]:
    """pi_k."""
    return self.priors or (1 / len(self.dims),) * len(self.dims)

  def draw(self, keys, batch, step) -> method.Draws:
    """noise [b, n]; level [b] in [0, 1), of least to greatest noise."""
    del step
    b = method.batch_size(batch)
    return {
      "noise": jax.random.normal(keys("noise"), (b, self.width)),
      "level": jax.random.uniform(keys("level"), (b,)),
    }

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Squared error of the denoised, summed over n, mean over the batch."""
    del step, player
    return self.error(weights, batch["vector"], draws).mean(), {}

  def error(
    self, weights: method.Weights, x0: jax.Array, draws: method.Draws
  ) -> jax.Array:
    """[b] of points [b, n] at the drawn levels."""
    ratio = self.noise_most / self.noise_least
    return subspaces.errors(
      self.bases(weights.params),
      self.shares,
      x0,
      noise=draws["noise"],
      s=self.signal,
      g=self.noise_least * ratio ** draws["level"],
    )

  def predict(self) -> dict[str, method.Predict]:
    """features [b, sum d_k]: U_k^T x; clusters [b, K]: p(k | x); errors."""

    def features(weights, batch, key):
      del key
      bases = self.bases(weights.params)
      return batch["vector"] @ jnp.concatenate(bases, 1)

    def clusters(weights, batch, key):
      del key
      x = self.signal * batch["vector"]
      levels = {"s": self.signal, "g": self.noise_least}
      bases = self.bases(weights.params)
      return jnp.exp(low_rank.log_weights(bases, self.shares, x, **levels))

    def errors(weights, batch, key):
      return {
        "x0": self.error(weights, batch["vector"], self.drawn(key, batch))
      }

    return {"features": features, "clusters": clusters, "errors": errors}

  def diffuser(self, weights: method.Weights) -> model.Diffuser:
    """The denoiser along EDM's path, where s = 1, at every level of noise."""
    bases = self.bases(weights.params)

    def network(x, t, told):
      del told
      return low_rank.denoised(bases, self.shares, x, s=1.0, g=jnp.exp(4 * t))

    def output(raw, x, level, clip=0.0):
      a, s = level.signal, level.noise
      return targets.output("x0", raw, x=x, a=a, s=s, clip=clip)

    return model.Diffuser(
      shape=(self.width,),
      schedule=None,
      path=schedule.karras,
      network=network,
      output=output,
      can=(),
    )
