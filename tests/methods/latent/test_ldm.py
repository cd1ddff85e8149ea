import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.core import method as methods
from jmim.core import renamed
from jmim.core import tree as trees
from jmim.core import validate
from jmim.masks import rectangles
from jmim.methods.diffusion import dit
from jmim.methods.diffusion import dit_moe
from jmim.methods.diffusion import lightningdit
from jmim.methods.latent import ldm
from jmim.methods.parts import flow
from jmim.methods.parts import weighting
from jmim.nn import sizes
from jmim.nn.nets import token_encoder as tokens
from jmim.nn.nets import told_dit

B = 2

SMALL = field.replace(
  ldm.LDM(),
  size=4,
  dims=dict(
    width=8,
    multipliers=(1, 2),
    blocks=1,
    attend_at=(2,),
    heads=2,
    norm_groups=4,
  ),
  noise=dict(times=20, beta_start=1e-3, beta_end=0.5),
  sampling=dict(steps=2),
  first_stage=dict(variant="kl-f4", width=4, path="W", blocks=1),
)
TOKENS = dict(transformer=1, context=6, token_depth=1, token_heads=1)
TEXT = dict(
  vocabulary=9, length=5, start=1, end=2, pad=0, width=6, depth=1, heads=2
)
TASKS = {
  "none": {},
  "class": dict(
    labels=dict(classes=3), condition=dict(transformer=1, context=6)
  ),
  "tokens": dict(condition=dict(tokens=5, vocabulary=9, **TOKENS)),
  "context": dict(condition=dict(tokens=5, transformer=1, context=6)),
  "text": dict(condition=dict(transformer=1, text=TEXT)),
  "layout": dict(condition=dict(objects=2, vocabulary=16, **TOKENS)),
  "inpaint": dict(first_stage=dict(read="images")),
  "superres": dict(first_stage=dict(read="images")),
  "semantic": dict(condition=dict(segments=4)),
}


def make(task, **more):
  method = field.replace(SMALL, condition=dict(task=task))
  return field.replace(field.replace(method, **TASKS[task]), **more)


def given(method, seed=0):
  rng = np.random.default_rng(seed)
  made = {}
  for name, spec in method.inputs().items():
    shape = (B, *spec.shape)
    if spec.high:
      made[name] = jnp.asarray(rng.integers(0, spec.high, shape), jnp.int32)
    else:
      made[name] = jnp.asarray(rng.uniform(0, 1, shape), jnp.float32)
  return made


@functools.cache
def frozen(method):
  if "first_stage" not in method.consts():
    return {}
  return {
    "first_stage": jax.jit(method.first_stage.net.init)(jax.random.key(1))
  }


DIT = told_dit.Dims(body=sizes.Dims(variant="S/2", width=16, depth=1, heads=2))
ALIKE = [(task, SMALL.dims) for task in TASKS]
ALIKE += [(task, DIT) for task in ("none", "class", "text", "superres")]


@pytest.mark.parametrize(
  "task, dims", ALIKE, ids=[f"{t}-{type(d).__module__[14:]}" for t, d in ALIKE]
)
def test_every_task_starts_at_zero_and_sees_its_condition(task, dims):
  method = make(task, dims=dims)
  batch, key = given(method), jax.random.key(0)
  params, extra = jax.jit(method.init)(key, batch)
  consts = frozen(method)
  draws = jax.jit(method.drawn)(key, batch)

  @jax.jit
  def apply(params, batch):
    weights = methods.Weights(params, extra, consts)
    shown, _ = method.guiding(weights, batch | draws)
    x = jnp.ones((B, *method.shape))
    return method.network(params, x, jnp.zeros(B), shown)

  assert not np.asarray(apply(params, batch)).any()
  rng = np.random.default_rng(0)
  noisy = jax.tree.map(lambda x: x + 0.1 * rng.normal(size=x.shape), params)
  first, second = apply(noisy, batch), apply(noisy, given(method, 1))
  assert (np.abs(first - second).max() > 1e-6) == (task != "none")


def test_a_transformer_learns_of_a_text_and_is_guided_by_it():
  """Every leaf, the encoder's too, gets a gradient."""
  made = make("text", dims=DIT, labels=dict(drop=0.5))
  batch = given(made) | {"index": jnp.arange(B)}
  params, extra = jax.jit(made.init)(jax.random.key(0), batch)
  rng = np.random.default_rng(0)
  noisy = jax.tree.map(lambda x: x + 0.1 * rng.normal(size=x.shape), params)

  weights = methods.Weights(noisy, extra, frozen(made))

  @jax.jit
  def slopes(weights):
    draws = made.drawn(jax.random.key(0), batch)
    return jax.grad(lambda p: made.loss(p, batch, draws, 0)[0])(weights).params

  still = {n for n, x in trees.named(slopes(weights)).items() if not x.any()}
  # Positions of tokens that no text has, and biases of keys, move nothing.
  assert all(n.endswith(("k/bias", "qkv/bias")) for n in still), still
  sample = lambda scale: jax.jit(
    field.replace(made, sampling=dict(guidance=scale)).sample
  )(weights, batch, jax.random.key(1))
  assert np.abs(sample(1.0) - sample(4.0)).max() > 1e-4


def test_a_transformer_looks_once_in_a_block():
  twice = make("text", dims=DIT)
  twice = field.replace(twice, condition=dict(transformer=2))
  with pytest.raises(ValueError, match="transformer 2 with dims.type"):
    twice.inputs()
  dims = {"type": "dit", "body": {"variant": "S/4"}}
  section = {"dims": dims, "size": 8}
  assert validate.build(ldm.LDM, section, "method").dims.body.patch == 4
  for name in ("edit.blob", "latent.diffdis", "diffusion.linfusion"):
    cls = discovery.find(name)
    with pytest.raises(errors.UserError, match="dims.type"):
      validate.build(cls, section, "method")


def test_the_scale_is_that_of_the_first_batch_and_stays():
  method = make("none")
  consts, key = frozen(method), jax.random.key(3)
  params, extra = jax.jit(method.init)(jax.random.key(0), given(method))

  @jax.jit
  def step(extra, batch):
    draws = method.drawn(key, batch)
    weights = methods.Weights(params, extra, consts)
    z = method.first_stage.unscaled(weights, batch, draws)
    loss, aux = method.loss(weights, batch, draws, 0)
    seen = method.first_stage.encode(weights, batch, draws)
    return method.after(weights, aux, 0), z, seen, loss

  extra, z, seen, loss = step(extra, given(method))
  # The network predicts zero: the error is that of the noise.
  noise = method.drawn(key, given(method))["noise"]
  np.testing.assert_allclose(loss, (noise**2).mean(), rtol=1e-5)
  np.testing.assert_allclose(extra["scale"], 1 / np.std(z), rtol=1e-5)
  np.testing.assert_allclose(np.std(seen), 1.0, rtol=1e-5)
  again, other, seen, _ = step(extra, given(method, 5))
  assert again["scale"] == extra["scale"]
  np.testing.assert_allclose(seen, extra["scale"] * other, rtol=1e-6)


def test_a_hole_is_filled_and_the_rest_is_kept():
  method = make("inpaint")
  batch = given(method)
  params, extra = jax.jit(method.init)(jax.random.key(0), batch)
  consts = frozen(method)
  key = jax.random.key(2)
  made = jax.jit(method.sample)(
    methods.Weights(params, extra, consts), batch, key
  )
  u = method.condition.channels.with_hole(batch, key)["hole"]
  hole = rectangles.holes(u, 16)
  share = np.asarray(hole).mean((1, 2, 3))
  assert (share > 0.02).all() and (share < 0.3).all()
  changed = np.abs(made - batch["image"]) > 0
  assert not changed[np.asarray(hole)[..., 0] == 0].any() and changed.any()


def test_a_layout_is_92_tokens():
  categories = jnp.asarray([[5] + [-1] * 29])
  boxes = jnp.zeros((1, 30, 4)).at[0, 0].set(jnp.asarray([0.5, 0.0, 0.5, 1.0]))
  crop = jnp.asarray([[0.0, 0.0, 1.0, 1.0]])
  found = np.asarray(tokens.layout(categories, boxes, crop, 8192)[0])
  assert len(found) == 92 and found.max() < 8192
  # d = 90: x = 0.5 is point round(44.5) = 44, the last corner (1, 1) is 8099.
  np.testing.assert_array_equal(found[:3], [5, 44, 8099])
  assert (found[3:90] == 8191).all()
  np.testing.assert_array_equal(found[90:], [0, 8099])


def test_the_released_path_is_one_time_late_and_inverts():
  method = field.replace(ldm.LDM(), sampling=dict(steps=5))
  level = method.noise.table(method.sampling).level
  np.testing.assert_array_equal(level.time, [801, 601, 401, 201, 1])
  assert level.to_signal[-1] == method.noise.process.signal[0] < 1
  with pytest.raises(ValueError, match="1000 of 1000"):
    field.replace(method, sampling=dict(steps=1000)).inputs()
  x, eps = np.random.default_rng(0).normal(size=(2, 8))
  a, s, b, r = level.signal, level.noise, level.to_signal, level.to_noise
  y = x
  for i in range(5):
    y = b[i] * (y - s[i] * eps) / a[i] + r[i] * eps
  for i in reversed(range(5)):
    y = a[i] * (y - r[i] * eps) / b[i] + s[i] * eps
  np.testing.assert_allclose(y, x, atol=1e-9)


def test_errors_can_be_weighed_by_a_learned_variance_and_by_the_bound():
  process = SMALL.noise.process
  weights = weighting.Weighting(learn_log_var=True, elbo=2.0)
  t, error = jnp.asarray([0, 7]), jnp.asarray([3.0, 5.0])
  v = jnp.arange(20.0) / 10
  loss = weights.loss({"log_var": v}, error, t, process)
  beta = np.asarray(process.beta)
  power = np.cumprod(1 - beta)

  def bound(i):
    i = max(i, 1)
    var = beta[i] * (1 - power[i - 1]) / (1 - power[i])
    return beta[i] ** 2 / (2 * var * (1 - beta[i]) * (1 - power[i]))

  wanted = np.mean([3.0, 5.0 / np.exp(0.7) + 0.7])
  wanted += 2.0 * np.mean([3 * bound(0), 5 * bound(7)])
  np.testing.assert_allclose(loss, wanted, rtol=1e-5)
  assert weights.init(7)["log_var"].shape == (7,)
  plain = weighting.Weighting()
  assert plain.init(7) == {}
  np.testing.assert_allclose(plain.loss({}, error, t, process), 4.0)


# Latent mode of other methods.


def test_a_transformer_reads_moments_and_samples_images():
  method = field.replace(
    dit.DiT(size=4),
    dims=dict(variant="S/2", width=16, depth=1, heads=2),
    noise=dict(times=20),
    sampling=dict(steps=2, clip=0.0),
    first_stage=dict(variant="kl-f4", width=4, path="W"),
  )
  assert method.inputs()["moments"].shape == (4, 4, 6)
  batch = given(method)
  draws = method.drawn(jax.random.key(0), batch)
  mean, log_var = np.split(np.asarray(batch["moments"]), 2, -1)
  z = mean + np.exp(log_var / 2) * np.asarray(draws["posterior"])
  params, _ = jax.jit(method.init)(jax.random.key(0), batch)
  weights = methods.Weights(params, {}, frozen(method))
  encoded = method.first_stage.encode(weights, batch, draws)
  np.testing.assert_allclose(encoded, 0.18215 * z, rtol=1e-5)
  index = {"index": jnp.arange(B)}
  made = jax.jit(method.sample)(weights, index, draws_key())
  assert made.shape == (B, 16, 16, 3)
  features = jax.jit(method.predict()["features"])
  assert np.isfinite(features(weights, batch, draws_key())).all()


def draws_key():
  return jax.random.key(9)


def test_without_the_way_back_there_is_no_sample():
  method = field.replace(
    dit.DiT(size=32, channels=4),
    dims=dict(variant="S/2"),
    first_stage=dict(variant="kl-f8"),
  )
  assert method.consts() == {} and "sample" not in method.predict()
  assert method.inputs()["moments"].shape == (32, 32, 8)


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(first_stage="kl-f8"), "channels 3, but latents have 4"),
    (dict(first_stage="vq-f4"), "vq needs some"),
    (dict(task="class", transformer=1), "task 'class' with 0 classes"),
    (dict(task="class", classes=3), "condition.transformer 0"),
    (dict(task="inpaint", first_stage="kl-f4"), "first_stage.read='images'"),
    (dict(task="superres", first_stage="none"), "needs a first_stage"),
    (dict(learn_variance=True), "predicts none"),
  ],
)
def test_fields_that_do_not_go_together_are_named(fields, said):
  """Under their older, flat names."""
  section = {"first_stage": "none", **fields}
  method = validate.build(ldm.LDM, section, "method")
  with pytest.raises(ValueError, match=said):
    method.inputs()


def test_flat_keys_of_older_runs_are_those_of_parts():
  old = {
    "first_stage": "kl-f8",
    "first_stage_path": "W",
    "latent_scale": 0.5,
    "task": "class",
    "classes": 10,
    "label_drop": 0.2,
    "beta_end": 0.03,
    "width": 64,
    "guidance": 3.0,
    "learn_log_var": True,
    "size": 8,
  }
  method = validate.build(ldm.LDM, old, "method")
  new = field.replace(
    ldm.LDM(size=8),
    first_stage=dict(variant="kl-f8", path="W", scale=0.5),
    condition=dict(task="class"),
    labels=dict(classes=10, drop=0.2),
    noise=dict(beta_end=0.03),
    dims=dict(width=64),
    sampling=dict(guidance=3.0),
    weighting=dict(learn_log_var=True),
  )
  assert method == new
  assert renamed.moves(ldm.LDM, field.settings(new)) == {}


def test_parts_say_whose_kind_an_older_key_is():
  old = {"objective": "flow", "learn_variance": True, "beta_end": 0.5}
  from_old = validate.build(dit_moe.DiTMoE, old, "method")
  assert type(from_old.noise) is flow.Flow
  assert from_old == dit_moe.DiTMoE(noise=from_old.noise)
  early = validate.build(
    lightningdit.LightningDiT, {"guidance_start": 0.3}, "method"
  )
  assert early.sampling.guidance_interval == (0.3, 1.0)
