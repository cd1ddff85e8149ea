import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import randomness
from jmim.methods.parts import told_caption

FEATURES = told_caption.ToldCaption(length=3, width=5)
WORDS = field.replace(FEATURES, kind="words", vocabulary=7)
TEXT = field.replace(
  FEATURES,
  kind="text",
  text=dict(
    vocabulary=9,
    length=4,
    width=8,
    depth=1,
    heads=2,
    start=1,
    end=2,
    pad=0,
  ),
)


def weights(part):
  return methods.Weights({"main": {"caption": part.init(jax.random.key(0))}})


def test_stored_features_are_what_is_told(normal):
  batch = {"context": normal(2, 3, 5).astype(np.float16)}
  assert FEATURES.inputs()["context"].shape == FEATURES.shape == (3, 5)
  none = methods.Weights({"main": {}})  # a checkpoint keeps no empty tree
  told = FEATURES.vectors(none, batch)
  assert told.dtype == jnp.float32
  np.testing.assert_array_equal(told, batch["context"])


def test_words_are_rows_of_a_table_and_padding_is_zeros():
  batch, w = {"tokens": np.array([[2, 5, 0], [5, 0, 0]])}, weights(WORDS)
  assert WORDS.inputs()["tokens"].high == 7
  told = WORDS.vectors(w, batch)
  table = w.params["main"]["caption"]["words"]
  np.testing.assert_array_equal(told[0, :2], table[np.array([2, 5])])
  assert not told[0, 2].any() and not told[1, 1:].any()
  np.testing.assert_array_equal(told[1, 0], told[0, 1])


def test_texts_go_through_their_encoder():
  spec = TEXT.inputs()["tokens"]
  assert spec.shape == (4,) and TEXT.shape == (4, 8)
  tokens = np.array([[1, 5, 2, 0], [1, 6, 2, 0]])
  told = TEXT.vectors(weights(TEXT), {"tokens": tokens})
  assert told.shape == (2, 4, 8) and np.abs(told[0] - told[1]).max() > 1e-3
  frozen = field.replace(TEXT, text=dict(path="run"))
  (const,) = frozen.consts().values()
  assert const.key == "method.caption.text.path"
  assert not frozen.init(jax.random.key(0)) and not TEXT.consts()


@pytest.mark.parametrize("part", [FEATURES, WORDS], ids=["features", "words"])
def test_what_is_dropped_is_zeros_and_the_rest_as_it_is(part, normal):
  batch = {"context": normal(2, 3, 5), "tokens": np.array([[1, 2, 3]] * 2)}
  w, draws = weights(part), {"caption_drop": jnp.array([0.05, 0.5])}
  told, none = part.condition(w, batch)
  shown = part.shown(w, batch, draws)
  assert not shown[0].any() and not none.any() and none.shape == told.shape
  np.testing.assert_array_equal(shown[1], told[1])


def test_the_share_that_is_dropped_is_that_of_the_field():
  draws = FEATURES.draw(randomness.Keys(jax.random.key(0)), (4000, 8))
  share = (draws["caption_drop"] < FEATURES.drop).mean()
  assert abs(share - 0.1) < 0.02
