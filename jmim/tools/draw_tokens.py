"""Sheets of what methods mix, drop or do not read, for `draw_methods`.

As those of `draw_masks`, of methods in which more than a mask decides.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.masks import groups
from jmim.nn import compress
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn import singularity
from jmim.tools import draw_masks


def diffrate(images: np.ndarray) -> draw_masks.Columns:
  """What a published list leaves of an importance: here, the contrast."""
  m = draw_masks.make("supervised.diffrate", lists={"published": "mae_b_11.5g"})
  p, columns = draw_masks.contrasts(images)
  ids = np.asarray(compress.by_importance(jnp.asarray(p)))
  for block in (3, 6, 9, 12):
    left = min(m.lists.kept[1][:block])
    gone = np.ones((len(images), 1 + p.shape[1]), bool)
    np.put_along_axis(gone, ids[:, :left], False, 1)
    mask = gone[:, 1:].reshape(-1, 14, 14)
    columns[f"block {block}: {left}"] = draw_masks.hide(images, mask)
  return columns


def hybrid(images: np.ndarray) -> draw_masks.Columns:
  """What three stages leave: at random, then the patches least like others.

  By the pixels of the patches, less their mean, as no network is trained.
  """
  m = draw_masks.make("distill.hybrid")
  noise = jnp.asarray(draw_masks.draws_of(m)["noise"])
  x = patching.patchify(jnp.asarray(images / 255.0), 16)
  x = x - x.mean(1, keepdims=True)
  ids = np.tile(np.arange(x.shape[1]), (len(images), 1))
  columns = {"image": images}
  stages = m.dropping.stage_counts(x.shape[1], m.dims.size.depth)
  for block, count in stages.items():
    live = jnp.take_along_axis(x, ids[..., None], axis=1)
    stay = m.dropping.kept(live, count, None if block else noise)
    ids = np.take_along_axis(ids, np.asarray(stay), axis=1)
    gone = np.ones(x.shape[:2], bool)
    np.put_along_axis(gone, ids, False, 1)
    hidden = draw_masks.hide(images, gone.reshape(-1, *m.encoder.grid))
    columns[f"block {block + 1}: {count}"] = hidden
  return columns


def mixedae(images: np.ndarray) -> draw_masks.Columns:
  """The mixed image of a group of four, and what each gave to it."""
  m = draw_masks.make("mim.mixedae")
  draws = jax.tree.map(jnp.asarray, draw_masks.draws_of(m))
  grouped = groups.gather(jnp.asarray(images), m.group)
  mixed = groups.mix(grouped, draws["assign"][:: m.group], m.dims.patch)
  mask = np.asarray(m.mask(draws).mask).reshape(-1, *m.grid)
  return {
    "image": images,
    "mixed (encoder)": np.repeat(np.asarray(mixed), m.group, axis=0),
    "decoder": draw_masks.hide(images, mask),
  }


def mto(images: np.ndarray) -> draw_masks.Columns:
  """A mask of SimMIM, and what of it visible tokens do not read.

  By the pixels of the patches and their positions, as no network is trained.
  """
  m = draw_masks.make("mim.mto")
  mask = draw_masks.draws_of(m)["mask"]
  patches = patching.patchify(jnp.asarray(images / 255.0), 16)
  hidden = jnp.asarray(mask.reshape(len(mask), -1))
  x = jnp.where(hidden[..., None] > 0, 0.5, patches)
  x = x + posemb.sincos_2d(x.shape[-1], m.grid)
  counts = m.tokens.counts(m.masked, m.backbone.size.blocks)
  columns = {"hidden": draw_masks.hide(images, mask)}
  for layer in (0, 4, 8):
    bias = singularity.recalibration(x, hidden, counts[layer], 0.1)
    unread = np.asarray(bias.min((1, 2)) < 0).reshape(mask.shape)
    columns[f"unread, block {layer + 1}"] = draw_masks.hide(images, unread)
  return columns


SHEETS = {
  "diffrate": diffrate,
  "hybrid_distill": hybrid,
  "mixedae": mixedae,
  "mto": mto,
}
