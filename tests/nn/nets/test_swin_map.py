import dataclasses

import einops
import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn.nets import swin
from jmim.nn.nets import swin_map
from jmim.nn.nets import unet


def layers(**options):
  known = dict(depth=2, heads=2, window=4, norm="group", groups=2)
  return swin_map.Layers(**known | options)


def softmax(x):
  e = np.exp(x - x.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


def group_norm(x, p, groups):
  """[h, w, c], statistics of the whole map."""
  y = einops.rearrange(x, "h w (g c) -> g (h w c)", g=groups)
  y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5)
  h, w, _ = x.shape
  y = einops.rearrange(y, "g (h w c) -> h w (g c)", h=h, w=w)
  return y * p["scale"] + p["bias"]


def regions(rows, columns, grid, side, shift, mask):
  """Which tokens of a window may see each other; places after the roll."""
  (h, w), late = grid, side - shift
  if mask == "swin":  # what was not rolled over a border, of each axis
    return 2 * (rows >= h - shift) + (columns >= w - shift)
  return (rows // side == h // side - 1) & (columns % side >= late)


def attention(x, p, side, shift, heads, mask):
  """Every place looks at those of its window, written by coordinates."""
  h, w, c = x.shape
  qkv = x @ p["windowed"]["qkv"]["kernel"] + p["windowed"]["qkv"]["bias"]
  q, k, v = (
    part.reshape(h * w, heads, -1) for part in np.split(qkv, 3, axis=-1)
  )
  i, j = (a.ravel() for a in np.indices((h, w)))
  i, j = (i - shift) % h, (j - shift) % w
  region = regions(i, j, (h, w), side=side, shift=shift, mask=mask)
  made = np.zeros((h * w, c))
  table = p["relative"]["table"]
  for at in range(h * w):
    same = (i // side == i[at] // side) & (j // side == j[at] // side)
    seen = np.flatnonzero(same & (region == region[at]))
    rows, columns = (a[at] % side - a[seen] % side + side - 1 for a in (i, j))
    logits = np.einsum("hd,nhd->hn", q[at], k[seen]) * q.shape[-1] ** -0.5
    logits = logits + table[rows * (2 * side - 1) + columns].T
    made[at] = np.einsum("hn,nhd->hd", softmax(logits), v[seen]).ravel()
  made = made.reshape(h, w, c)
  return made @ p["windowed"]["proj"]["kernel"] + p["windowed"]["proj"]["bias"]


def gelu(x):
  return np.asarray(jax.nn.gelu(x, approximate=False))


def reference(x, params, side, shifts, mask, groups=2, heads=2):
  for i, shift in enumerate(shifts):
    p = jax.tree.map(lambda a, i=i: np.asarray(a[i], np.float64), params)
    y = group_norm(x, p["norm1"], groups)
    x = x + attention(y, p, side=side, shift=shift, heads=heads, mask=mask)
    y = group_norm(x, p["norm2"], groups) @ p["mlp"]["fc1"]["kernel"]
    y = gelu(y + p["mlp"]["fc1"]["bias"]) @ p["mlp"]["fc2"]["kernel"]
    x = x + y + p["mlp"]["fc2"]["bias"]
  return x


@pytest.mark.parametrize(
  "grid, trained, mask, side, shifts",
  [
    ((8, 12), 8, "last_rows", 4, (0, 2)),
    ((8, 4), 8, "swin", 4, (0, 2)),  # along an axis of one window as well
    ((4, 4), 0, "swin", 4, (0, 0)),  # one window
    ((6, 3), 3, "swin", 3, (0, 0)),  # larger than in training: not shifted
  ],
)
def test_group_layers_are_their_definition(
  grid, trained, mask, side, shifts, fill, normal
):
  model, x = layers(trained=trained, mask=mask), normal(2, *grid, 4)
  params = fill(model, x)
  y = jax.jit(model.apply)(params, x)
  stacked = params["params"]["layers"]
  how = dict(side=side, shifts=shifts, mask=mask)
  expected = [reference(one, stacked, **how) for one in x]
  np.testing.assert_allclose(y, np.stack(expected), atol=1e-4)


def test_layers_with_layer_norm_are_those_of_the_backbone(fill, normal):
  size = swin.Size(width=8, depths=(2,), heads=(2,), window=4)
  backbone = swin.Swin(size=size, patch=1, grid=(8, 8))
  images = normal(2, 8, 8, 3)
  params = fill(backbone, images)["params"]
  model = layers(norm="layer", trained=8)
  x = images @ params["patch_embed"]["proj"]["kernel"]
  x = x + params["patch_embed"]["proj"]["bias"]
  norm = params["patch_norm"]
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(
    x.var(-1, keepdims=True) + swin.EPS
  )
  x = x * norm["scale"] + norm["bias"]
  y = model.apply({"params": params["stage0"]}, x)
  expected = backbone.apply({"params": params}, images)["stage1"]
  np.testing.assert_allclose(y.reshape(2, 64, 8), expected, atol=1e-4)


def test_scanned_and_unrolled_agree(fill, normal):
  x, model = normal(2, 8, 8, 4), layers()
  params = fill(model, x)
  scanned = dataclasses.replace(model, rt=runtime.Runtime(scan=True))
  a, b = (jax.jit(how.apply)(params, x) for how in (model, scanned))
  np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
  "options, word",
  [(dict(window=3), "windows of side 3"), (dict(norm="x"), "x")],
)
def test_what_does_not_fit_is_named(options, word):
  with pytest.raises(ValueError, match=word):
    jax.eval_shape(
      layers(**options).init, jax.random.key(0), np.zeros((1, 8, 8, 4))
    )


def spatial_swin(**options):
  return swin_map.SpatialSwin(
    width=4, depth=1, window=4, trained=8, head_width=2, **options
  )


def test_a_unet_has_them_in_place_of_attention():
  """Windows are smaller where the map is; the middle has them too."""
  widths = dict(width=4, norm_groups=2, heads=0, head_width=2, dropout=0.0)
  levels = dict(multipliers=(1, 2, 2), blocks=1, attend_at=(1,))
  dims = unet.Dims(**widths, **levels, attend_first=True)
  net, x = dims.net(mixer=spatial_swin), np.zeros((1, 8, 8, 3))
  made = jax.eval_shape(net.init, jax.random.key(0), x, np.zeros(1))["params"]
  tables = {
    name: part["swin"]["layers"]["relative"]["table"].shape
    for name, part in made.items()
    if name.endswith("_attention")
  }
  sides = {"down0_0": 4, "middle": 2, "up0_0": 4}
  assert tables == {
    f"{name}_attention": (1, (2 * side - 1) ** 2, 2)
    for name, side in sides.items()
  }


def test_there_is_no_residual_around_it(fill, normal):
  x = normal(1, 4, 4, 6)
  model = spatial_swin(heads=1, groups=2, norm_in=True)
  params = fill(model, x)["params"]
  out = {k: np.zeros_like(v) for k, v in params["proj_out"].items()}
  y, tokens = model.apply({"params": {**params, "proj_out": out}}, x)
  assert y.shape == x.shape and not np.asarray(y).any() and not tokens
