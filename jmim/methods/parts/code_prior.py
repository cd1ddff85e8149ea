"""What codes are sampled from: N(0, I), or a mixture of Gaussians.

The mixture is fitted to the codes that an encoder gives ("ex-post density
estimation", Ghosh et al. 2020) by `python -m jmim.tools.fit_codes`:

    k ~ weight;  z = mean_k + factor_k n        n ~ N(0, I), factor_k lower
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prior:
  """Where the mixture is, if there is one."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  path: str = field.value(
    "", "mixture of Gaussians that jmim.tools.fit_codes wrote; empty: N(0, I)"
  )
  sha256: str = field.value("", "hash of the mixture's file; empty: any")
  components: int = field.value(10, "components of the mixture", low=1)

  def consts(self, width: int) -> dict[str, method.Const]:
    """prior: the mixture of codes [width], or nothing."""
    if not self.path:
      return {}

    def init(key):
      n, k = self.components, jax.random.split(key, 3)
      lower = jnp.tril(jax.random.normal(k[2], (n, width, width)), -1)
      return {
        "log_weight": jax.nn.log_softmax(jax.random.normal(k[0], (n,))),
        "mean": jax.random.normal(k[1], (n, width)),
        "factor": jnp.eye(width) + 0.1 * lower,
      }

    return {
      "prior": method.Const(
        self.path, init, self.sha256, key="method.prior.path"
      )
    }

  def codes(
    self, weights: method.Weights, index: jax.Array, key: jax.Array, width: int
  ) -> jax.Array:
    """Codes [b, width]; that of number i is a function of (key, i).

    Args:
      weights: of the method, whose const "prior" is the mixture.
      index: [b] numbers.
      key: of all codes.
      width: of a code.
    """
    keys = randomness.numbered(key, index)
    if not self.path:
      return jax.vmap(lambda k: jax.random.normal(k, (width,)))(keys)
    mixture = weights.consts["prior"]

    def one(key):
      which, noise = jax.random.split(key)
      k = jax.random.categorical(which, mixture["log_weight"])
      n = jax.random.normal(noise, (width,))
      return mixture["mean"][k] + mixture["factor"][k] @ n

    return jax.vmap(one)(keys)
