"""The two-layer perceptron of transformer blocks."""

from collections.abc import Callable

import flax.linen as nn
import jax
from jax import ad_checkpoint

from jmim.core import runtime
from jmim.nn import dense
from jmim.nn import recompute

ACTIVATIONS = {
  "gelu": recompute.gelu,
  "gelu_tanh": recompute.gelu_tanh,  # DiT, UMD
  "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),  # CLIP
}


class MLP(nn.Module, kw_only=True):
  """Linear, activation, linear.

  Attributes:
    hidden: width inside.
    rt: execution choices.
    act: one of ACTIVATIONS; GELU is exact (erf).
    kernel_init: of both maps.
  """

  hidden: int
  rt: runtime.Runtime = runtime.Runtime()
  act: str = "gelu"
  kernel_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()

  @nn.compact
  def __call__(
    self, x: jax.Array, inner: Callable[[jax.Array], jax.Array] = lambda x: x
  ) -> jax.Array:
    """[..., w] -> [..., w].

    Args:
      x: tokens.
      inner: acts on the hidden layer [..., hidden] (dropout).
    """
    init = self.kernel_init
    y = dense.dense(self.rt, self.hidden, kernel_init=init, name="fc1")(x)
    y = ad_checkpoint.checkpoint_name(self.rt.shard_dim(y, -1), "hidden")
    y = inner(ACTIVATIONS[self.act](y))
    return dense.dense(self.rt, x.shape[-1], kernel_init=init, name="fc2")(y)


class SwiGLU(nn.Module):
  """W_down(silu(W_gate x) * W_up x) (Shazeer 2020).

  Attributes:
    hidden: width inside.
    rt: execution choices.
    bias: all three maps have one.
  """

  hidden: int
  rt: runtime.Runtime = runtime.Runtime()
  bias: bool = False

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., w]."""
    init = nn.initializers.xavier_uniform()
    kw = dict(use_bias=self.bias, kernel_init=init)
    y = nn.silu(dense.dense(self.rt, self.hidden, name="gate", **kw)(x))
    y = y * dense.dense(self.rt, self.hidden, name="up", **kw)(x)
    y = ad_checkpoint.checkpoint_name(self.rt.shard_dim(y, -1), "hidden")
    return dense.dense(self.rt, x.shape[-1], name="down", **kw)(y)
