import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.diffusion import sampler as samplers
from jmim.methods.parts import flow
from jmim.methods.video import step_video

TINY = step_video.StepVideo.tiny()
LABEL = jnp.asarray([0, 2])


@pytest.fixture(scope="module")
def given(fill, normal):
  batch = {"video": normal(2, 3, 4, 4, 3), "label": LABEL}
  filled = jax.tree.map(jnp.asarray, fill(TINY, batch, scale=0.6)[0])
  weights = methods.Weights(filled)
  return weights, batch, TINY.drawn(jax.random.key(1), batch)


def test_the_loss_is_the_error_of_the_velocity(given):
  weights, batch, draws = given
  loss, _ = jax.jit(TINY.loss)(weights, batch, draws, 0)

  @jax.jit
  def velocity(x, t):
    told = TINY.told.shown(weights, batch, draws)
    return TINY.network(weights.params, x, t, told)

  t = np.asarray(draws["t"])[:, None, None, None, None]
  x = (1 - t) * draws["noise"] + t * batch["video"]
  off = velocity(x, draws["t"]) - (batch["video"] - draws["noise"])
  np.testing.assert_allclose(loss, (off**2).mean(), rtol=1e-4)
  assert ((t > 0) & (t < 1)).all()


def test_factorised_attention_has_the_same_weights_and_other_numbers(given):
  weights, batch, draws = given
  other = field.replace(TINY, attention="factorised")
  shapes = lambda m: {
    name: x.shape
    for name, x in trees.named(
      jax.eval_shape(m.init, jax.random.key(0), batch)[0]
    ).items()
  }
  assert shapes(TINY) == shapes(other)
  full, apart = (
    jax.jit(m.loss)(weights, batch, draws, 0)[0] for m in (TINY, other)
  )
  assert abs(full - apart) > 1e-4


def test_factorised_blocks_can_be_looked_at_and_attend_one_way_alone(given):
  weights, batch, draws = given
  m = field.replace(TINY, attention="factorised")
  told = m.told.told(weights, batch)
  seen = (weights.params, batch["video"], draws["t"], told)
  latent, blocks = m.network(*seen, of=("latent", "block"), taps=("block",))
  assert len(blocks) == 2
  np.testing.assert_array_equal(blocks[-1], latent)
  full = TINY.network(*seen, of="block", taps=("block",))
  assert np.abs(full - blocks).max() > 1e-3
  with pytest.raises(TypeError, match="attend"):
    m.network(*seen, attend=lambda q, k, v, state: (v, state))


def test_a_dropped_label_is_none(given):
  weights, batch, draws = given
  terms = jax.jit(TINY.terms)
  kept = terms(weights, batch, draws | {"told_drop": jnp.ones(2)})["flow"]
  drop = draws | {"told_drop": jnp.asarray([0.0, 1.0])}
  found = terms(weights, batch, drop)["flow"]
  other = terms(weights, batch | {"label": jnp.asarray([1, 2])}, drop)["flow"]
  np.testing.assert_array_equal(found, other)
  np.testing.assert_allclose(found[1], kept[1], rtol=1e-5)
  assert abs(found[0] - kept[0]) > 1e-4


def test_times_of_sampling_go_from_noise_to_data():
  shift = lambda k, n=7: flow.Flow(shift=1 / k).levels(n).time
  np.testing.assert_allclose(shift(1), np.arange(8) / 7, atol=1e-12)
  for k in (3.0, 7.0, 13.0, 17.0):
    times = shift(k)
    assert times[0] == 0 and times[-1] == 1 and (np.diff(times) > 0).all()
    s = np.linspace(1, 0, 8)
    np.testing.assert_allclose(times, 1 - k * s / (1 + (k - 1) * s), atol=1e-12)
    assert (times[1:-1] < shift(1)[1:-1]).all()  # more steps near noise
  np.testing.assert_allclose(
    step_video.StepVideo().noise.levels(7).time, shift(13.0), atol=1e-12
  )


def test_a_constant_velocity_is_followed_exactly(normal):
  v, start = normal(2, 3, 2, 2, 1), normal(2, 3, 2, 2, 1, seed=1)
  for m in (TINY, field.replace(TINY, noise=dict(shift=1.0))):
    table = m.noise.table(m.sampling)
    denoise = lambda x, level, m=m: m.noise.output(
      v, x, level, channels=1, clip=0.0
    )
    found, _ = samplers.sample(table, denoise, start)
    np.testing.assert_allclose(found, start + v, atol=1e-5)


def test_published_sizes():
  """204 frames of 544 x 992 are 36 of 34 x 62 latents: 75,888 tokens."""
  m = field.replace(
    step_video.StepVideo(), first_stage=dict(variant="deep-f8x16")
  )
  assert m.inputs()["moments"].shape == (36, 34, 62, 128)
  pixels = m.first_stage.stage.pixels(m.shape)
  assert pixels == {"video": (204, 544, 992, 3)}
  told = {n: jnp.zeros((1, *s)) for n, s in m.told.shapes.items()}
  told = m.told.told(
    methods.Weights({"main": {}}), told | {"context_length": jnp.zeros(1, int)}
  )
  small = field.replace(m, dims=dict(depth=1))
  like = jax.eval_shape(
    lambda x: small.net.init_with_output(
      jax.random.key(0), x, jnp.zeros(1), told
    )[0],
    jnp.zeros((1, *m.shape)),
  )
  assert like["latent"].shape[1] == 75_888
  one = field.replace(m, frames=1, height=16, width=16)
  assert one.first_stage.stage.pixels(one.shape) == {"video": (1, 256, 256, 3)}


def test_latents_of_a_frame_do_not_see_later_ones(normal):
  stage = dict(variant="deep-f4x4", path="run", read="images")
  m = field.replace(
    TINY, frames=2, height=2, width=2, channels=8, first_stage=stage
  )
  assert m.inputs()["video"].shape == (5, 8, 8, 3)
  net = m.first_stage.net
  rng = np.random.default_rng(0)
  like = jax.eval_shape(net.init, jax.random.key(0))
  params = jax.tree.map(
    lambda s: (0.2 * rng.normal(size=s.shape)).astype(s.dtype), like
  )
  weights = methods.Weights({}, consts={"first_stage": params})
  clip = normal(1, 5, 8, 8, 3)
  later = clip.copy()
  later[:, 1:] += normal(1, 4, 8, 8, 3, seed=1)
  draws = {"posterior": np.zeros((1, *m.shape), np.float32)}

  @jax.jit
  def encode(x):
    return m.first_stage.encode(weights, {"video": x}, draws)

  a, b = encode(clip), encode(later)
  np.testing.assert_allclose(a[:, 0], b[:, 0], atol=1e-6)
  assert np.abs(a[:, 1] - b[:, 1]).max() > 1e-3


def test_samples_follow_their_label_and_guidance(given):
  weights, _, _ = given
  key = jax.random.key(0)

  def draw(label=LABEL, **sampling):
    m = field.replace(TINY, sampling=sampling)
    return np.asarray(jax.jit(m.sample)(weights, {"label": label}, key))

  plain = draw()
  assert plain.shape == (2, 3, 4, 4, 3) and np.isfinite(plain).all()
  other = draw(label=jnp.asarray([0, 1]))
  np.testing.assert_allclose(other[0], plain[0], atol=1e-4)
  assert np.abs(other[1] - plain[1]).max() > 1e-4
  assert np.abs(draw(guidance=5.0) - plain).max() > 1e-4


def test_rates_are_read_to_sample():
  told = dict(kind="stored", classes=0, sizes="rate")
  m = field.replace(TINY, told=told)
  assert set(m.sample_reads()) == {
    "context",
    "clip_context",
    "context_length",
    "fps",
  }
  assert TINY.sample_reads() == ()


@pytest.mark.parametrize(
  "changes, message",
  [
    (dict(height=5), "side 5 does not divide by patch 2"),
    (dict(told=dict(drop=0.0)), "told.drop=0"),
    (dict(sampling=dict(sampler="ddpm")), "'ddpm' on straight paths"),
    (dict(dims=dict(axes=(8, 8, 8))), "dims.axes"),
  ],
)
def test_mistakes(changes, message):
  with pytest.raises(ValueError, match=message):
    field.replace(TINY, **changes).inputs()
