"""Depth-wise convolutions as sums of shifted products.

    y[b, h, w, c] = sum_ij x[b, h + i - r, w + j - r, c] k[i, j, c]

of an odd side 2 r + 1, stride 1, zeros around x. XLA fuses the sum into one
pass over x; on CPUs its grouped convolution takes longer. The compiler for
many chips splits a grouped convolution along the channels as its kernel is
split, and gathers whole activations for that; sums over shifted arrays stay
split along the batch, and the gradient of a kernel is an all-reduce of k.

Letters: b batch, h w grid, c channels, i j in the kernel.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.extend import core as extend
from jax.interpreters import ad
from jax.interpreters import batching
from jax.interpreters import mlir

from jmim.core import runtime
from jmim.nn import patch


def _shifts(x, sides):
  """(i, j), x[h + i - r, w + j - r] in float32, of each place of a kernel."""
  h, w = x.shape[1:3]
  rows, columns = (side // 2 for side in sides)
  around = ((0, 0), (rows, rows), (columns, columns), (0, 0))
  x = jnp.pad(x, around)
  for i in range(sides[0]):
    for j in range(sides[1]):
      yield (i, j), x[:, i : i + h, j : j + w].astype(jnp.float32)


def _sum(x, kernel):
  """The convolution, summed in float32."""
  k = kernel.astype(jnp.float32)
  y = sum(part * k[at] for at, part in _shifts(x, k.shape[:2]))
  return y.astype(x.dtype)


def _kernel_gradient(dy, x, kernel):
  """[i, j, c]: each a sum over batch and grid, in float32."""
  sides, dtype = kernel.aval.shape[:2], kernel.aval.dtype
  dy = dy.astype(jnp.float32)
  sums = [(part * dy).sum((0, 1, 2)) for _, part in _shifts(x, sides)]
  return jnp.stack(sums).reshape(*sides, -1).astype(dtype)


def _batched(args, axes):
  return jax.vmap(_sum, axes)(*args), 0


# Linear in either argument. What differentiation would make of the slices is
# a sum of padded arrays, which XLA does not fuse; the gradient of x is the
# convolution of dy with the kernel turned round. A primitive, because forward
# mode and higher derivatives are to work too, which `custom_vjp` does not do.
_conv = extend.Primitive("depthwise_conv")
_conv.def_impl(jax.jit(_sum))
_conv.def_abstract_eval(lambda x, kernel: x)
mlir.register_lowering(_conv, mlir.lower_fun(_sum, multiple_results=False))
batching.primitive_batchers[_conv] = _batched
ad.defbilinear(
  _conv, lambda dy, x, k: _conv.bind(dy, k[::-1, ::-1]), _kernel_gradient
)


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Every channel with its own kernel; stride 1, zeros around x.

  Args:
    x: [b, h, w, c].
    kernel: [i, j, c] of odd sides, of the dtype of x.

  Returns:
    [b, h, w, c] in the dtype of x; the sum is in float32.

  Raises:
    ValueError: an even side, other channels or another dtype than those of x.
  """
  if not all(side % 2 for side in kernel.shape[:2]):
    raise ValueError(f"kernel {kernel.shape}: its sides must be odd")
  if (x.shape[-1], x.dtype) != (kernel.shape[-1], kernel.dtype):
    raise ValueError(
      f"x {x.shape} {x.dtype}, but kernel {kernel.shape} {kernel.dtype}"
    )
  return _conv.bind(x, kernel)


class Depthwise(nn.Module, kw_only=True):
  """Depth-wise convolution; its parameters are those of `nn.Conv`.

  Attributes:
    side: of the kernel, odd.
    kernel_init: of [side, side, 1, c].
    bias_init: of [c]; None: without a bias.
    rt: execution choices.
  """

  side: int
  kernel_init: Any
  bias_init: Any = None
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, h, w, c]."""
    width, dtype = x.shape[-1], self.rt.dtype
    kernel = self.param(
      "kernel", self.kernel_init, (self.side, self.side, 1, width)
    )
    bias = 0.0
    if self.bias_init is not None:
      bias = self.param("bias", self.bias_init, (width,)).astype(dtype)
    # Whole on every chip: the compiler must not split x as the kernel lies.
    kernel = self.rt.constrain(kernel[:, :, 0].astype(dtype), None)
    return conv(x.astype(dtype), kernel) + bias


class Causal(nn.Module, kw_only=True):
  """Convolution of a sequence that sees a step and those before it.

  Attributes:
    side: steps that it sees.
    rt: execution choices.
  """

  side: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, t, d] -> [b, t, d]."""
    t, width = x.shape[1:]
    init = patch.conv_bias_init(self.side)
    own = [self.param("kernel", init, (self.side, width))]
    own.append(self.param("bias", init, (width,)))
    x, kernel, bias = nn.dtypes.promote_dtype(x, *own, dtype=self.rt.dtype)
    x = jnp.pad(x, ((0, 0), (self.side - 1, 0), (0, 0)))
    seen = (x[:, i : i + t] * kernel[i] for i in range(self.side))
    return sum(seen) + bias
