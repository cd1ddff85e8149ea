r"""Directional CLIP: whether pictures changed as their texts did, as a score.

    score = cos(E_I(y) - E_I(x), E_T(t') - E_T(t))      vectors of length 1

of any frozen model that offers vectors of pictures and of texts in one space,
`features` and `text` (`text.clip`). Pictures are brought to its size and its
normalisation; texts are tokens of its own tokenizer. Gal et al. 2022; Wu and De
la Torre 2023 choose by it.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.core import procedure
from jmim.nn import directions
from jmim.nn import resize

TEXTS = ("tokens", "target_tokens")  # t and t' of a batch
OUTPUTS = ("features", "text")


def inputs(model: procedure.Model) -> dict[str, method.Input]:
  """Both texts, as the model reads them; nothing, if it reads none."""
  reads = model.method.inputs() if model.method else {}
  return dict.fromkeys(TEXTS, reads["tokens"]) if "tokens" in reads else {}


def check(
  model: procedure.Model,
  image: tuple[int, ...],
  told: Mapping[str, method.Input],
  name: str = "scorer",
) -> None:
  """Raises ValueError for a model that cannot score.

  Args:
    model: of pictures and texts.
    image: shape [h, w, c] of the pictures.
    told: what a diffusion model reads: whose tokens, if it reads any, must be
      the same, as both read one text.
    name: of the model, for messages.
  """
  offered = model.method.predict() if model.method else {}
  if lacking := [x for x in OUTPUTS if x not in offered]:
    raise ValueError(
      f"{name} offers no {' and no '.join(lacking)}: name a run of text.clip"
    )
  reads = model.method.inputs()
  if reads["image"].shape[-1] != image[-1]:
    raise ValueError(
      f"{name} reads images of {reads['image'].shape[-1]} channel(s), and "
      f"these have {image[-1]}"
    )
  ours, theirs = reads["tokens"], told.get("tokens")
  if theirs is None:
    return
  said = lambda x: (tuple(x.shape), x.high, tuple(x.holds))
  if said(ours) != said(theirs):
    raise ValueError(
      f"{name} reads tokens (length, number, around a text) {said(ours)}, and "
      f"the diffusion model {said(theirs)}: both read one text"
    )


def seen(
  model: procedure.Model, images: jax.Array, units: procedure.Units = None
) -> jax.Array:
  """E_I(images) [b, d].

  Args:
    model: of pictures and texts.
    images: [b, h, w, c].
    units: mean and std of their normalisation; None: that of the model.
  """
  if units and model.units and units != model.units:
    (mean, std), (own_mean, own_std) = map(_arrays, (units, model.units))
    shown = jnp.clip(images * std + mean, 0.0, 1.0)
    images = (shown - own_mean) / own_std
  side = model.method.inputs()["image"].shape[:2]
  images = resize.images(images, tuple(side), "smooth")
  return model.output("features", {"image": images}, jax.random.key(0))


def asked(model: procedure.Model, batch: method.Batch) -> tuple[jax.Array, ...]:
  """E_T(t') - E_T(t) [b, d] of a batch with both texts."""
  before, after = (
    model.output("text", {"tokens": batch[name]}, jax.random.key(0))
    for name in TEXTS
  )
  return directions.change(before, after)


def score(wanted: jax.Array, before: jax.Array, after: jax.Array) -> jax.Array:
  """[b]: the cosine.

  Args:
    wanted: [b, d] of `asked`.
    before: [b, d] of `seen`.
    after: [b, d] of `seen`.
  """
  return directions.alike(directions.change(before, after), wanted)


def _arrays(units):
  return (jnp.asarray(x, jnp.float32) for x in units)
