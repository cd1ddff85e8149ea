import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.diffusion import dit
from jmim.methods.latent import autoencoder_kl
from jmim.methods.latent import autoencoder_vq
from jmim.methods.latent import ldm
from jmim.nn.frozen import lpips
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec
from jmim.nn.nets import token_encoder as tokens

B = 2
KL = autoencoder_kl.AutoencoderKL(
  size=8,
  width=4,
  multipliers=(1, 2),
  blocks=1,
  disc_layers=1,
  disc_width=4,
  disc_start=3,
  disc_weight=0.3,
)
VQ = autoencoder_vq.AutoencoderVQ(
  size=8,
  width=4,
  multipliers=(1, 2),
  blocks=1,
  codes=6,
  disc_layers=1,
  disc_width=4,
  disc_start=3,
)
jit = functools.partial(
  jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  return {"image": rng.uniform(-1, 1, (B, 8, 8, 3)).astype(np.float32)}


@functools.cache
def start(method):
  return jit(method.init)(jax.random.key(0), {"image": jnp.ones((B, 8, 8, 3))})


def norm(tree):
  return float(np.sqrt(sum((np.asarray(x) ** 2).sum() for x in tree)))


def test_the_critic_moves_the_last_kernel_as_strongly_as_its_weight_says(batch):
  params, _ = start(KL)
  x, noise = batch["image"], KL.draw(jax.random.key(1), batch, 0)
  z, _, _ = jit(KL.code)(params, {}, batch, noise)
  features = jit(KL.net.features)(params["autoencoder"], z)

  def parts(kernel):
    last = {**params["autoencoder"]["last"], "kernel": kernel}
    own = {**params, "autoencoder": {**params["autoencoder"], "last": last}}
    found = KL.fool(own, {}, x, features, 1.0)
    adversarial = found["disc_weight"] * found["adversarial"]
    return jnp.stack([found["nll"], adversarial])

  kernel = params["autoencoder"]["last"]["kernel"]
  slopes = jit(jax.jacrev(parts))(kernel)
  np.testing.assert_allclose(
    norm(slopes[1:]), KL.disc_weight * norm(slopes[:1]), rtol=1e-3
  )


def test_the_critic_waits_for_its_start(batch):
  params, extra = start(KL)
  draws = KL.draw(jax.random.key(1), batch, 0)

  @jit
  def losses(step):
    given = (params, extra, {}, batch, draws, step)
    return KL.loss("autoencoder", *given), KL.loss("discriminator", *given)[0]

  (early, aux), nothing = losses(2)
  assert nothing == 0
  np.testing.assert_allclose(early, aux["nll"] + 1e-6 * aux["kl"], rtol=1e-6)
  (late, aux), critic = losses(3)
  assert aux["disc_weight"] > 0 and critic > 0.5
  wanted = early + aux["disc_weight"] * aux["adversarial"]
  np.testing.assert_allclose(late, wanted, rtol=1e-5)


def test_divergence_is_zero_only_of_the_standard_normal():
  zero = jnp.zeros((1, 2, 2, 6))
  assert autoencoder.divergence(zero)[0] == 0
  for channel in (0, 3):  # a mean, a log variance
    for change in (-0.1, 0.1):
      moved = zero.at[0, 1, 1, channel].set(change)
      assert autoencoder.divergence(moved)[0] > 1e-3
  loud = jnp.full((1, 1, 1, 2), 100.0)
  assert autoencoder.posterior(loud)[1].max() == 20


@pytest.mark.parametrize("legacy", [True, False])
def test_beta_is_on_the_side_that_legacy_says(legacy):
  method = dataclasses.replace(VQ, legacy=legacy, beta=0.25)
  codes = jnp.asarray([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
  z = jnp.full((1, 1, 1, 3), 0.8)
  loss = lambda codes, z: method.quantise(codes, z)[2]
  g_codes, g_z = jax.grad(loss, (0, 1))(codes, z)
  pull = 2 * 0.2 / 3  # of a mean square over three channels
  sides = (0.25, 1.0) if legacy else (1.0, 0.25)
  np.testing.assert_allclose(g_codes[1], pull * sides[0], rtol=1e-5)
  np.testing.assert_allclose(g_z[0, 0, 0], -pull * sides[1], rtol=1e-5)
  assert not g_codes[0].any()


def test_codes_of_moving_averages_are_extra_state(batch):
  method = dataclasses.replace(VQ, ema=0.5, restart=0.1)
  params, extra = jit(method.init)(jax.random.key(0), batch)
  assert "codes" not in params["autoencoder"]
  draws = method.draw(jax.random.key(1), batch, 0)
  _, _, aux = jit(method.code)(params, extra, batch, draws)
  new = method.after("autoencoder", params, extra, aux, 0)
  used = np.asarray(aux["count"]) > 0
  moved = np.abs(new["codes"] - extra["codes"]).max(1) > 0
  np.testing.assert_array_equal(moved, used)
  same = method.after("discriminator", params, extra, {}, 0)
  assert same is extra
  assert method.draw(jax.random.key(1), batch, 0)["pick"].max() < B * 16


def test_distances_of_features_have_finite_gradients_where_all_are_dead():
  layers = lpips.small(4, 2)
  p = lpips.random(jax.random.key(0), layers)
  p = p | {n: x - 99.0 for n, x in p.items() if n.endswith("bias")}
  x = jnp.ones((1, 8, 8, 3))
  value, grad = jax.value_and_grad(
    lambda y: lpips.distance(layers, p, x, y).sum()
  )(0.5 * x)
  assert value == 0 and not np.asarray(grad).any()


def test_vgg_counts_like_torchvision():
  convolutions = [layer.index for layer in lpips.VGG16]
  assert convolutions == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
  seen = [layer.index for layer in lpips.VGG16 if layer.tap]
  assert seen == [2, 7, 14, 21, 28]


@pytest.mark.parametrize("name", codec.SIZES)
def test_a_code_is_smaller_by_the_factor_in_the_name(name):
  net = autoencoder.Autoencoder(codec.size(name, width=32), 0)
  factor = int(name.split("-")[1].removeprefix("f"))
  image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
  params = jax.eval_shape(net.init, jax.random.key(0))
  moments, _ = jax.eval_shape(net.encode, params, image)
  assert moments.shape == (1, 64 // factor, 64 // factor, 2 * net.size.code)
  z = jax.ShapeDtypeStruct(moments.shape[:3] + (net.size.code,), jnp.float32)
  assert jax.eval_shape(net.decode, params, z).shape == image.shape


# Second stage.

UNET = dict(
  width=8,
  multipliers=(1, 2),
  blocks=1,
  attend_at=(2,),
  heads=2,
  norm_groups=4,
  steps=2,
  times=20,
  beta_start=1e-3,
  beta_end=0.5,
)
STAGE = dict(
  first_stage="kl-f4",
  first_stage_width=4,
  first_stage_path="W",
  size=4,
  first_stage_blocks=1,
)
TASKS = {
  "none": {},
  "class": dict(classes=3, transformer=1, context=6),
  "tokens": dict(
    tokens=5,
    vocabulary=9,
    transformer=1,
    context=6,
    token_depth=1,
    token_heads=1,
  ),
  "layout": dict(
    objects=2,
    vocabulary=16,
    transformer=1,
    context=6,
    token_depth=1,
    token_heads=1,
  ),
  "inpaint": dict(read="images"),
  "superres": dict(read="images"),
  "semantic": dict(segments=4),
}


def make(task, **more):
  return ldm.LDM(task=task, **{**UNET, **STAGE, **TASKS[task], **more})


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
  return {"first_stage": jit(method.stage.init)(jax.random.key(1))}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_starts_at_zero_and_is_told_its_condition(task):
  method = make(task)
  batch, key = given(method), jax.random.key(0)
  params, extra = jit(method.init)(key, batch)
  consts = frozen(method)
  draws = jit(method.draw)(key, batch, 0)

  @jit
  def apply(params, batch):
    told, _ = method.condition(params, consts, batch | draws)
    x = jnp.ones((B, *method.shape))
    loss, aux = method.loss("main", params, extra, consts, batch, draws, 0)
    return method.network(params, x, jnp.zeros(B), told), loss

  eps, loss = apply(params, batch)
  assert not np.asarray(eps).any()  # so the error is that of the noise
  np.testing.assert_allclose(loss, (draws["noise"] ** 2).mean(), rtol=1e-5)
  rng = np.random.default_rng(0)
  noisy = jax.tree.map(lambda x: x + 0.1 * rng.normal(size=x.shape), params)
  first, _ = apply(noisy, batch)
  second, _ = apply(noisy, given(method, 1))
  assert (np.abs(first - second).max() > 1e-6) == (task != "none")


def test_the_scale_is_that_of_the_first_batch_and_stays():
  method = make("none")
  consts = frozen(method)
  params, extra = jit(method.init)(jax.random.key(0), given(method))

  @jit
  def step(extra, batch):
    draws = method.draw(jax.random.key(3), batch, 0)
    z = method.encoded(consts, batch, draws)
    _, aux = method.loss("main", params, extra, consts, batch, draws, 0)
    seen = method.latents(consts, batch, draws, extra)["image"]
    return method.after("main", params, extra, aux, 0), z, seen

  extra, z, seen = step(extra, given(method))
  np.testing.assert_allclose(extra["scale"], 1 / np.std(z), rtol=1e-5)
  np.testing.assert_allclose(np.std(seen), 1.0, rtol=1e-5)
  again, other, seen = step(extra, given(method, 5))
  assert again["scale"] == extra["scale"]
  np.testing.assert_allclose(seen, extra["scale"] * other, rtol=1e-6)


def test_a_hole_is_filled_and_the_rest_is_kept():
  method = make("inpaint")
  batch = given(method)
  params, extra = jit(method.init)(jax.random.key(0), batch)
  consts = frozen(method)
  key = jax.random.key(2)
  made = jit(method.sample)(params, extra, consts, batch, key)
  hole = method.hole(jax.random.uniform(key, (B, 4)))
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
  method = ldm.LDM(times=1000, steps=5)
  np.testing.assert_array_equal(
    method.table.level.time, [801, 601, 401, 201, 1]
  )
  assert method.table.level.to_signal[-1] == method.process.signal[0] < 1
  with pytest.raises(ValueError, match="1000 of 1000"):
    dataclasses.replace(method, steps=1000).inputs()
  x, eps = np.random.default_rng(0).normal(size=(2, 8))
  a, s = (method.table.level.signal, method.table.level.noise)
  b, r = (method.table.level.to_signal, method.table.level.to_noise)
  y = x
  for i in range(5):
    y = b[i] * (y - s[i] * eps) / a[i] + r[i] * eps
  for i in reversed(range(5)):
    y = a[i] * (y - r[i] * eps) / b[i] + s[i] * eps
  np.testing.assert_allclose(y, x, atol=1e-9)


def test_errors_can_be_weighed_by_a_learned_variance_and_by_the_bound():
  method = make("none", learn_log_var=True, elbo=2.0)
  t, error = jnp.asarray([0, 7]), jnp.asarray([3.0, 5.0])
  v = jnp.arange(20.0) / 10
  found = method.weighted({"main": {"log_var": v}}, error, t)
  beta = np.asarray(method.process.beta)
  power = np.cumprod(1 - beta)

  def bound(i):
    i = max(i, 1)
    var = beta[i] * (1 - power[i - 1]) / (1 - power[i])
    return beta[i] ** 2 / (2 * var * (1 - beta[i]) * (1 - power[i]))

  wanted = np.mean([3.0, 5.0 / np.exp(0.7) + 0.7])
  wanted += 2.0 * np.mean([3 * bound(0), 5 * bound(7)])
  np.testing.assert_allclose(found, wanted, rtol=1e-5)


# Latent mode of other methods.


def test_a_transformer_reads_moments_and_samples_images():
  method = dit.DiT(
    variant="S/2",
    width=16,
    depth=1,
    heads=2,
    steps=2,
    times=20,
    clip=0.0,
    first_stage="kl-f4",
    first_stage_width=4,
    first_stage_path="W",
    size=4,
  )
  assert method.inputs()["moments"].shape == (4, 4, 6)
  batch = given(method)
  draws = method.draw(jax.random.key(0), batch, 0)
  mean, log_var = np.split(np.asarray(batch["moments"]), 2, -1)
  z = mean + np.exp(log_var / 2) * np.asarray(draws["posterior"])
  found = method.latents({}, batch, draws)["image"]
  np.testing.assert_allclose(found, 0.18215 * z, rtol=1e-5)
  consts = frozen(method)
  params, _ = jit(method.init)(jax.random.key(0), batch)
  made = jit(method.sample)(
    params, {}, consts, {"index": jnp.arange(B)}, draws_key()
  )
  assert made.shape == (B, 16, 16, 3)
  features = jit(method.predict()["features"])
  assert np.isfinite(features(params, {}, consts, batch, draws_key())).all()


def draws_key():
  return jax.random.key(9)


def test_without_the_way_back_there_is_no_sample():
  method = dit.DiT(variant="S/2", first_stage="kl-f8", size=32, channels=4)
  assert method.consts() == {} and "sample" not in method.predict()
  assert method.inputs()["moments"].shape == (32, 32, 8)


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(first_stage="kl-f8"), "channels 3, but latents have 4"),
    (dict(first_stage="vq-f4"), "vq needs some"),
    (dict(task="class", transformer=1), "task 'class' with 0 classes"),
    (dict(task="class", classes=3), "transformer=0"),
    (dict(task="inpaint", first_stage="kl-f4"), "needs read='images'"),
    (dict(task="superres", first_stage="none"), "needs a first_stage"),
  ],
)
def test_fields_that_do_not_go_together_are_named(fields, said):
  with pytest.raises(ValueError, match=said):
    ldm.LDM(**{"first_stage": "none", **fields}).inputs()
