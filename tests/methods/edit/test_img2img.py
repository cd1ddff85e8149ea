import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import procedure
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.methods.edit import img2img

TOY = toydiffusion.make()
MODELS = {"source": procedure.Model.of(TOY)}
BATCH = jax.tree.map(
  jnp.asarray,
  toydiffusion.batch_of(img2img.Img2Img().inputs(MODELS), n=3),
)


def edited(seed=0, **fields):
  """(results, draws) of SDEdit in four steps."""
  made = img2img.Img2Img(**{"steps": 4} | fields)
  made.check(MODELS)
  draws = procedure.drawn(made, jax.random.key(seed), MODELS, BATCH)
  return made.apply(MODELS, {}, BATCH, draws), draws


def test_strength_0_is_the_image_of_its_latents():
  found, draws = edited(strength=0.0)
  z = TOY.encode(BATCH["image"], draws["posterior"])
  np.testing.assert_array_equal(found["image"], TOY.decode(z))
  np.testing.assert_array_equal(found["label"], BATCH["label"])


def test_strength_1_is_a_sample_from_almost_noise():
  found, draws = edited(strength=1.0)
  levels = TOY.levels(4)
  z = TOY.encode(BATCH["image"], draws["posterior"])
  x = levels.signal[0] * z + levels.noise[0] * draws["start"]
  denoise = TOY.denoise(BATCH["label"])
  wanted, _ = sampler.sample(solvers.ddim(levels), denoise, x)
  np.testing.assert_allclose(found["image"], TOY.decode(wanted), atol=1e-4)


def test_one_step_moves_latents_by_the_error_of_the_noise():
  """z' - z = s / a (eps - e(z_t)), exactly (OriPID's identity)."""
  made = img2img.Img2Img(steps=1, strength=1.0)
  draws = procedure.drawn(made, jax.random.key(1), MODELS, BATCH)
  z = 0.3 * draws["start"][::-1]
  moved = made.edited(TOY, z, BATCH, draws)
  levels = TOY.levels(1)
  a, s = levels.signal[0], levels.noise[0]
  x = a * z + s * draws["start"]
  t = jnp.full(3, levels.time[0])
  e = TOY.network(x, t, BATCH["label"])
  wanted = s / a * (draws["start"] - e)
  np.testing.assert_allclose(moved - z, wanted, atol=1e-5)


def test_more_strength_is_less_of_the_image():
  far = [
    float(jnp.abs(edited(strength=s)[0]["image"] - BATCH["image"]).mean())
    for s in (0.25, 0.5, 1.0)
  ]
  assert far[0] < far[1] < far[2]


def test_the_class_that_is_told():
  own, _ = edited()
  same, _ = edited(told="label", label=1)
  np.testing.assert_array_equal(same["label"], 1)
  for i in range(3):
    equal = bool((own["image"][i] == same["image"][i]).all())
    assert equal == (int(BATCH["label"][i]) == 1)
  labels = [edited(told="random", seed=s)[0]["label"] for s in range(8)]
  assert {int(x) for x in np.ravel(labels)} == {0, 1, 2}


def test_guidance_is_by_the_class():
  plain, guided = (edited(guidance=g)[0]["image"] for g in (1.0, 3.0))
  assert float(jnp.abs(plain - guided).max()) > 1e-3


def test_one_call_predicts_the_data():
  found, draws = edited(strength=0.5, once=True)
  levels = TOY.levels(4).last(0.5)
  z = TOY.encode(BATCH["image"], draws["posterior"])
  x = levels.signal[0] * z + levels.noise[0] * draws["start"]
  e = TOY.network(x, jnp.full(3, levels.time[0]), BATCH["label"])
  wanted = TOY.decode((x - levels.noise[0] * e) / levels.signal[0])
  np.testing.assert_allclose(found["image"], wanted, atol=1e-4)


def test_a_hole_is_filled_and_knows_nothing_of_what_was_there():
  model = toydiffusion.pixels(channels=3)
  models = {"source": procedure.Model.of(model)}
  made = img2img.Img2Img(steps=4, strength=1.0, hole=0.5)
  made.check(models)
  draws = procedure.drawn(made, jax.random.key(0), models, BATCH)
  images = 0.3 * draws["start"][::-1]
  inside = np.zeros((4, 4, 1), bool)
  inside[1:3, 1:3] = True
  emptied = jnp.where(inside, 7.0, images)
  found, other = (
    made.apply(models, {}, {**BATCH, "image": x}, draws)["image"]
    for x in (images, emptied)
  )
  np.testing.assert_array_equal(found, other)
  place = np.broadcast_to(inside, found.shape)
  np.testing.assert_array_equal(found[~place], images[~place])
  assert np.abs(found - images)[place].min() > 0


@pytest.mark.parametrize(
  "fields, words",
  [
    ({"hole": 0.5, "strength": 0.5}, "hole=0.5, .* strength=0.5"),
    ({"hole": 0.5, "strength": 1.0, "once": True}, "hole=0.5, .* once"),
    ({"hole": 0.1, "strength": 1.0}, "hole=0.1 of a side"),
    ({"steps": 21}, "21 sampling steps"),
    ({"told": "label", "label": 3}, "label=3 of 3 classes"),
  ],
)
def test_what_does_not_go_together_is_named(fields, words):
  with pytest.raises(ValueError, match=words):
    img2img.Img2Img(**{"steps": 4} | fields).check(MODELS)


def test_models_that_will_not_do_are_named():
  blind = dataclasses.replace(TOY, can=())
  made = img2img.Img2Img(steps=4)
  with pytest.raises(ValueError, match="cannot encode"):
    made.check({"source": procedure.Model.of(blind)})
  none = toydiffusion.make(classes=0)
  asked = dataclasses.replace(made, told="random")
  with pytest.raises(ValueError, match="source has no classes"):
    asked.check({"source": procedure.Model.of(none)})
  guided = dataclasses.replace(made, guidance=2.0)
  with pytest.raises(ValueError, match="guidance=2.0 .* told nothing"):
    guided.check({"source": procedure.Model.of(none)})
  always = dataclasses.replace(TOY, guides=False)
  with pytest.raises(ValueError, match="guidance=2.0 .*labels.drop=0"):
    guided.check({"source": procedure.Model.of(always)})
  made.check({"source": procedure.Model.of(always)})
  plain = made.inputs({"source": procedure.Model.of(none)})
  assert set(plain) == {"image"}


def test_a_class_is_read_only_where_it_is_the_images_own():
  reads = lambda told: set(img2img.Img2Img(told=told).inputs(MODELS))
  assert reads("own") == {"image", "label"}
  assert reads("random") == reads("label") == {"image"}
