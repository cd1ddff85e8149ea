r"""Categorical draws, and how exact they are.

    argmax_k  log p_k + G_k,     G = -log(-log u), u uniform

is a draw from p if u is. A uniform float32 number is a multiple of 2^-23 (in
JAX; 2^-24 in PyTorch), so that G never exceeds 15.94: what is less likely than
that, beside its competitors, is never drawn. Among a dozen classes this is
nothing; where one class ([MASK], in a sampler of many steps) has nearly all of
the probability, the others compete in their last few units, and the result is
as if drawn at a lower temperature (Zheng et al. 2025; `truncated` has the law).
"""

import jax
import jax.numpy as jnp
import numpy as np

PRECISIONS = ("f32", "f32_high", "f64")


def race(probs: jax.Array, u: jax.Array, offset: float = 1e-10) -> jax.Array:
  """argmax p / (offset - log(u + offset)): the draw of MDLM's code.

  The race of exponential clocks, equal to Gumbel's in law; the offsets cut it
  at u >= 1e-10 from below.

  Args:
    probs: [..., k], need not sum to 1.
    u: [..., k] uniform.
    offset: against division by zero.

  Returns:
    [...] int32.
  """
  clock = probs / (offset - jnp.log(u + offset))
  return jnp.argmax(clock, axis=-1).astype(jnp.int32)


def pick(logp: jax.Array, u: jax.Array, offset: float = 1e-30) -> jax.Array:
  """argmax log p + G, G = -log(offset - log(u + offset)): VQ-Diffusion's draw.

  Args:
    logp: [..., k], need not be normalised.
    u: [..., k] uniform.
    offset: against log 0.

  Returns:
    [...] int32.
  """
  return _argmax(logp - jnp.log(offset - jnp.log(u + offset)))


def draw(
  key: jax.Array, logp: jax.Array, precision: str = "f32", limit: float = 0.0
) -> jax.Array:
  """Draws from the last dimension.

  Args:
    key: one key.
    logp: [..., k] log-probabilities; need not be normalised, -inf is never
      drawn.
    precision: "f32" (G <= 15.94), "f32_high" (float32 numbers with the tail of
      a finer grid), "f64" (53-bit uniforms, logarithms and sums in float64,
      whatever jax_enable_x64 says).
    limit: draw G conditional on G <= limit, to show what coarser numbers
      would do; 0: no limit.

  Returns:
    [...] int32.

  Raises:
    ValueError: unknown precision, or a limit with f32_high.
  """
  if precision not in PRECISIONS:
    raise ValueError(f"precision {precision!r} not in {PRECISIONS}")
  if limit and precision == "f32_high":
    raise ValueError("limit with precision 'f32_high': take f32 or f64")
  if precision == "f64":
    return _draw64(key, logp, limit)
  logp = logp.astype(jnp.float32)
  if limit:
    # G <= M is u <= exp(-exp(-M)): u uniform up to there.
    tiny = jnp.finfo(jnp.float32).tiny
    u = jax.random.uniform(key, logp.shape, minval=tiny)
    noise = -jnp.log(-jnp.log(u * np.exp(-np.exp(-limit))))
  else:
    mode = "high" if precision == "f32_high" else "low"
    noise = jax.random.gumbel(key, logp.shape, jnp.float32, mode=mode)
  return _argmax(logp + noise)


def _draw64(key, logp, limit):
  """In float64 inside a program that otherwise has none.

  Only operations that are one instruction may be used: what JAX lowers later,
  outside of `enable_x64`, would be cut to float32 (argmax, random bits).
  """
  high, low = jax.random.bits(key, (2, *logp.shape), jnp.uint32)
  scale = np.exp(-np.exp(-limit)) if limit else 1.0
  with jax.enable_x64(True):
    wide = lambda x: jax.lax.convert_element_type(x, jnp.float64)
    # 27 + 26 bits; half a step keeps u off 0 and 1.
    whole = wide(high >> 5) * np.float64(2**26) + wide(low >> 6)
    u = (whole + np.float64(0.5)) * np.float64(2.0**-53 * scale)
    return _argmax(wide(logp) - jnp.log(-jnp.log(u)))


def _argmax(x: jax.Array) -> jax.Array:
  """argmax over the last dimension, int32.

  Two plain reductions: XLA's argmax is several times slower on CPU.
  """
  last = (x.ndim - 1,)
  best = jax.lax.expand_dims(jax.lax.reduce_max(x, last), last)
  at = jax.lax.broadcasted_iota(jnp.int32, x.shape, x.ndim - 1)
  size = jnp.int32(x.shape[-1])
  first = jax.lax.reduce_min(jnp.where(x >= best, at, size), last)
  return jnp.minimum(first, size - 1)  # all NaN: still a class


def row_keys(key: jax.Array, rows: int) -> jax.Array:
  """[rows] keys, one per row; a key per row is kept as it is."""
  if key.ndim:
    return key
  return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(rows))


def draw_rows(
  keys: jax.Array, logp: jax.Array, precision: str, limit: float = 0.0
) -> jax.Array:
  """`draw` with a separate key [b] for each row of [b, ..., k]: [b, ...]."""
  one = lambda k, p: draw(k, p, precision, limit)
  return jax.vmap(one)(keys, logp)
