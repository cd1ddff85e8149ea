import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.parts import text

SMALL = text.Text(
  vocabulary=11,
  length=6,
  start=1,
  end=2,
  pad=0,
  width=8,
  depth=2,
  heads=2,
  projection=4,
)
IDS = jnp.array([[1, 5, 7, 2, 0, 0], [1, 9, 4, 6, 8, 2]])
NOTHING = methods.Weights({})


def test_trained_along_or_frozen_it_is_the_same_network():
  params = SMALL.init(jax.random.key(0))
  along = SMALL.encode(NOTHING, params, IDS, pooled=True)
  frozen = dataclasses.replace(SMALL, path="R", weights="ema", sha256="ab")
  const = frozen.consts("condition.text")["text"]
  assert SMALL.consts() == {} == frozen.init(jax.random.key(0))
  assert (const.path, const.weights, const.sha256) == ("R", "ema", "ab")
  assert const.key == "method.condition.text.path" and not const.images
  # What changes no shape is compared with the run.
  key, act = const.agrees["text.act"]
  assert (key, act) == ("method.condition.text.act", SMALL.act)
  assert const.agrees["text.heads"][1] == 2
  made = const.init(jax.random.key(0))
  weights = methods.Weights({}, {}, {"text": made})
  given = frozen.encode(weights, {}, IDS, pooled=True)
  jax.tree.map(np.testing.assert_array_equal, along, given)
  assert along.pooled.shape == (2, 4) and along.tokens.shape == (2, 6, 8)


def test_the_layer_that_is_read():
  params = SMALL.init(jax.random.key(0))
  before = dataclasses.replace(SMALL, layer=2)
  one, other = (m.encode(NOTHING, params, IDS).tokens for m in (SMALL, before))
  assert np.abs(one - other).max() > 1e-4


def test_tokens_are_read_with_their_start_and_end():
  spec = SMALL.entries()["tokens"]
  assert (spec.shape, spec.high, spec.holds) == ((6,), 11, (1, 2))
  without = dataclasses.replace(SMALL, start=-1)
  assert without.entries()["tokens"].holds == (2,)
  assert spec.closes == (2, 0)


def test_an_empty_text_is_its_start_and_its_end():
  assert SMALL.empty(IDS).tolist() == [[1, 2, 0, 0, 0, 0]] * 2
  clip = dataclasses.replace(SMALL, start=-1, pad=2)
  assert clip.empty(IDS)[0].tolist() == [2] * 6


@pytest.mark.parametrize(
  ("change", "words"),
  [
    (dict(end=11), "text.end 11 of text.vocabulary 11"),
    (dict(start=12), "text.start 12"),
    (dict(pad=99), "text.pad 99"),
    (dict(heads=3), "text.width 8 does not divide by text.heads 3"),
    (dict(layer=3), "text.layer 3 of 2 blocks"),
    (dict(layer=0), "text.layer 0"),
  ],
)
def test_fields_that_do_not_go_together(change, words):
  with pytest.raises(ValueError, match=words):
    dataclasses.replace(SMALL, **change).entries()


def test_as_it_is_it_is_that_of_stable_diffusion():
  shapes = jax.eval_shape(text.Text().init, jax.random.key(0))
  count = sum(x.size for x in jax.tree.leaves(shapes))
  assert count == 123_060_480  # CLIP ViT-L/14, without the projection
