r"""Selective state spaces over sequences (Gu and Dao 2023, Mamba).

Of every channel d with n states, float32 throughout:

    h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t,    y_t = C_t h_t,    h_{-1} = 0

`selective_scan` computes chunks of steps, each by an associative scan of the
pairs (factor, addend), and hands the state from chunk to chunk; the backward
pass computes a chunk again from the state before it. `sequential_scan` is the
same step by step. `Mixer` reads a sequence as it is, backwards, and interleaved
(Xing et al. 2024, SegMamba).

Letters: b batch, t steps, d channels, n states, r rank of dt, k kernel.
"""

import math
from typing import Any

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import dense
from jmim.nn import depthwise
from jmim.nn import norm
from jmim.nn import patch

DIRECTIONS = ("forward", "backward", "interleaved")
CHUNK = 16  # least steps of one associative scan: few compile fast
CHUNKS = 256  # most chunks of a sequence, which run one after the other
EPS = 1e-5  # of the norm before a mixer: torch's default
_STEPS = (1e-3, 0.1)  # least and greatest dt of a fresh mixer


def selective_scan(
  x: jax.Array,
  dt: jax.Array,
  a: jax.Array,
  *,
  b: jax.Array,
  c: jax.Array,
  chunk: int = 0,
) -> jax.Array:
  """y [b, t, d] float32.

  Args:
    x: [b, t, d] inputs.
    dt: [b, t, d] step sizes, positive.
    a: [d, n] A, negative.
    b: [b, t, n] B.
    c: [b, t, n] C.
    chunk: steps computed at once; memory holds [b, chunk, d, n]. It changes
      the last bits only. 0: `chunk_of`.
  """
  t, rows = x.shape[1], len(x)
  chunk = min(chunk or chunk_of(t), t)
  parts = [part.astype(jnp.float32) for part in (x, dt, b, c)]
  # With dt = 0 the state stays as it is.
  fill = ((0, 0), (0, -t % chunk), (0, 0))
  parts = [
    einops.rearrange(jnp.pad(p, fill), "b (s c) w -> s b c w", c=chunk)
    for p in parts
  ]
  a = a.astype(jnp.float32)

  @jax.checkpoint
  def body(h, part):
    x, dt, b, c = part
    factors = jnp.exp(dt[..., None] * a)
    addends = (dt * x)[..., None] * b[:, :, None]
    passed, made = jax.lax.associative_scan(_after, (factors, addends), axis=1)
    states = passed * h[:, None] + made
    return states[:, -1], jnp.einsum("btdn,btn->btd", states, c)

  _, y = jax.lax.scan(body, jnp.zeros((rows, *a.shape)), tuple(parts))
  return einops.rearrange(y, "s b c w -> b (s c) w")[:, :t]


def chunk_of(steps: int) -> int:
  """Steps of a chunk where nobody says: CHUNK, more in a long sequence."""
  return max(CHUNK, -(-steps // CHUNKS))


def _after(
  first: tuple[jax.Array, jax.Array], second: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
  """One map h -> factor h + addend after another."""
  return first[0] * second[0], second[0] * first[1] + second[1]


def sequential_scan(
  x: jax.Array, dt: jax.Array, a: jax.Array, *, b: jax.Array, c: jax.Array
) -> jax.Array:
  """What `selective_scan` computes, one step after the other.

  Args:
    x: [b, t, d] inputs.
    dt: [b, t, d] step sizes.
    a: [d, n] A.
    b: [b, t, n] B.
    c: [b, t, n] C.
  """

  def body(h, step):
    x, dt, b, c = step
    h = jnp.exp(dt[..., None] * a) * h + (dt * x)[..., None] * b[:, None]
    return h, jnp.einsum("bdn,bn->bd", h, c)

  steps = tuple(p.astype(jnp.float32).swapaxes(0, 1) for p in (x, dt, b, c))
  _, y = jax.lax.scan(body, jnp.zeros((len(x), *a.shape)), steps)
  return y.swapaxes(0, 1)


def ordered(x: jax.Array, direction: str, slices: int) -> jax.Array:
  """[b, t, w] in the order in which a direction reads it.

  Args:
    x: the sequence.
    direction: one of DIRECTIONS. "interleaved": cut into equal chunks, of
      which the first steps are read, then the second ones ...
    slices: chunks, a divisor of t.
  """
  if direction == "backward":
    return x[:, ::-1]
  if direction == "interleaved":
    return einops.rearrange(x, "b (s m) w -> b (m s) w", s=slices)
  return x


def restored(x: jax.Array, direction: str, slices: int) -> jax.Array:
  """The inverse of `ordered`."""
  if direction == "interleaved":
    return einops.rearrange(x, "b (m s) w -> b (s m) w", s=slices)
  return ordered(x, direction, slices)


def inverse_softplus_init(
  key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
) -> jax.Array:
  """Biases whose softplus is log-uniform between the least and greatest dt."""
  low, high = map(math.log, _STEPS)
  dt = jnp.exp(jax.random.uniform(key, shape, minval=low, maxval=high))
  return (dt + jnp.log(-jnp.expm1(-dt))).astype(dtype)


class Steps(nn.Module, kw_only=True):
  """softplus(x W + bias); in bfloat16 the bias alone would be off by 1.6 %.

  Attributes:
    width: channels that have a step size.
    rt: execution choices.
  """

  width: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, t, r] -> dt [b, t, width] float32, positive."""
    rank = x.shape[-1]
    init = patch.conv_bias_init(rank)
    kernel = self.param("kernel", init, (rank, self.width))
    bias = self.param("bias", inverse_softplus_init, (self.width,))
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.rt.dtype)
    y = dense.product(self.rt, x, kernel).astype(jnp.float32)
    return nn.softplus(y + bias.astype(jnp.float32))


class Branch(nn.Module, kw_only=True):
  """The parameters of one direction: what is scanned, made of a sequence.

  Attributes:
    states: n.
    rank: r.
    side: steps that the convolution sees.
    rt: execution choices.
  """

  states: int
  rank: int
  side: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
    """Of [b, t, d]: x, dt [b, t, d], a [d, n], b, c [b, t, n]; skip [d]."""
    rt, width = self.rt, x.shape[-1]
    x = nn.silu(depthwise.Causal(side=self.side, rt=rt, name="conv")(x))
    told = dense.dense(
      rt,
      self.rank + 2 * self.states,
      use_bias=False,
      kernel_init=conv.TORCH,
      name="x_proj",
    )(x)
    ends = (self.rank, self.rank + self.states)
    dt, b, c = jnp.split(told, ends, axis=-1)
    dt = Steps(width=width, rt=rt, name="dt_proj")(dt)
    logs = jnp.log(jnp.arange(1.0, self.states + 1))
    a = self.param("A_log", lambda key: jnp.tile(logs, (width, 1)))
    skip = self.param("D", nn.initializers.ones, (width,))
    return {"x": x, "dt": dt, "a": -jnp.exp(a), "b": b, "c": c, "skip": skip}


class Mixer(nn.Module, kw_only=True):
  """Mamba in three directions, each with its own parameters, summed.

  Attributes:
    slices: chunks of the interleaved order; must divide the steps.
    states: n.
    side: steps that the convolutions see.
    expand: channels of the scan over the width.
    rank: r; 0: a sixteenth of the width, rounded up.
    rt: execution choices.
  """

  slices: int
  states: int = 16
  side: int = 4
  expand: int = 2
  rank: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, t, w] -> [b, t, w].

    Raises:
      ValueError: a length that `slices` does not divide.
    """
    if x.shape[1] % self.slices:
      raise ValueError(f"{x.shape[1]} steps in {self.slices} equal slices")
    width, init = x.shape[-1], conv.TORCH
    both = dense.dense(
      self.rt,
      2 * self.expand * width,
      use_bias=False,
      kernel_init=init,
      name="in_proj",
    )(x)
    read, gate = {}, {}
    for name in DIRECTIONS:
      x, gate[name] = jnp.split(ordered(both, name, self.slices), 2, axis=-1)
      read[name] = Branch(
        states=self.states,
        rank=self.rank or -(-width // 16),
        side=self.side,
        rt=self.rt,
        name=name,
      )(x)
    # One program scans all three.
    told = jax.tree.map(lambda *parts: jnp.stack(parts), *read.values())
    y = jax.vmap(_scanned)(told)
    total = sum(
      restored(y[i] * nn.silu(gate[name].astype(y.dtype)), name, self.slices)
      for i, name in enumerate(DIRECTIONS)
    )
    return dense.dense(
      self.rt, width, use_bias=False, kernel_init=init, name="out_proj"
    )(total.astype(self.rt.dtype))


def _scanned(told: dict[str, jax.Array]) -> jax.Array:
  """[b, t, d] float32: the scan of one branch, and what passes it by."""
  x, dt, a, b, c = (told[key] for key in ("x", "dt", "a", "b", "c"))
  y = selective_scan(x, dt, a, b=b, c=c)
  return y + told["skip"] * x.astype(jnp.float32)


class Layer(nn.Module, kw_only=True):
  """Mixer(LN x), which nothing is added to: the input does not pass by.

  Attributes as of `Mixer`.
  """

  slices: int
  states: int = 16
  side: int = 4
  expand: int = 2
  rank: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, t, w] -> [b, t, w], and no taps."""
    mixer = Mixer(
      slices=self.slices,
      states=self.states,
      side=self.side,
      expand=self.expand,
      rank=self.rank,
      rt=self.rt,
      name="mamba",
    )
    y = mixer(norm.layer_norm(self.rt, "norm", EPS)(x))
    return self.rt.shard(y), {}
