import types

import evalkit
import jax.numpy as jnp
import numpy as np

from jmim.data import pipeline
from jmim.evals import samples
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw


def test_sample_grids_repeat_their_noise():
  context = evalkit.context()
  first = dict(samples.Evaluator(examples=9, columns=3).run(context))
  other = evalkit.context(batch=16)
  untrained = other.weights("untrained")
  other.start(evalkit.state(untrained.params, untrained.extra, step=700))
  again = dict(samples.Evaluator(examples=9, columns=3).run(other))
  np.testing.assert_array_equal(first["grid"], again["grid"])
  assert first["std"] == again["std"] > 10


class Clips(evalkit.Everything):
  """Its samples grow brighter frame by frame."""

  def sample(self, weights, batch, key):
    image = 0 * super().sample(weights, batch, key)
    return image[:, None] + jnp.linspace(0, 1, 3)[:, None, None, None]


def test_clips_are_rows_of_frames():
  values = dict(samples.Evaluator(examples=4).run(evalkit.context(model=Clips)))
  # Frames of 4 pixels, 32 times enlarged, and gaps of 6.
  cells = values["grid"][22:, :-18].astype(int)
  assert values["grid"].shape[0] == 22 + 4 * 134
  middle = cells[64::134, [64, 64 + 134 + 18, 64 + 2 * (134 + 18)]]
  np.testing.assert_array_equal(middle[..., 0], [[0, 128, 255]] * 4)
  assert values["mean"] == np.mean([0, 128, 255])


def test_mean_and_std_are_of_the_pixels_that_are_drawn():
  context = evalkit.context(batch=8)
  values = dict(samples.Evaluator(examples=11, columns=4).run(context))
  rows, labels = context.rows("sample", "eval", 11, "raw", entry="label")
  pixels = context.pixels(rows)
  assert len(pixels) == 11
  assert values["mean"] == pixels.mean() and values["std"] == pixels.std()
  # The condition of a sample is that of its example.
  brightness = [rows[labels == c].mean() for c in range(evalkit.CLASSES)]
  np.testing.assert_allclose(np.diff(brightness), 0.2, atol=0.03)


def test_volumes_are_drawn_as_slices():
  volumes = np.random.default_rng(0).random((3, 5, 4, 6), np.float32)
  context = types.SimpleNamespace(
    spec=pipeline.Spec(batch=3, volume=(5, 4, 6)),
    rows=lambda *args: (volumes, None),
  )
  context.pixels = lambda x: contexts.Context.pixels(context, x)
  values = dict(samples.Evaluator(examples=3, columns=1).run(context))
  np.testing.assert_allclose(values["mean"], np.rint(255 * volumes).mean())
  slices = draw.slices(np.rint(255 * volumes).astype(np.uint8))
  np.testing.assert_array_equal(values["grid"], draw.sheet({"": slices}, 1))
  assert values["grid"].dtype == np.uint8
