import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.video import step_video
from jmim.methods.video import step_video_turbo

TINY = step_video_turbo.StepVideoTurbo.tiny()
LABEL = jnp.asarray([0, 2])


@pytest.fixture(scope="module")
def given(fill, normal):
  pair = {n: normal(2, 3, 4, 4, 3, seed=i) for i, n in enumerate(TINY.inputs())}
  batch = {"noise": pair["noise"], "sample": pair["sample"], "label": LABEL}
  params = jax.tree.map(jnp.asarray, fill(TINY, batch, scale=0.6)[0])
  return methods.Weights(params), batch, TINY.drawn(jax.random.key(1), batch)


def test_the_path_is_from_the_noise_of_a_sample(given):
  weights, batch, draws = given
  assert set(draws) == {"t", "told_drop"}
  plain = step_video.StepVideo.tiny()
  wanted = plain.terms(
    weights,
    {"video": batch["sample"], "label": LABEL},
    draws | {"noise": batch["noise"]},
  )
  found = TINY.terms(weights, batch, draws)
  np.testing.assert_array_equal(found["flow"], wanted["flow"])
  other = batch | {"noise": batch["noise"][::-1]}
  off = TINY.terms(weights, other, draws)["flow"] - found["flow"]
  assert (np.abs(off) > 1e-3).all()


def test_pairs_are_where_sampling_begins_and_ends(given):
  weights, _, _ = given
  plain, key = step_video.StepVideo.tiny(), jax.random.key(2)
  asked = {"label": LABEL, "index": jnp.asarray([5, 9])}
  pairs = plain.pairs(weights, asked, key)
  np.testing.assert_array_equal(
    pairs["sample"], plain.sample(weights, asked, key)
  )
  other = plain.pairs(weights, asked | {"index": jnp.asarray([9, 5])}, key)
  np.testing.assert_array_equal(pairs["noise"], other["noise"][::-1])
  assert abs(float(np.std(pairs["noise"])) - 1) < 0.2
  # One step along the velocity of the pair itself is the sample.
  one = field.replace(plain, sampling=dict(steps=1, guidance=1.0))
  alone = one.pairs(weights, asked, key)
  told = one.told.told(weights, asked)
  v = one.network(weights.params, alone["noise"], jnp.zeros(2), told)
  np.testing.assert_allclose(
    alone["sample"], alone["noise"] + v, rtol=1e-4, atol=1e-4
  )


def test_features_are_of_stored_samples(given):
  weights, batch, _ = given
  plain, key = step_video.StepVideo.tiny(), jax.random.key(3)
  clips = {"video": batch["sample"], "label": LABEL}
  np.testing.assert_array_equal(
    TINY.features(weights, batch, key), plain.features(weights, clips, key)
  )


def test_its_defaults_are_the_report_s():
  m = step_video_turbo.StepVideoTurbo()
  assert m.noise.ends == 5 and m.sampling.steps == 10
  times = m.noise.levels(10).time
  s = np.linspace(1, 0, 11)
  np.testing.assert_allclose(times, 1 - 17 * s / (1 + 16 * s), atol=1e-12)
