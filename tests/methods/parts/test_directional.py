import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.methods.diffusion import ddpm
from jmim.methods.parts import directional
from jmim.methods.text import clip

CLIP = clip.CLIP.tiny()
MODEL = procedure.Model(
  method=CLIP, weights=toydiffusion.fresh(CLIP), units=((0.5,) * 3, (0.5,) * 3)
)
IMAGE = (8, 8, 3)
RNG = np.random.default_rng(0)
X, Y = RNG.uniform(-1, 1, (2, 4, *IMAGE)).astype(np.float32)
TOKENS = RNG.integers(3, 11, (2, 4, 6)).astype(np.int32)
BATCH = dict(zip(directional.TEXTS, jnp.asarray(TOKENS), strict=True))


def unit(x):
  return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True), float)


def test_it_is_its_formula():
  pictures = [CLIP.features(MODEL.weights, {"image": x}) for x in (X, Y)]
  texts = [CLIP.words(MODEL.weights, {"tokens": t}) for t in TOKENS]
  of = lambda pair: unit(unit(pair[1]) - unit(pair[0]))
  wanted = (of(pictures) * of(texts)).sum(1)
  seen = [directional.seen(MODEL, x) for x in (X, Y)]
  found = directional.score(directional.asked(MODEL, BATCH), *seen)
  np.testing.assert_allclose(found, wanted, atol=1e-4)
  assert found.min() < found.max()


def test_pictures_are_brought_to_its_units_and_its_size():
  """Those of 0 .. 1, twice as large with each pixel four times."""
  plain = directional.seen(MODEL, X)
  other = ((0.0,) * 3, (1.0,) * 3)
  found = directional.seen(MODEL, (X + 1) / 2, other)
  np.testing.assert_allclose(found, plain, atol=1e-4)
  # What a file could not hold is cut off.
  far = directional.seen(MODEL, (2 * X + 1) / 2, other)
  cut = directional.seen(MODEL, np.clip(2 * X, -1, 1))
  np.testing.assert_allclose(far, cut, atol=1e-4)
  # The same units, or unknown ones: as they are, whatever they are.
  for units in (MODEL.units, None):
    same = directional.seen(MODEL, 2 * X, units)
    raw = CLIP.features(MODEL.weights, {"image": 2 * X})
    np.testing.assert_array_equal(same, raw)
  smooth = np.broadcast_to(X.mean((1, 2), keepdims=True), X.shape)
  large = np.repeat(np.repeat(smooth, 2, 1), 2, 2)
  np.testing.assert_allclose(
    directional.seen(MODEL, large), directional.seen(MODEL, smooth), atol=1e-4
  )


def test_what_it_reads():
  found = directional.inputs(MODEL)
  assert set(found) == {"tokens", "target_tokens"}
  assert {*found.values()} == {CLIP.inputs()["tokens"]}
  none = procedure.Model(method=ddpm.DDPM.tiny())
  assert directional.inputs(none) == {}


def test_what_cannot_score_is_named():
  check = directional.check
  tokens = CLIP.inputs()["tokens"]
  check(MODEL, IMAGE, {"tokens": tokens})
  check(MODEL, (64, 64, 3), {"label": method.Input((), jnp.int32, 3)})
  with pytest.raises(ValueError, match="scorer offers no features and no text"):
    check(procedure.Model(method=ddpm.DDPM.tiny()), IMAGE, {})
  with pytest.raises(ValueError, match="images of 3 channel"):
    check(MODEL, (8, 8, 1), {})
  longer = dataclasses.replace(tokens, shape=(7,))
  for other in (longer, dataclasses.replace(tokens, holds=(2,))):
    with pytest.raises(ValueError, match="both read one text"):
      check(MODEL, IMAGE, {"tokens": other})
  # Another padding says nothing: a text is read up to its end.
  padded = field.replace(CLIP, text=dict(pad=2)).inputs()["tokens"]
  assert padded != tokens
  check(MODEL, IMAGE, {"tokens": padded})


def test_it_has_a_gradient_in_the_pictures():
  wanted, before = directional.asked(MODEL, BATCH), directional.seen(MODEL, X)
  total = lambda y: directional.score(
    wanted, before, directional.seen(MODEL, y)
  ).sum()
  assert float(jnp.abs(jax.grad(total)(Y)).max()) > 0
