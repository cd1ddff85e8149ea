"""Sheets of what methods mix, drop or do not read, for `draw_methods`.

As those of `draw_masks`, of methods in which more than a mask decides.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.evals.lib import draw as sheets
from jmim.masks import groups
from jmim.nn import compress
from jmim.nn import patch as patching
from jmim.nn import posemb
from jmim.nn import singularity
from jmim.tools import draw_masks

SURE = {"steps": 8, "temperature": 1.0}  # sampling of codes, the surest first


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


def maskgit(images: np.ndarray) -> draw_masks.Columns:
  """A mask of training; what is masked after some of 8 calls of sampling.

  The codes of flat patches are the surest here, as no network is trained.
  """
  m = draw_masks.make("discrete.maskgit", codes={"side": 14}, sampling=SURE)
  masked = np.asarray(m.masks.masked(draw_masks.draws_of(m)))
  hidden = draw_masks.hide(images, masked.reshape(-1, 14, 14))
  columns = {"image": images, "training": hidden}
  vocabulary = m.codes.vocabulary
  return columns | _surest(images, m.sampling, vocabulary, (2, 4, 6))


def digit(images: np.ndarray) -> draw_masks.Columns:
  """Codes hidden in training (nar), and what is not yet named: nar, ar."""
  m = draw_masks.make(
    "discrete.digit_pixels",
    pixels={"side": 14},
    render={"type": "nar", "sampling": SURE},
  )
  codes = jnp.zeros((len(images), 14 * 14), jnp.int32)
  task = m.render.task(codes, draw_masks.draws_of(m))
  hidden = np.asarray(task.scored)[:, 1:].reshape(-1, 14, 14)
  columns = {"image": images, "training": draw_masks.hide(images, hidden)}
  vocabulary = m.pixels.vocabulary
  columns |= _surest(images, m.render.sampling, vocabulary, (2, 6))
  later = np.arange(14 * 14) >= 98
  later = np.broadcast_to(later.reshape(14, 14), hidden.shape)
  return columns | {"ar: 98 to go": draw_masks.hide(images, later)}


def _surest(images, sampling, vocabulary, calls):
  """What is masked after some calls, were flat patches the surest."""
  contrast, _ = draw_masks.contrasts(images)
  sure = 12 * (1 - contrast / contrast.max(1, keepdims=True))
  logits = jnp.zeros((*sure.shape, vocabulary)).at[..., 0].set(sure)
  made = sampling.sample(
    jax.random.split(jax.random.key(0), len(images)),
    lambda x: logits,
    jnp.full(sure.shape, vocabulary),
    vocabulary,
  )
  columns = {}
  for call in calls:
    left = np.asarray(made.left[call - 1] == vocabulary).reshape(-1, 14, 14)
    title = f"after call {call}: {left[0].sum()}"
    columns[title] = draw_masks.hide(images, left)
  return columns


def mar(images: np.ndarray) -> draw_masks.Columns:
  """A mask of training; what is masked after some of 8 calls of sampling."""
  m = draw_masks.make(
    "latent.mar", size=14, sampling={"steps": 8}, labels={"classes": 0}
  )
  draws, columns = draw_masks.draws_of(m), {"image": images}
  place = np.argsort(draws["order"], axis=1).reshape(-1, 14, 14)
  hidden = draw_masks.hide(images, place < draws["n_mask"])
  columns["training (encoder)"] = hidden
  for call in (2, 4, 6):
    left = m.sampling.counts(m.shape[0])[call]
    hidden = draw_masks.hide(images, place < left)
    columns[f"after call {call}: {left}"] = hidden
  return columns


def mmar(images: np.ndarray) -> draw_masks.Columns:
  """What is masked of an image in two stages, and who sees whom.

  Rows: an image after its text, one alone, one before its text, one after. In
  the last column a row of 8 words and 24 tokens of an image is a row of the
  picture, and what it sees is white.
  """
  columns = {"image": images}
  for stage, least in (("one", 0.7), ("two", 0.0)):
    text, sequence = {"of": ("a digit",)}, {"least_rate": least}
    m = draw_masks.make("latent.mmar", size=14, text=text, sequence=sequence)
    draws = draw_masks.draws_of(m)
    draws["form"] = np.array([0.9, 0.9, 0.1, 0.9], np.float32)
    draws["text_drop"] = np.array([0.9, 0.0, 0.9, 0.9], np.float32)
    forms = m.sequence.forms(draws)
    hidden = np.asarray(forms.mask).reshape(-1, 14, 14)
    columns[f"stage {stage}"] = draw_masks.hide(images, hidden)
  words = jnp.ones((len(images), 8), bool)
  places = m.sequence.places(words, 24, forms.describes, forms.told)
  seen = np.asarray(places.rows(0, 32)["bias"])[:, 0] == 0
  white = np.full_like(images, 255)
  columns["who sees whom"] = draw_masks.hide(white, ~seen)
  return columns


def vq_diffusion(images: np.ndarray) -> draw_masks.Columns:
  """One draw at four of 100 times: masked, and (red) replaced."""
  m = draw_masks.make(
    "discrete.vq_diffusion", codes={"side": 14}, process={"mask_last": 0.9}
  )
  draws, columns = draw_masks.draws_of(m), {"image": images}
  # As if no code were drawn in the place of itself.
  x0 = jnp.full(draws["u"].shape, -1)
  for time in (25, 50, 75, 99):
    t = jnp.full(len(x0), time)
    x = np.asarray(m.noise.noised(x0, t, draws["u"], draws["code"]))
    x = x.reshape(-1, 14, 14)
    shown = draw_masks.hide(images, x == m.noise.mask_id)
    swapped = sheets.fitted((x >= 0) & (x < m.noise.mask_id), shown.shape[1:3])
    red = (shown // 2 + np.array([120, 0, 0])).astype(np.uint8)
    columns[f"time {time}"] = np.where(swapped[..., None], red, shown)
  return columns


SHEETS = {
  "diffrate": diffrate,
  "digit": digit,
  "hybrid_distill": hybrid,
  "mar": mar,
  "maskgit": maskgit,
  "mixedae": mixedae,
  "mmar": mmar,
  "mto": mto,
  "vq_diffusion": vq_diffusion,
}
