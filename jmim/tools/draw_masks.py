"""Sheets of what each method hides, for `draw_methods`.

Masks are drawn by the methods themselves (`draw`), at the sizes of their
published recipes, over held-out scattered digits; nothing is trained.
"""

import io
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image

from jmim.core import discovery
from jmim.core import method as methods
from jmim.data import sources
from jmim.evals.lib import draw as sheets
from jmim.masks import tokens as masking

GREY, SIDE, ROWS = 120, 224, 4
KEY = 3
Columns = dict[str, np.ndarray]  # title -> uint8 [n, SIDE, SIDE, 3]


def pictures(n: int) -> np.ndarray:
  """uint8 [n, SIDE, SIDE, 3]: held-out digits, enlarged."""
  source = sources.build("digits/scattered", "test")
  files = [io.BytesIO(source[i]["image"]) for i in range(n)]
  images = np.stack([np.asarray(PIL.Image.open(f)) for f in files])
  return sheets.fitted(images, (SIDE, SIDE))


def hide(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """Grey where [n, h, w] is true; any grid that divides the images."""
  big = sheets.fitted(np.asarray(mask, bool), images.shape[1:3])[..., None]
  return np.where(big, np.uint8(GREY), images)


def make(name: str, **fields: Any) -> Any:
  """The method of a name with these keys of its section."""
  return discovery.make({"type": name, **fields})


def draws_of(
  method: methods.Method, n: int = ROWS, **batch: np.ndarray
) -> dict[str, np.ndarray]:
  """Draws of a method for n examples; the values of `batch` do not matter."""
  batch = batch or {"image": np.zeros((n, 1), np.float32)}
  draws = method.drawn(jax.random.key(KEY), batch)
  return jax.tree.map(np.asarray, draws)


def mask_of(method: Any) -> np.ndarray:
  """[n, h, w] mask of an MAE or one of its kind."""
  mask = method.mask(draws_of(method)).mask
  return np.asarray(mask).reshape(-1, *method.grid)


def mae(images: np.ndarray) -> Columns:
  """A mask of MAE at three ratios."""
  columns = {"image": images}
  for ratio in (0.5, 0.75, 0.9):
    m = make("mim.mae", mask_ratio=ratio)
    columns[f"{ratio:.0%} hidden"] = hide(images, mask_of(m))
  return columns


def umd(images: np.ndarray) -> Columns:
  """The mask of a clean image, and of images noised to three times."""
  m = make("diffusion.umd", dims={"variant": "B/4"}, size=64)
  draws = draws_of(m)

  def masked(pictures: np.ndarray, ratio: float) -> np.ndarray:
    keep = masking.keep_count(draws["scores"].shape[1], ratio)
    mask = masking.from_scores(jnp.asarray(draws["scores"]), keep).mask
    return hide(pictures, np.asarray(mask).reshape(-1, *m.dims.grid(m.size)))

  x = images[:, ::7, ::7] / 127.5 - 1.0  # as they were before enlarging
  eps = np.random.default_rng(KEY).normal(size=x.shape)
  columns = {"clean": masked(images, m.clean_mask)}
  for t in (200, 500, 800):
    a, s = map(float, m.noise.process.at(jnp.asarray(t)))
    noised = np.clip(127.5 * (a * x + s * eps + 1.0), 0, 255).astype(np.uint8)
    big = sheets.fitted(noised, (SIDE, SIDE))
    columns[f"time {t}"] = masked(big, m.noised_mask)
  return columns


def dmae(images: np.ndarray) -> Columns:
  """The mask of teacher and student at three ratios."""
  columns = {"image": images}
  for ratio in (0.75, 0.95, 0.98):
    m = make("distill.dmae", mask_ratio=ratio)
    columns[f"{ratio:.0%} hidden"] = hide(images, mask_of(m))
  return columns


def simmim(images: np.ndarray) -> Columns:
  """Squares of three sizes."""
  columns = {"image": images}
  for square in (16, 32, 56):
    patch = 8 if square == 56 else 16
    backbone = {"variant": f"B/{patch}"}
    m = make("mim.simmim", square=square, backbone=backbone)
    columns[f"{square} px"] = hide(images, draws_of(m)["mask"])
  return columns


def crate_mae(images: np.ndarray) -> Columns:
  """What MAE's encoder sees, and the mask tokens that this one sees beside."""
  m = make("mim.crate_mae")
  mask = mask_of(m)
  white = np.full_like(images, 255)
  hidden = sheets.fitted(mask.astype(bool), (SIDE, SIDE))[..., None]
  return {
    "image": images,
    "MAE's encoder": np.where(hidden, white, images),
    "CRATE-MAE's": hide(images, mask),
  }


def colormae(images: np.ndarray) -> Columns:
  """One mask of each colour."""
  columns = {}
  for colour in ("white", "red", "blue", "green", "purple"):
    m = make("mim.colormae", colours=(colour,), start_steps=(0,))
    columns[colour] = hide(images, mask_of(m))
  return columns


def lmd(images: np.ndarray) -> Columns:
  """The same draw at four times of the curriculum, on patches of 32 pixels."""
  m, columns = make("mim.lmd"), {"image": images}
  scores = jnp.asarray(draws_of(m)["noise"])
  counts = m.curriculum.counts(scores.shape[1], m.mask_ratio)
  for share in (0, 1 / 3, 1 / 2, 2 / 3):
    count = int(counts[round(share * len(counts))])
    mask = np.asarray(masking.from_scores(scores, count).mask)
    columns[f"{share:.0%} of the steps"] = hide(
      images, mask.reshape(-1, *m.grid)
    )
  return columns


def contrasts(images: np.ndarray) -> tuple[np.ndarray, Columns]:
  """An importance [n, 196], here the contrast of a patch, and its picture."""
  cells = images.reshape(len(images), 14, 16, 14, 16, 3).astype(np.float32)
  contrast = cells.std((2, 4)).mean(-1) + 2.0
  p = contrast.reshape(len(images), -1) / contrast.sum((1, 2))[:, None]
  heat = sheets.heat(contrast, contrast.min(), contrast.max())
  drawn = sheets.fitted(heat, (SIDE, SIDE))
  return p, {"image": images, "importance": drawn}


def maskalign(images: np.ndarray) -> Columns:
  """Kept patches drawn by an importance."""
  p, columns = contrasts(images)
  for name in ("attention", "random"):
    m = make("distill.maskalign", visible=name)
    mask = np.asarray(m.mask(jnp.asarray(p), draws_of(m)).mask)
    columns[name] = hide(images, mask.reshape(-1, 14, 14))
  return columns


def mr_mae(images: np.ndarray) -> Columns:
  """Visible patches at random, and guided by an importance."""
  p, columns = contrasts(images)
  taught = {"teacher": {"importance": jnp.asarray(p)}}
  for visible in ("random", "attention"):
    m = make("distill.mr_mae", visible=visible)
    mask = m.mask(m.guided(draws_of(m), taught)).mask
    columns[visible] = hide(images, np.asarray(mask).reshape(-1, *m.grid))
  return columns


def ijepa(images: np.ndarray) -> Columns:
  """The context and the four blocks to predict from it."""
  draws, n = draws_of(make("mim.ijepa", dims={"variant": "H/14"})), 256
  columns = {"image": images}

  def shown(ids: np.ndarray, valid: np.ndarray) -> np.ndarray:
    visible = np.zeros((len(ids), n), bool)
    for row, i, ok in zip(visible, ids, valid, strict=True):
      row[i[ok]] = True
    return hide(images, ~visible.reshape(-1, 16, 16))

  columns["context"] = shown(
    draws["context"][:, 0], draws["context_valid"][:, 0]
  )
  for t in range(draws["targets"].shape[1]):
    columns[f"target {t + 1}"] = shown(
      draws["targets"][:, t], draws["targets_valid"][:, t]
    )
  return columns


def cropmae(images: np.ndarray) -> Columns:
  """Source, target, and the visible patches of the target."""
  views = np.stack([images, _crops(images)], axis=1)
  m = make("mim.cropmae")
  noise = {k: jnp.asarray(v) for k, v in draws_of(m, views=views).items()}
  mask = np.asarray(m.mask(noise).mask).reshape(-1, *m.grid)
  return {
    "source": images,
    "target": views[:, 1],
    "seen": hide(views[:, 1], mask),
  }


def _crops(images: np.ndarray) -> np.ndarray:
  """A crop of 0.45 of the area of each, enlarged."""
  rng, side, crops = np.random.default_rng(KEY), 150, []
  for image in images:
    y, x = rng.integers(0, SIDE - side, 2)
    crop = PIL.Image.fromarray(image[y : y + side, x : x + side])
    crops.append(np.asarray(crop.resize((SIDE, SIDE))))
  return np.stack(crops)


def cae(images: np.ndarray) -> Columns:
  """Rectangles beside a random mask of the same count."""
  columns = {"image": images}
  for name, blockwise in (("rectangles", True), ("random", False)):
    mask = draws_of(make("mim.cae", blockwise=blockwise))["mask"]
    columns[name] = hide(images, mask.reshape(-1, 14, 14))
  return columns


def videomae_v2(images: np.ndarray) -> Columns:
  """Encoder and decoder mask of one clip at four steps, one row each."""
  m = make("video.videomae_v2")
  draws = draws_of(m, 1, video=np.zeros((1, 1), np.float32))
  still = np.repeat(images[:1], 4, axis=0)
  steps = lambda x: x[0].reshape(m.grid)[:4]
  hidden, kept = steps(draws["hidden"]), steps(draws["left"])
  return {
    "frame": still,
    "encoder": hide(still, hidden),
    "decoder": hide(still, kept),
    "scored": hide(still, kept | ~hidden),
  }


SHEETS = {
  sheet.__name__: sheet
  for sheet in (
    mae,
    dmae,
    simmim,
    crate_mae,
    colormae,
    lmd,
    maskalign,
    mr_mae,
    ijepa,
    cropmae,
    cae,
    videomae_v2,
    umd,
  )
}
