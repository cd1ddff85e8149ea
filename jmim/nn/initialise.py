"""Changes of freshly initialised parameter trees."""

import functools
from typing import Any

import jax
import jax.numpy as jnp


def _name(path: tuple) -> list[str]:
  return jax.tree_util.keystr(path, simple=True, separator="/").split("/")


def normal_kernels(
  key: jax.Array, params: Any, std: float = 0.02, truncate: bool = False
) -> Any:
  """Every kernel drawn anew from N(0, std^2), biases 0, the rest as it is.

  (BEiT, I-JEPA, Swin truncate at +-2 absolute, a hundred times the std.)

  Args:
    key: random key.
    params: tree of parameters.
    std: of the normal distribution, before it is truncated.
    truncate: at one std on both sides (CAE's constructors).

  Returns:
    a tree of the same structure.
  """
  leaves, treedef = jax.tree_util.tree_flatten_with_path(params)
  keys = jax.random.split(key, len(leaves))
  normal = jax.random.normal
  if truncate:
    normal = functools.partial(jax.random.truncated_normal, lower=-1, upper=1)

  def draw(k, path, x):
    if _name(path)[-1] == "bias":
      return jnp.zeros_like(x)
    if _name(path)[-1] != "kernel":
      return x
    return std * normal(k, shape=x.shape, dtype=x.dtype)

  return treedef.unflatten(
    draw(k, path, x) for k, (path, x) in zip(keys, leaves, strict=True)
  )


def shrink_with_depth(params: Any) -> Any:
  """attn.proj and mlp.fc2 of stacked block l = 1, 2, .. over sqrt(2 l) (BEiT).

  The 2 l residual branches up to there then add up to the variance of one.
  Only leaves below a stack ("layers", see `nn.stack`) are changed.
  """

  def shrink(path, x):
    name = _name(path)
    ends = name[-2:] in (["proj", "kernel"], ["fc2", "kernel"])
    if "layers" not in name or not ends:
      return x
    depth = jnp.arange(1, len(x) + 1).reshape(-1, *[1] * (x.ndim - 1))
    return x / jnp.sqrt(2.0 * depth)

  return jax.tree_util.tree_map_with_path(shrink, params)


def mask_token(
  key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32
) -> jax.Array:
  """Normal of std 0.02 in `shape`, truncated at one std (BEiT)."""
  return 0.02 * jax.random.truncated_normal(key, -1.0, 1.0, shape, dtype)
