"""From the features of a student to those of a teacher."""

import flax.linen as nn
import jax

from jmim.core import runtime
from jmim.nn import dense
from jmim.nn import norm
from jmim.nn import patch
from jmim.nn import recompute

ALIGN = ("linear", "ln-linear", "mlp", "mlp-ln")


class Projection(nn.Module):
  """Maps features of a student to the width of a teacher (DMAE).

  Torch's default initialisation: kernels and biases uniform in
  +-1/sqrt(width in).

  Attributes:
    width: of the output.
    layers: 1: linear; 2: linear, GELU, linear.
    rt: execution choices.
  """

  width: int
  layers: int = 1
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., width]."""
    for i in range(self.layers):
      init = patch.conv_bias_init(x.shape[-1])
      linear = dense.dense(
        self.rt,
        self.width,
        kernel_init=init,
        bias_init=init,
        name=f"fc{i + 1}",
      )
      x = linear(x if i == 0 else recompute.gelu(x))
    return x


class NormedProjection(nn.Module, kw_only=True):
  """Linear, GELU, linear, and a norm of T5: no mean, no bias (ThinkDiff).

  Attributes:
    width: of the output.
    eps: of the norm.
    rt: execution choices.
  """

  width: int
  eps: float = 1e-6
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., width]."""
    maps = Projection(self.width, layers=2, rt=self.rt, name="maps")
    return norm.rms_norm(self.rt, "norm", self.eps)(maps(self.rt.shard(x)))


class Align(nn.Module):
  """Adapter from a student's features to a teacher's (MaskAlign).

  Attributes:
    width: of the output.
    kind: linear; LayerNorm, linear; linear, GELU, linear; or linear,
      LayerNorm, linear. Xavier kernels, no initial bias.
    rt: execution choices.
  """

  width: int
  kind: str = "linear"
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., w] -> [..., width]."""

    def linear(width, name):
      init = nn.initializers.xavier_uniform()
      return dense.dense(self.rt, width, kernel_init=init, name=name)

    if self.kind.startswith("mlp"):
      x = linear(x.shape[-1], "fc")(x)
    if self.kind == "mlp":
      x = recompute.gelu(x)
    if self.kind in ("ln-linear", "mlp-ln"):
      x = norm.layer_norm(self.rt, "norm")(x)
    return linear(self.width, "out")(x)
