"""The two-layer perceptron of transformer blocks."""

import flax.linen as nn
import jax

from jmim.nn import runtime


class MLP(nn.Module):
  """Linear, exact (erf) GELU, linear."""

  hidden: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., w]."""
    init = nn.initializers.xavier_uniform()
    kw = dict(dtype=self.rt.dtype, kernel_init=init)
    y = nn.Dense(self.hidden, name="fc1", **kw)(x)
    return nn.Dense(x.shape[-1], name="fc2", **kw)(
      jax.nn.gelu(y, approximate=False)
    )
