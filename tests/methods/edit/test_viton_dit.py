"""What must hold of VITON-DiT, whose code was never released."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import init_from
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.core.settings import run as settings
from jmim.methods.edit import viton_dit

RNG = np.random.default_rng(0)
M = field.replace(
  viton_dit.VitonDiT.tiny(),
  told=dict(garment=dict(source="stored", tokens=0)),
)
VIDEO = field.replace(M, dims=dict(branch=0))
IMAGE = field.replace(VIDEO, dims=dict(temporal=False))
B = 2
normal = lambda *shape: jnp.asarray(RNG.normal(size=shape), jnp.float32)


def batch():
  masks = np.zeros((B, 9, 4, 8), np.int32)
  masks[:, :, 1:3, 2:5] = 1
  clips = {n: normal(B, 9, 4, 8, 3) for n in ("frames", "agnostic", "pose")}
  flats = {n: normal(B, 4, 4, 3) for n in ("garment", "other")}
  return clips | flats | {"masks": jnp.asarray(masks)}


BATCH = batch()


def fresh(m, seed=0):
  return m.init(jax.random.key(seed), BATCH)[0]


def filled(params):
  """No leaf is zero: last layers would hide what is before them."""
  fill = lambda s: jnp.asarray(0.2 * RNG.normal(size=s.shape), jnp.float32)
  return jax.tree.map(fill, params)


W = methods.Weights(filled(fresh(M)))


def begun(m, saved, **rules):
  """Parameters of a stage that starts from those of the one before."""
  ours = fresh(m, seed=1)
  arrays = {n: np.asarray(x) for n, x in trees.named(saved).items()}
  section = settings.InitFrom(path="x", **rules)
  loaded = init_from.match(arrays, ours, section)
  return trees.map_named(lambda n, x: jnp.asarray(loaded.get(n, x)), ours)


def raw(m, params):
  """The network's prediction in a training step."""
  draws = M.drawn(jax.random.key(3), BATCH)

  def run(p):
    w = methods.Weights(p)
    z, _, shown = m.told.training(
      m.first_stage, m.dims, w, BATCH, draws=draws, clip=m.clip
    )
    x_t, _, _ = m.noise.add(z, draws["t"], draws["noise"])
    return m.network(p, x_t, draws["t"], shown)

  return np.asarray(jax.jit(run)(params))


def rules(stage):
  """Those of the small recipe."""
  config = configs.load(
    f"configs/viton_dit_dancers.py:stage={stage},source=RUN"
  )
  found = config.init_from
  return {"reinit": tuple(found.reinit), "copies": tuple(found.copies)}


def test_each_stage_starts_as_the_one_before_ended_bit_for_bit():
  image = filled(fresh(IMAGE))
  video = begun(VIDEO, image, **rules("video"))
  np.testing.assert_array_equal(raw(VIDEO, video), raw(IMAGE, image))
  trained = filled(video)
  control = begun(M, trained, **rules("control"))
  want = raw(VIDEO, trained)
  np.testing.assert_array_equal(raw(M, control), want)
  assert np.abs(want).max() > 0.1
  assert np.abs(want - raw(IMAGE, image)).max() > 1e-3
  layers = control["main"]["net"]["blocks"]["layers"]
  branch = control["main"]["net"]["branch"]["layers"]
  same = lambda a, b: np.testing.assert_array_equal(a[:1], b)
  jax.tree.map(same, layers, {k: branch[k] for k in layers})


def test_a_closed_gate_is_a_stage_without_the_garment():
  config = configs.load(
    "configs/viton_dit_dancers.py:stage=control,source=RUN,gate=closed"
  ).init_from
  own = {n: tuple(getattr(config, n)) for n in ("reinit", "copies", "skip")}
  params = begun(M, filled(fresh(VIDEO)), **own)
  gates = {n: x for n, x in trees.named(params).items() if "gamma" in n}
  assert len(gates) == 2 and not any(x.any() for x in gates.values())


@pytest.mark.parametrize("name", ["dancers", "videos"])
def test_recipes_say_what_learns_less(name):
  loaded = lambda arg: configs.load(f"configs/viton_dit_{name}.py:{arg}")
  for stage, new in (("video", "/temporal/"), ("control", "/branch")):
    config = loaded(f"stage={stage},source=RUN")
    ((pattern, share),) = config.optim.lr_mults
    m = discovery.make(config.method.to_dict())
    like, _ = jax.eval_shape(m.init, jax.random.key(0), {})
    slow = {n for n in trees.named(like) if trees.matches(pattern, n)}
    fast = set(trees.named(like)) - slow
    assert fast and all(new in n for n in fast) and 0 < share < 1
    assert all(new not in n for n in slow)
  if name == "videos":
    assert loaded("stage=video,frozen=True").optim.freeze == (
      loaded("stage=video").optim.lr_mults[0][0],
    )


def test_one_frame_of_the_video_model_is_the_image_model():
  one = field.replace(VIDEO, clip=dict(frames=1), long=dict(frames=1))
  image = field.replace(IMAGE, clip=dict(frames=1), long=dict(frames=1))
  params = filled(fresh(VIDEO))
  cut = trees.named(fresh(image))
  old = trees.named(params)
  plain = trees.map_named(lambda n, x: old[n], fresh(image))
  assert len(cut) < len(old)
  draws = one.drawn(jax.random.key(3), BATCH)
  loss = lambda m, p: jax.jit(lambda w: m.loss(w, BATCH, draws, 0)[0])(
    methods.Weights(p)
  )
  assert loss(one, params) == loss(image, plain)
  dress = lambda m, p: jax.jit(m.dress)(
    methods.Weights(p), BATCH, jax.random.key(1)
  )["made"]
  np.testing.assert_array_equal(dress(one, params), dress(image, plain))


def loss(batch, m=M, **own):
  draws = m.drawn(jax.random.key(5), batch) | own
  return float(jax.jit(lambda w: m.loss(w, batch, draws, 0)[0])(W))


def test_what_is_left_out_in_training_does_not_reach_the_loss():
  for name, entry in (
    ("garment", "garment"),
    ("pose", "pose"),
    ("agnostic", "agnostic"),
  ):
    changed = BATCH | {entry: BATCH[entry][..., ::-1] + 1}
    none, all_ = jnp.zeros(B, bool), jnp.ones(B, bool)
    shown = [loss(x, **{f"drop_{name}": none}) for x in (BATCH, changed)]
    hidden = [loss(x, **{f"drop_{name}": all_}) for x in (BATCH, changed)]
    assert shown[0] != shown[1] and hidden[0] == hidden[1], name


def test_the_garment_asked_for_is_not_read_in_training():
  assert loss(BATCH) == loss(BATCH | {"other": BATCH["other"] + 1})


def test_the_loss_is_the_mean_of_the_errors_of_frames_not_given():
  count = jnp.array([2, 0])
  own = dict(given_count=count, given_kind=jnp.zeros(B, int))
  draws = M.drawn(jax.random.key(3), BATCH) | own
  run = lambda w: M.told.training(
    M.first_stage, M.dims, w, BATCH, draws=draws, clip=M.clip
  )
  z, _, shown = run(W)
  x_t, _, _ = M.noise.add(z, draws["t"], draws["noise"])
  error = M.network(W.params, x_t, draws["t"], shown) - draws["noise"]
  want = np.mean([(error[0, 2:] ** 2).mean(), (error[1] ** 2).mean()])
  found, aux = M.loss(W, BATCH, draws, 0)
  assert found == pytest.approx(want, rel=1e-5)
  assert aux["loss_mse"] == pytest.approx(want, rel=1e-5)


def test_a_learned_variance_adds_its_bound():
  m = field.replace(M, noise=dict(learn_variance=True, variance="learned"))
  m = field.replace(m, sampling=dict(sampler="ddpm"))
  w = methods.Weights(filled(fresh(m)))
  draws = m.drawn(jax.random.key(3), BATCH)
  found, aux = m.loss(w, BATCH, draws, 0)
  assert set(aux) == {"loss_mse", "loss_vb"} and aux["loss_vb"] > 0
  assert found == pytest.approx(float(sum(aux.values())), rel=1e-6)
  made = jax.jit(m.dress)(w, BATCH, jax.random.key(1))["made"]
  assert np.isfinite(made).all()


def dress(m=M, w=W, batch=BATCH, key=1):
  return jax.jit(m.dress)(w, batch, jax.random.key(key))


def test_around_the_garment_the_clip_stays_and_the_video_is_not_seen():
  """Also over both passes: 9 frames in clips of 8."""
  found = dress()
  where = np.asarray(BATCH["masks"]) > 0
  image, made = (np.asarray(found[n]) for n in ("image", "made"))
  assert image.shape == (B, 9, 4, 8, 3)
  np.testing.assert_array_equal(image[~where], BATCH["agnostic"][~where])
  np.testing.assert_array_equal(image[where], made[where])
  blind = BATCH | {n: BATCH[n] + 1 for n in ("frames", "garment")}
  np.testing.assert_array_equal(dress(batch=blind)["made"], made)
  told = BATCH | {"other": BATCH["other"] + 1}
  assert np.abs(dress(batch=told)["made"] - made).max() > 1e-3
  assert np.abs(dress(key=2)["made"] - made).max() > 1e-3


def test_guidance_of_scale_1_is_no_guidance():
  one = field.replace(M, sampling=dict(guidance=1.0))
  closed = field.replace(M, told=dict(conditions=dict(guide=("pose",))))
  same = jax.tree_util.tree_map_with_path(
    lambda path, x: jnp.zeros_like(x) if "gamma" in str(path[-1]) else x,
    W.params,
  )
  shut = methods.Weights(same)
  # Without the garment's gate both predictions are one, whatever the scale.
  a, b = dress(one, shut)["made"], dress(M, shut)["made"]
  np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
  assert np.abs(dress(one)["made"] - dress(M)["made"]).max() > 1e-3
  assert np.abs(dress(closed)["made"] - dress(M)["made"]).max() > 1e-3


def test_a_frozen_first_stage_codes_frames_and_garments():
  m = field.replace(
    M,
    size=(2, 4),
    channels=4,
    told=dict(garment=dict(size=(16, 16))),
    first_stage=dict(
      variant="kl-f8", width=8, blocks=1, read="images", path="W"
    ),
  )
  x = {n: v for n, v in BATCH.items() if n not in m.inputs()}
  for name, spec in m.inputs().items():
    x[name] = (
      jnp.ones((B, *spec.shape), jnp.int32)
      if name == "masks"
      else normal(B, *spec.shape)
    )
  params, _ = m.init(jax.random.key(0), x)
  consts = {"first_stage": m.consts()["first_stage"].init(jax.random.key(1))}
  w = methods.Weights(filled(params), consts=consts)
  draws = m.drawn(jax.random.key(2), x)
  assert draws["posterior"].shape == (B, 8, 2, 4, 4)
  assert np.isfinite(m.loss(w, x, draws, 0)[0])
  made = dress(m, w, x)
  assert made["image"].shape == x["frames"].shape
  blind = field.replace(m, first_stage=dict(path=""))
  assert set(blind.predict()) == {"errors"}


def test_fields_that_do_not_go_together_are_refused():
  large = dict(channels=4, told=dict(garment=dict(size=(16, 16))))
  moments = dict(variant="kl-f8", read="moments", path="W")
  for own, told in (
    (dict(size=(4, 9)), "dims.body.patch"),
    (dict(clip=dict(stride=2)), "clip.length=9"),
    (dict(clip=dict(given=0.0)), "clip.given"),
    (dict(long=dict(stride=8)), "long.stride"),
    (dict(told=dict(conditions=dict(guide=("hat",)))), "hat"),
    (dict(first_stage=moments, **large), "reads images"),
  ):
    with pytest.raises(ValueError, match=told):
      field.replace(M, **own).inputs()
