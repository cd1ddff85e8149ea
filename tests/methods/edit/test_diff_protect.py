import dataclasses

import appliedkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import config as configs
from jmim.core import field
from jmim.core import procedure
from jmim.cost import flops
from jmim.data import decode
from jmim.diffusion import perturb
from jmim.methods.edit import diff_protect
from jmim.methods.edit import img2img
from jmim.session import applied
from jmim.session import applying

STEPS, LEVEL = 5, 2 / 255
TOY = toydiffusion.make()
MODELS = {"source": procedure.Model.of(TOY)}
IN_IMAGES = [a for a in diff_protect.ATTACKS if a != "latents"]
SEEN = {"image": procedure.Input(TOY.image), **TOY.reads}
BATCH = jax.tree.map(
  jnp.asarray,
  toydiffusion.batch_of(SEEN | {"target": SEEN["image"]}, n=3),
)


def make(attack="sds", direction="descent", **budget):
  """An attack of a few large steps, and no edits."""
  return field.replace(
    diff_protect.DiffProtect(attack=attack, direction=direction),
    target={"kind": "batch"},
    budget={"steps": STEPS, "epsilon": 8.0, "alpha": 3.0} | budget,
    readout={"kinds": ()},
  )


def drawn(made, models=MODELS, seed=0):
  made.check(models)
  return procedure.drawn(made, jax.random.key(seed), models, BATCH)


def iterates(made, source=TOY):
  """Images (or latents) before the attack, and after each of its steps."""
  draws = drawn(made, {"source": procedure.Model.of(source)})
  clean = BATCH["image"]
  x = made.budget.begun(clean, draws["start"])
  aim = {
    "told": source.told(BATCH),
    "texture": made.target.encoded(source, BATCH),
  }
  if made.attack == "latents":
    first = draws["posterior"][:, 0]
    x, clean = source.encode(x, first), source.encode(clean, first)
    x = perturb.near(x, clean, made.budget.radius)
  step = jax.jit(lambda x, row: made.moved(source, x, clean, row | aim))
  found = [clean, x]
  for i in range(STEPS):
    row = {n: draws[n][:, i] for n in ("t", "noise", "posterior")}
    slowing = made.attack in ("advdm", "encoder", "mist")
    row["alpha"] = made.budget.lengths(slowing)[i].astype("f4")
    found.append(step(found[-1], row))
  return np.stack(found)


def protected(made, models=MODELS, seed=0):
  """The images that the procedure makes."""
  draws = drawn(made, models, seed)
  return jax.jit(lambda batch, draws: made.apply(models, {}, batch, draws))(
    BATCH, draws
  )


# What an attack is.


def grown(made, draws, i):
  """What step i of an attack makes grow, a function of images."""
  m = 1 if made.direction == "ascent" else -1
  t, n = draws["t"][:, i], draws["noise"][:, i]
  a, s = (
    jnp.asarray(f, jnp.float32)[t].reshape(-1, 1, 1, 1)
    for f in (TOY.schedule.signal, TOY.schedule.noise)
  )
  y = TOY.encode(BATCH["target"])
  encode = lambda x: TOY.encode(x, draws["posterior"][:, i])
  r = lambda x: TOY.network(a * encode(x) + s * n, t, BATCH["label"]) - n
  score = lambda x: (encode(x) * jax.lax.stop_gradient(r(x))).sum()
  distance = lambda x: ((encode(x) - y) ** 2).sum()
  loss = lambda x: (r(x) ** 2).mean((1, 2, 3)).sum()
  return {
    "sds": lambda x: m * score(x),
    "sdst": lambda x: 5 * m * score(x) - distance(x),
    "advdm": lambda x: m * loss(x),
    "encoder": lambda x: -distance(x),
    "mist": lambda x: 1e4 * loss(x) - m * distance(x),
  }[made.attack]


def by_losses(made, draws):
  """The same by the gradients of whole losses, a step at a time."""
  slow = made.attack in ("advdm", "encoder", "mist")
  clean, x = BATCH["image"], BATCH["image"]
  for i in range(STEPS):
    alpha = 3 * LEVEL
    alpha -= (alpha - alpha / 100) / STEPS * i if slow else 0
    x = x + alpha * jnp.sign(jax.grad(grown(made, draws, i))(x))
    x = jnp.clip(x, clean - 8 * LEVEL, clean + 8 * LEVEL).clip(-1, 1)
  return x


@pytest.mark.parametrize(
  "attack, direction",
  [
    ("sds", "ascent"),
    ("sds", "descent"),
    ("sdst", "descent"),
    ("advdm", "ascent"),
    ("encoder", "descent"),
    ("mist", "descent"),
  ],
)
def test_an_attack_ascends_or_descends_its_loss(attack, direction):
  made = make(attack, direction)
  wanted = jax.jit(lambda draws: by_losses(made, draws))(drawn(made))
  found = protected(made)["image"]
  # A sign may turn where a gradient is about 0.
  assert (np.abs(found - wanted) > 1e-5).mean() < 0.01
  assert np.abs(found - BATCH["image"]).max() > 5 * LEVEL


@pytest.mark.parametrize("start", [False, True])
def test_latents_are_moved_in_a_box_and_decoded(start):
  made = make("latents", "ascent", start=start)
  z = iterates(made)
  assert start == bool((z[1] != z[0]).any())
  assert (np.abs(z - z[0]) <= 8 * LEVEL + 1e-6).all()
  found = protected(made)["image"]
  np.testing.assert_allclose(found, TOY.decode(z[-1]), atol=1e-5)
  draws = drawn(made)
  first = {name: draws[name][:, 0] for name in ("t", "noise")}
  r = perturb.residual(TOY, z[1], told=BATCH["label"], **first)
  wanted = perturb.near(z[1] + 3 * LEVEL * np.sign(r), z[0], 8 * LEVEL)
  np.testing.assert_allclose(z[2], wanted, atol=1e-6)


def test_random_is_a_corner_of_the_box():
  found = protected(make("random"))["image"]
  far = np.abs(found - BATCH["image"])
  inside = np.abs(BATCH["image"]) < 1 - 8 * LEVEL
  np.testing.assert_allclose(far[inside], 8 * LEVEL, atol=1e-6)
  assert np.abs(found).max() <= 1


# Invariants.


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("attack", [a for a in IN_IMAGES if a != "random"])
def test_every_iterate_is_in_both_boxes(attack, start):
  made = make(attack, start=start, epsilon=4.0)
  found = iterates(made)
  assert (np.abs(found - found[0]) <= 4 * LEVEL + 1e-6).all()
  assert (np.abs(found) <= 1).all()
  assert start == bool((found[1] != found[0]).any())
  # Both walls are reached, so there is something to hold.
  assert np.abs(found - found[0]).max() > 3.99 * LEVEL
  assert np.abs(found[-1]).max() == 1 or np.abs(found[0]).max() < 0.99
  # The program of all steps takes the same ones.
  last = protected(made)["image"]
  assert (np.abs(last - found[-1]) > 1e-5).mean() < 0.01


@pytest.mark.parametrize("attack", ["sds", "sdst", "advdm"])
def test_a_step_is_0_or_alpha_before_it_is_clipped(attack):
  found = iterates(make(attack, epsilon=200.0, alpha=0.5))
  inside = (np.abs(found) < 1).all(0)
  steps = np.abs(np.diff(found[1:], axis=0))[:, inside] / LEVEL
  if attack != "advdm":
    np.testing.assert_allclose(steps[steps > 0.01], 0.5, atol=1e-3)
  for i, row in enumerate(steps):
    alpha = 0.5 - 0.495 / STEPS * i if attack == "advdm" else 0.5
    assert ((row < 1e-4) | (np.abs(row - alpha) < 1e-4)).all()


@pytest.mark.parametrize("attack", ["sds", "latents", "advdm"])
def test_first_steps_of_the_two_directions_are_opposite(attack):
  up, down = (
    iterates(make(attack, d, epsilon=200.0, alpha=0.5))
    for d in ("ascent", "descent")
  )
  inside = (np.abs(up) < 1).all(0) & (np.abs(down) < 1).all(0)
  steps = (up[2] - up[1])[inside], (down[2] - down[1])[inside]
  np.testing.assert_allclose(steps[0], -steps[1], atol=1e-6)
  assert np.abs(steps[0]).max() > 0


def test_with_a_linear_network_sds_is_the_full_gradient():
  """d e / d z = c I: both point the same way."""
  source = dataclasses.replace(TOY, network=lambda x, t, told: 0.7 * x)
  found = [iterates(make(a, "ascent"), source)[2] for a in ("sds", "advdm")]
  assert (np.abs(found[0] - found[1]) > 1e-6).mean() < 0.01


def untouched():
  """A model whose denoiser cannot be differentiated."""

  @jax.custom_vjp
  def network(x, t, told):
    return TOY.network(x, t, told)

  def backward(kept, slope):
    raise AssertionError("a backward pass through the denoiser")

  network.defvjp(lambda *inputs: (network(*inputs), None), backward)
  return dataclasses.replace(TOY, network=network)


def test_no_gradient_passes_through_the_denoiser():
  models = {"source": procedure.Model.of(untouched())}
  for attack in ("sds", "sdst", "latents", "encoder"):
    protected(make(attack), models)
  for attack in ("advdm", "mist"):
    with pytest.raises(AssertionError, match="backward pass"):
      protected(make(attack), models)


def test_a_step_of_sds_has_half_the_products_of_one_of_advdm():
  """Where the denoiser alone has products, none of them of two activations."""
  source = toydiffusion.pixels(channels=3)
  x = jax.ShapeDtypeStruct((2, 4, 4, 3), jnp.float32)
  t = jax.ShapeDtypeStruct((2,), jnp.int32)

  def products(attack):
    step = lambda x, t: make(attack).moved(
      source, x, x, {"t": t, "noise": x, "told": None, "alpha": 0.1}
    )
    return flops.count(step, x, t)

  forward = flops.count(lambda x, t: source.network(x, t, None), x, t)
  assert products("sds") == forward > 0
  assert products("advdm") == 2 * forward


def test_where_there_is_no_gradient_nothing_moves():
  """sign(0) = 0: an encoder that sees the upper half only."""

  def encode(images, noise=None):
    return TOY.encode(images.at[:, 4:].set(0.0), noise)

  source = dataclasses.replace(TOY, encode=encode)
  found = iterates(make("sds"), source)
  np.testing.assert_array_equal(found[-1, :, 4:], found[0, :, 4:])
  assert (found[-1, :, :4] != found[0, :, :4]).all()


def test_steps_are_not_lost_in_a_model_of_few_bits():
  half = lambda x: x.astype(jnp.bfloat16)
  source = dataclasses.replace(
    TOY,
    encode=lambda x, noise=None: half(TOY.encode(x, noise)).astype("f4"),
    network=lambda x, t, told: half(TOY.network(x, t, told)).astype("f4"),
  )
  found = iterates(make("sds", epsilon=200.0, alpha=0.1), source)
  assert found.dtype == np.float32
  moved = np.abs(np.diff(found[1:], axis=0)) / LEVEL
  inside = (np.abs(found) < 1).all(0)
  assert (moved[:, inside] > 0.0999).mean() > 0.95


def test_times_and_noise_are_of_each_image_and_step():
  edits = {"kinds": ("inpaint",), "steps": 4}
  draws = drawn(field.replace(make(steps=40), readout=edits))
  times = np.asarray(draws["t"])
  assert times.shape == (3, 40) and {0, 19} < {*times.ravel()}
  assert times.min() == 0 and times.max() == 19
  rows = np.asarray(draws["noise"]).reshape(120, -1)
  assert np.abs(np.corrcoef(rows) - np.eye(120)).max() < 0.7
  # An edit's noise is not the attack's.
  edit = np.asarray(draws["edit"]["start"]).reshape(3, -1)
  assert np.abs(np.corrcoef(edit, rows)[:3, 3:]).max() < 0.7


def test_the_posterior_is_sampled_or_its_mean_taken():
  sampled, mean = make("encoder"), make("encoder")
  mean = dataclasses.replace(mean, posterior=False)
  assert "posterior" in drawn(sampled) and "posterior" not in drawn(mean)
  steady = dataclasses.replace(TOY, encode=lambda x, noise=None: TOY.encode(x))
  models = {"source": procedure.Model.of(steady)}
  found = [protected(m)["image"] for m in (sampled, mean)]
  wanted = protected(sampled, models)["image"]
  np.testing.assert_array_equal(found[1], wanted)
  assert (found[0] != found[1]).any()


# Edits.


def test_edits_are_those_of_sdedit_from_the_same_draws():
  edits = {"kinds": ("once", "sdedit", "inpaint"), "steps": 4, "strength": 0.5}
  made = field.replace(make(), readout=edits)
  found, draws = protected(made), drawn(made)
  names = ("clean", "image", "clean_once", "once", "clean_sdedit", "sdedit")
  assert made.pictures() == (*names, "clean_inpaint", "inpaint")
  same = img2img.Img2Img(steps=4, strength=0.5)
  for prefix, images in (("clean_", "clean"), ("", "image")):
    batch = {**BATCH, "image": found[images]}
    wanted = same.apply(MODELS, {}, batch, draws["edit"])["image"]
    np.testing.assert_allclose(found[f"{prefix}sdedit"], wanted, atol=1e-4)
  np.testing.assert_array_equal(found["clean"], BATCH["image"])
  for kind in edits["kinds"]:
    gap = np.abs(found[kind] - found[f"clean_{kind}"]).max((1, 2, 3))
    assert (gap > 1e-3).all(), kind
  for name in ("encoder_gain", "denoiser_gain"):
    assert found[name].shape == (3,) and (found[name] > 0).all()


@pytest.mark.parametrize(
  "readout, words",
  [
    ({"kinds": ("sdedit", "dream")}, "readout.kinds"),
    ({"kinds": ("sdedit",), "steps": 21}, "21 sampling steps"),
    ({"kinds": ("inpaint",), "steps": 4, "hole": 0.1}, "hole=0.1"),
  ],
)
def test_edits_that_cannot_be_made_are_named(readout, words):
  with pytest.raises(ValueError, match=words):
    field.replace(make(), readout=readout).check(MODELS)


def test_a_texture_finer_than_pixels_is_named():
  fine = {"kind": "checks", "fields": 9}
  field.replace(make("sds"), target=fine).inputs(MODELS)
  with pytest.raises(ValueError, match="target.fields=9"):
    field.replace(make("sdst"), target=fine).inputs(MODELS)


def test_what_is_read():
  plain = diff_protect.DiffProtect(attack="sds").inputs(MODELS)
  assert set(plain) == {"image", "label"} and plain["image"].range == (-1, 1)
  assert set(make("sds").inputs(MODELS)) == {"image", "label"}
  assert set(make("mist").inputs(MODELS)) == {"image", "label", "target"}
  straight = dataclasses.replace(TOY, schedule=None)
  with pytest.raises(ValueError, match="without discrete times"):
    make().check({"source": procedure.Model.of(straight)})


def test_files_keep_the_budget_in_grey_levels(tmp_path):
  """A random DiT on 8 x 8 digits: what is stored of three steps of 2."""
  config = appliedkit.recipe(
    tmp_path,
    "edit.diff_protect",
    budget=configs.section(steps=3, alpha=2.0, epsilon=5.0),
    readout=configs.section(steps=2, strength=0.5),
  )
  work = applying.Work(applied.make(config, appliedkit.find))
  (rows,) = work.results("eval", np.arange(10), {})
  source = work.parts.sources["eval"]
  assert all(rows[n].dtype == np.uint8 for n in work.parts.procedure.pictures())
  change = rows["image"].astype(int) - rows["clean"]
  # Three steps of 2 end at the wall of the box, or where one of them does.
  assert np.abs(change).max() == 5
  inside = (rows["clean"] >= 5) & (rows["clean"] <= 250)
  assert set(np.abs(change)[inside]) == {2, 5}
  stored = [decode.decode(source[i]["image"], 1) for i in range(10)]
  np.testing.assert_array_equal(rows["clean"], stored)
