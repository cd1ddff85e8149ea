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
  "relu": nn.relu,  # torch's TransformerEncoderLayer
}


class MLP(nn.Module, kw_only=True):
  """Linear, activation, linear.

  Attributes:
    hidden: width inside.
    rt: execution choices.
    act: one of ACTIVATIONS; GELU is exact (erf).
    kernel_init: of both maps.
    bias: both maps have one.
  """

  hidden: int
  rt: runtime.Runtime = runtime.Runtime()
  act: str = "gelu"
  kernel_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
  bias: bool = True

  @nn.compact
  def __call__(
    self, x: jax.Array, inner: Callable[[jax.Array], jax.Array] = lambda x: x
  ) -> jax.Array:
    """[..., w] -> [..., w].

    Args:
      x: tokens.
      inner: acts on the hidden layer [..., hidden] (dropout).
    """
    kw = dict(kernel_init=self.kernel_init, use_bias=self.bias)
    y = dense.dense(self.rt, self.hidden, name="fc1", **kw)(x)
    y = ad_checkpoint.checkpoint_name(self.rt.shard_dim(y, -1), "hidden")
    y = inner(ACTIVATIONS[self.act](y))
    return dense.dense(self.rt, x.shape[-1], name="fc2", **kw)(y)


class SwiGLU(nn.Module, kw_only=True):
  """W_down(silu(W_gate x) * W_up x) (Shazeer 2020).

  Attributes:
    hidden: width inside.
    rt: execution choices.
    bias: all three maps have one.
    inits: of W_gate, W_up and W_down.
  """

  hidden: int
  rt: runtime.Runtime = runtime.Runtime()
  bias: bool = False
  inits: tuple[nn.initializers.Initializer, ...] = (
    nn.initializers.xavier_uniform(),
  ) * 3

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., w]."""

    def linear(features, name, init):
      kw = dict(use_bias=self.bias, kernel_init=init, name=name)
      return dense.dense(self.rt, features, **kw)

    gate, up, down = self.inits
    y = nn.silu(linear(self.hidden, "gate", gate)(x))
    y = y * linear(self.hidden, "up", up)(x)
    y = ad_checkpoint.checkpoint_name(self.rt.shard_dim(y, -1), "hidden")
    return linear(x.shape[-1], "down", down)(y)
