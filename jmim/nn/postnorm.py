"""The transformer block of BERT: normalised after each residual sum.

Devlin et al. 2019, as google-research/maskgit@1db2359 has it: eps 1e-12, GELU
by tanh, kernels from a normal of 0.02 cut at two deviations, dropout.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import dropout
from jmim.nn import mlp
from jmim.nn import norm
from jmim.nn import sizes
from jmim.nn import stack

EPS = 1e-12
NORMAL = nn.initializers.truncated_normal(0.02)
_INSIDE = 1 << 16  # sites of dropout within branches are numbered from here


class PostBlock(nn.Module, kw_only=True):
  """x <- LN1(x + attention(x)), then LN2(x + MLP(x)).

  Attributes:
    heads: attention heads.
    mlp_ratio: hidden width of the MLP over the width.
    rate: dropout of both branches.
    act: activation of the MLP, see `mlp.ACTIVATIONS`.
    eps: of the LayerNorms.
    rt: execution choices.
    kernel_init: of the kernels of the MLP.
    attention: makes another attention than `attention.SelfAttention` of a
      name, called as that is; None: none.
    inside: dropout within the branches, too: of the attention's probabilities
      and of the hidden layer (torch's TransformerEncoderLayer).
  """

  heads: int
  mlp_ratio: float = 4.0
  rate: float = 0.0
  act: str = "gelu_tanh"
  eps: float = EPS
  rt: runtime.Runtime = runtime.Runtime()
  kernel_init: nn.initializers.Initializer = NORMAL
  attention: Callable[..., nn.Module] | None = None
  inside: bool = False

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    bias: jax.Array | None = None,
    keys: jax.Array | None = None,
    index: jax.Array | int = 0,
    taps: tuple[str, ...] = (),
    **more: Any,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w] and the taps asked for.

    Args:
      x: tokens.
      bias: additive attention bias, broadcasts to [b, h, t, t] (a causal mask).
      keys: [b, 2] dropout keys (`nn.dropout`); None: no dropout.
      index: of the layer, for the keys.
      taps: "block" (the output), or those of `attention.SelfAttention`.
      **more: of the attention.
    """

    def add(x, y, name, site):
      # Site 0 is that of the embeddings.
      y = dropout.dropout(y, keys, self.rate, 2 * index + site)
      return norm.layer_norm(self.rt, name, self.eps)(x + y)

    def within(y, site):
      return dropout.dropout(y, keys, self.rate, _INSIDE + 2 * index + site)

    if self.inside and keys is not None:
      more["drop"] = functools.partial(within, site=1)
    make = self.attention or functools.partial(
      attention.SelfAttention,
      heads=self.heads,
      rt=self.rt,
      qkv_init=NORMAL,
      proj_init=NORMAL,
    )
    inner = tuple(t for t in taps if t != "block")
    y, found = make(name="attn")(x, bias=bias, taps=inner, **more)
    x = self.rt.shard(add(x, y, "norm1", 1))
    hidden = round(x.shape[-1] * self.mlp_ratio)
    net = mlp.MLP(
      hidden=hidden,
      rt=self.rt,
      act=self.act,
      kernel_init=self.kernel_init,
      name="mlp",
    )
    y = net(x, functools.partial(within, site=2)) if self.inside else net(x)
    x = self.rt.shard(add(x, y, "norm2", 2))
    return x, {t: x if t == "block" else found[t] for t in taps}


def make_stack(
  size: sizes.Size, rt: runtime.Runtime, rate: float, name: str
) -> stack.Stack:
  """The blocks of a network, stacked; give each its `index`.

  Args:
    size: depth, heads and MLP ratio.
    rt: execution choices.
    rate: dropout of the branches.
    name: of the module.
  """
  make = functools.partial(
    PostBlock,
    heads=size.heads,
    mlp_ratio=size.mlp_ratio,
    rate=rate,
    rt=rt,
    parent=None,
  )
  return stack.Stack(make, size.depth, rt, name=name)
