import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.parts import told_video

STORED = told_video.ToldVideo(
  length=4, width=3, clip_length=2, clip_width=5, drop=0.5
)
LABEL = dataclasses.replace(STORED, kind="label", classes=3)
NOTHING = methods.Weights({"main": {}})


@pytest.fixture
def batch(normal):
  return {
    "context": normal(2, 4, 3).astype(np.float16),
    "clip_context": normal(2, 2, 5, seed=1),
    "context_length": jnp.asarray([3, 0]),
    "fps": jnp.asarray([24.0, 12.0]),
  }


def test_clip_counts_among_what_is_read(batch):
  told = STORED.told(NOTHING, batch)
  assert told.text.dtype == jnp.float32 and told.fps is None
  np.testing.assert_array_equal(told.valid, [5, 2])
  alone = dataclasses.replace(STORED, clip_length=0)
  assert set(alone.inputs()) == {"context", "context_length"}
  told = alone.told(NOTHING, batch)
  assert told.clip is None
  np.testing.assert_array_equal(told.text[0], np.float32(batch["context"][0]))


def test_of_nothing_one_token_of_zeros_is_read(batch):
  """Without CLIP, a text of no tokens is none, whatever lies in its place."""
  alone = dataclasses.replace(STORED, clip_length=0)
  told, none = alone.condition(NOTHING, batch)
  np.testing.assert_array_equal(told.valid, [3, 1])
  np.testing.assert_array_equal(none.valid, [1, 1])
  assert told.text[0].any() and not told.text[1].any()
  assert not none.text.any()


def test_no_stored_text_is_zeros_or_a_file_s(batch):
  none = STORED.none(NOTHING, batch)
  assert not none.text.any() and not none.clip.any()
  np.testing.assert_array_equal(none.valid, [2, 2])
  null = dataclasses.replace(STORED, null="empty.npz")
  (const,) = null.consts().values()
  assert const.key == "method.told.null"
  tree = const.init(jax.random.key(0)) | {"context_length": jnp.int32(1)}
  weights = methods.Weights({"main": {}}, consts={"null": tree})
  none = null.none(weights, batch)
  np.testing.assert_array_equal(none.text, np.stack([tree["context"]] * 2))
  np.testing.assert_array_equal(none.valid, [3, 3])


def test_dropped_texts_are_those_of_none_and_the_rate_stays(batch):
  part = dataclasses.replace(STORED, sizes="rate")
  draws = {"told_drop": jnp.asarray([0.6, 0.4])}
  shown = part.shown(NOTHING, batch, draws)
  told, none = part.condition(NOTHING, batch)
  for name in ("text", "clip", "valid"):
    kept, dropped = getattr(shown, name)
    np.testing.assert_array_equal(kept, getattr(told, name)[0])
    np.testing.assert_array_equal(dropped, getattr(none, name)[1])
  np.testing.assert_array_equal(shown.fps, [24.0, 12.0])
  np.testing.assert_array_equal(none.fps, [24.0, 12.0])
  assert set(part.reads()) == {*batch}


def test_labels_have_learned_vectors_and_none_has_its_own():
  tables = LABEL.init(jax.random.key(0))
  weights = methods.Weights({"main": {"told": tables}})
  batch = {"label": jnp.asarray([2, 0])}
  assert LABEL.reads() == () and set(LABEL.inputs()) == {"label"}
  told, none = LABEL.condition(weights, batch)
  np.testing.assert_array_equal(
    told.text, tables["context"][jnp.asarray([2, 0])]
  )
  np.testing.assert_array_equal(
    none.clip, tables["clip_context"][jnp.asarray([3, 3])]
  )
  np.testing.assert_array_equal(told.valid, [6, 6])


@pytest.mark.parametrize(
  "changes, message",
  [
    (dict(kind="label", classes=0), "told.classes 0"),
    (dict(kind="stored", classes=3), "told.kind 'stored' with told.classes 3"),
    (dict(kind="label", null="x.npz"), "told.null 'x.npz'"),
  ],
)
def test_mistakes(changes, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(LABEL, **changes).inputs()
