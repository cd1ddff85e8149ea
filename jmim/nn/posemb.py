"""Positions: tables, biases by relative position, rotations, resizing."""

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import resize as resizing


def sincos_1d(positions: np.ndarray, width: int) -> np.ndarray:
  """[n] positions -> [n, width] float64: sin(p w_k) then cos(p w_k).

  w_k = 10000^(-k / (width/2)), k = 0 .. width/2 - 1.
  """
  if width % 2:
    raise ValueError(f"sin-cos width must be even, got {width}")
  omega = 10000.0 ** (-np.arange(width // 2) / (width / 2.0))
  angles = np.outer(np.asarray(positions, np.float64).reshape(-1), omega)
  return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def sincos_2d(
  width: int,
  grid: tuple[int, int],
  order: str = "xy",
  prefix: int = 0,
  step: float = 1.0,
  start: float = 0.0,
) -> np.ndarray:
  """Fixed 2-D table [prefix + h*w, width], float32, rows in raster order.

  Args:
    width: embedding width, a multiple of 4.
    grid: (h, w) in patches.
    order: "xy": the first half encodes the column x, the second the row y
      (MAE, MoCo v3); "yx": row first (CAE, mmpretrain).
    prefix: rows of zeros put first, one per cls / register token.
    step: between neighbours; 1/2: a grid twice as fine covers what the coarse
      one did.
    start: place of the first; 1/2: the centres of patches (NViST).

  Raises:
    ValueError: width not a multiple of 4, or an unknown order.
  """
  if width % 4:
    raise ValueError(f"2-D sin-cos width must divide by 4, got {width}")
  if order not in ("xy", "yx"):
    raise ValueError(f"axis order must be 'xy' or 'yx', got {order!r}")
  places = (start + step * np.arange(s) for s in grid)
  y, x = np.meshgrid(*places, indexing="ij")
  first, second = (x, y) if order == "xy" else (y, x)
  table = np.concatenate(
    [sincos_1d(first, width // 2), sincos_1d(second, width // 2)], axis=1
  )
  return np.concatenate([np.zeros((prefix, width)), table]).astype(np.float32)


def relative_index(grid: tuple[int, int], prefix: int = 0) -> np.ndarray:
  """[t, t] rows of a relative-position table, t = prefix + h*w (BEiT, Swin).

  Tokens a, b at (y, x): (y_a - y_b + h - 1) (2w - 1) + (x_a - x_b + w - 1).
  With a class token three rows follow: from it, to it, itself.

  Args:
    grid: (h, w) in tokens.
    prefix: 0 or 1 class tokens.
  """
  h, w = grid
  yx = np.indices(grid).reshape(2, -1)
  dy, dx = yx[:, :, None] - yx[:, None, :]
  patches = (dy + h - 1) * (2 * w - 1) + dx + w - 1
  if not prefix:
    return patches
  n = (2 * h - 1) * (2 * w - 1)
  index = np.pad(patches, ((1, 0), (1, 0)))
  index[0, :] = n
  index[:, 0] = n + 1
  index[0, 0] = n + 2
  return index


class RelativeBias(nn.Module, kw_only=True):
  """Learned bias of the logits by relative position, one table per head.

  Attributes:
    heads: attention heads.
    grid: (h, w) in tokens.
    prefix: 1 if a class token comes first (BEiT's three extra entries).
    std: of the initial table; 0: zeros.
  """

  heads: int
  grid: tuple[int, int]
  prefix: int = 0
  std: float = 0.0

  @nn.compact
  def __call__(self) -> jax.Array:
    """[heads, t, t] float32, t = prefix + h * w."""
    index = relative_index(self.grid, self.prefix)
    init = nn.initializers.normal(self.std)
    shape = (int(index.max()) + 1, self.heads)
    table = self.param("table", init, shape)
    return einops.rearrange(table[index], "t s h -> h t s")


def rotary(
  grid: tuple[int, int], width: int, theta: float, centred: bool = False
) -> np.ndarray:
  """Angles [h*w, width/2] float32 of rotary positions in two dimensions.

  Su et al. 2021 on rows and columns: w_k y, then w_k x, with w_k =
  theta^(-k / (width/4)), k = 0 .. width/4 - 1.

  Args:
    grid: (h, w) in patches.
    width: of a head, a multiple of 4.
    theta: base of the frequencies.
    centred: y and x are 2 pi times the centres of patches in an image from -1
      to 1 (DINOv3); else the numbers of row and column (LightningDiT).

  Raises:
    ValueError: width not a multiple of 4.
  """
  if width % 4:
    raise ValueError(
      f"rotary positions: head width {width} is no multiple of 4"
    )
  places = [
    2 * np.pi * ((2 * np.arange(n) + 1) / n - 1) if centred else np.arange(n)
    for n in grid
  ]
  return rotary_axes(grid_places(*places), (width // 2, width // 2), theta)


def grid_places(*axes: np.ndarray | int) -> np.ndarray:
  """Positions [n, number of axes] of a grid's tokens, the last axis fastest.

  Args:
    *axes: the positions along each axis, or how many: 0, 1, ...
  """
  lines = [np.arange(a) if np.ndim(a) == 0 else a for a in axes]
  grid = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
  return grid.reshape(-1, len(axes))


def rotary_axes(
  places: np.ndarray, widths: tuple[int, ...], theta: float
) -> np.ndarray:
  """Angles [..., d/2] float32 of rotary positions along any number of axes.

  p_a theta^(-2j / w_a), j = 0 .. w_a / 2 - 1, those of axis a after one
  another: a has w_a of the d = sum of w_a numbers of a head.

  Args:
    places: [..., number of axes] positions, integers or not.
    widths: w_a, even; they may differ, 0: the axis turns nothing.
    theta: base of the frequencies.

  Raises:
    ValueError: an odd width, or not one of each axis.
  """
  if len(widths) != places.shape[-1] or any(w % 2 for w in widths):
    raise ValueError(
      f"rotary positions: {places.shape[-1]} axes need as many even widths, "
      f"got {widths}"
    )
  # In float64: an angle of a far token is large.
  angles = [
    places[..., a, None] * float(theta) ** (-np.arange(w // 2) / max(w // 2, 1))
    for a, w in enumerate(widths)
  ]
  return np.concatenate(angles, axis=-1).astype(np.float32)


def rotate(
  x: jax.Array, angles: jax.Array, widths: tuple[int, ...] = ()
) -> jax.Array:
  """Turns pairs of numbers of the last tokens by angles; float32 inside.

  So q . k depends on the difference of the angles of two tokens only (Su et
  al. 2021, eq. 16; pairs are halves here, neighbours there).

  Args:
    x: [b, h, t, d].
    angles: [1 or b, n, d/2] of the last n tokens; those before stay. Of heads
      that turn differently [1 or b, h, n, d/2].
    widths: a pair are the numbers j and j + w/2 of a slice of w, of slices of
      these widths one after the other; (): of the whole head. Weights of one
      order of pairs are those of another with permuted columns.

  Returns:
    [b, h, t, d] in the dtype of x.

  Raises:
    ValueError: slices that are not the head.
  """
  if sum(widths := widths or x.shape[-1:]) != x.shape[-1]:
    raise ValueError(f"slices of {widths} are no head of {x.shape[-1]}")
  angles = angles if angles.ndim == 4 else angles[:, None]
  first = x.shape[2] - angles.shape[2]
  head, body = x[:, :, :first], x[:, :, first:].astype(jnp.float32)
  cos, sin = jnp.cos(angles), jnp.sin(angles)
  turned, done = [], 0
  for end in np.cumsum(widths):
    a, b = jnp.split(body[..., done:end], 2, axis=-1)
    c, s = (y[..., done // 2 : end // 2] for y in (cos, sin))
    turned += [a * c - b * s, b * c + a * s]
    done = end
  turned = jnp.concatenate(turned, axis=-1)
  return jnp.concatenate([head, turned.astype(x.dtype)], axis=2)


TIME_ORDERS = ("cos_sin", "sin_cos", "interleaved")


def sinusoid(
  t: jax.Array, width: int, order: str = "cos_sin", inclusive: bool = False
) -> jax.Array:
  """Embedding of times [b] as [b, width] float32.

  Frequencies are 10000^(-i / half), i = 0 .. half - 1, half = width / 2.

  Args:
    t: any numbers; integers and fractions alike.
    width: even.
    order: "cos_sin" (DiT, LDM), "sin_cos" (UMD) blocks, or "interleaved" sine
      and cosine.
    inclusive: divide by half - 1, so that the last frequency is 1/10000 (UMD).

  Raises:
    ValueError: odd width or unknown order.
  """
  if width % 2 or order not in TIME_ORDERS:
    raise ValueError(f"even width and one of {TIME_ORDERS}: {width}, {order!r}")
  half = width // 2
  top = -np.log(10000.0)
  i = np.arange(half, dtype=np.float32)
  # In float32, and in the order of the released codes: at t = 999 a frequency
  # rounded otherwise turns an angle by 5e-5, and weights were trained with it.
  power = (
    i * np.float32(top / (half - 1))
    if inclusive
    else (np.float32(top) * i / np.float32(half))
  )
  angles = t.astype(jnp.float32)[:, None] * np.exp(power)
  waves = [jnp.sin(angles), jnp.cos(angles)]
  if order == "interleaved":
    return jnp.stack(waves, axis=-1).reshape(len(t), width)
  return jnp.concatenate(waves[:: 1 if order == "sin_cos" else -1], axis=-1)


def resize(
  table: jax.Array,
  grid_in: tuple[int, int],
  grid_out: tuple[int, int],
  prefix: int = 0,
  antialias: bool = False,
) -> jax.Array:
  """Resizes learned positions [..., prefix + h*w, d] to another grid.

  Prefix rows (cls, registers) are kept; the patch part is resized exactly
  as torch's bicubic interpolation does (see `nn.resize.bicubic_matrix`).

  Args:
    table: [..., prefix + h*w, d].
    grid_in: (h, w) of the table.
    grid_out: of the result.
    prefix: rows before those of the patches.
    antialias: smooth where the grid shrinks, see
      `nn.resize.smooth_matrix`.

  Raises:
    ValueError: if the table does not have prefix + h*w rows.
  """
  if table.shape[-2] != prefix + grid_in[0] * grid_in[1]:
    raise ValueError(f"{table.shape} is not {prefix} + a {grid_in} grid")
  head, body = table[..., :prefix, :], table[..., prefix:, :]
  body = body.reshape(*body.shape[:-2], *grid_in, body.shape[-1])
  matrix = resizing.MATRICES["smooth" if antialias else "bicubic"]
  rows, cols = (
    matrix(i, o).astype(np.float32)
    for i, o in zip(grid_in, grid_out, strict=True)
  )
  body = jnp.einsum("yh,xw,...hwd->...yxd", rows, cols, body)
  body = body.reshape(*body.shape[:-3], -1, body.shape[-1])
  return jnp.concatenate([head, body.astype(table.dtype)], axis=-2)
