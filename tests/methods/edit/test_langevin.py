import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.core import procedure
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.methods.edit import langevin
from jmim.methods.parts import classifier_score
from jmim.methods.supervised import convnet

TOY = toydiffusion.make()
SCORER = procedure.Model(
  method=convnet.ConvNet.tiny(),
  weights=toydiffusion.fresh(convnet.ConvNet.tiny()),
)
MODELS = {"source": procedure.Model.of(TOY), "scorer": SCORER}
N = 3


def made_of(**fields):
  code = {"steps": 3} | fields.pop("code", {})
  base = langevin.Langevin(moves=2, rate=0.1)
  return field.replace(base, code=code, **fields)


def apply(made, models=MODELS, seed=0):
  made.check(models)
  batch = jax.tree.map(
    jnp.asarray, toydiffusion.batch_of(made.inputs(models), n=N)
  )
  draws = procedure.drawn(made, jax.random.key(seed), models, batch)
  run = jax.jit(lambda b, d: made.apply(models, {}, b, d))
  return run(batch, draws), draws, batch


def test_a_move_of_the_start_is_its_formula():
  """DDIM without noise, whose code is its start; told nothing."""
  made = made_of(moves=1, weight=5.0)
  found, draws, batch = apply(made)
  assert set(draws) == {"begin", "walk"} and "image" not in batch
  table = solvers.ddim(TOY.levels(3))
  denoise = TOY.denoise(jnp.full(N, 3))  # the class of nothing

  def energy(x):
    y = TOY.decode(sampler.sample(table, denoise, x)[0])
    return -classifier_score.log_share(SCORER, "label", y, batch["label"])

  x, w = draws["begin"], draws["walk"][:, 0]
  gradient = jax.grad(lambda x: energy(x).sum())(x)
  moved = x - 0.05 * (x + 5.0 * gradient) + 0.1**0.5 * w
  y = TOY.decode(sampler.sample(table, denoise, moved)[0])
  np.testing.assert_allclose(found["image"], y, atol=1e-4)
  np.testing.assert_allclose(found["energy"][:, 0], energy(x), atol=1e-4)


def test_without_moving_an_image_is_what_it_was():
  """Its code by the encoder, moved by almost nothing; exactly decoded."""
  made = made_of(
    start="image",
    moves=1,
    rate=1e-12,
    scale=1.0,
    code={"steps": 4, "eta": 0.5, "spacing": "offset"},
  )
  found, draws, batch = apply(made)
  z = TOY.encode(batch["image"], draws["posterior"])
  np.testing.assert_allclose(found["image"], TOY.decode(z), atol=2e-4)
  assert draws["noise"].shape[:2] == (N, 3)
  assert draws["walk_noise"].shape[:3] == (N, 1, 4)


def test_a_strong_energy_makes_the_class_likelier():
  """With noises of the steps among what moves; to a class that is asked."""
  made = made_of(
    moves=40, weight=300.0, rate=0.02, told="label", label=0, code={"eta": 1.0}
  )
  found, _, _ = apply(made)
  first, last = found["energy"][:, 0], found["energy"][:, -1]
  assert float(last.mean()) < float(first.mean()) - 0.1
  np.testing.assert_array_equal(found["label"], 0)


def test_steps_made_again_at_the_end():
  plain, _, _ = apply(made_of())
  again, draws, _ = apply(made_of(code={"refine": 1}))
  assert draws["again_noise"].shape[:2] == (N, 1)
  np.testing.assert_allclose(plain["energy"], again["energy"], atol=1e-5)
  assert float(jnp.abs(plain["image"] - again["image"]).max()) > 1e-3


@pytest.mark.parametrize(
  "fields, source, words",
  [
    ({"start": "image"}, TOY, "code.eta"),
    ({"code": {"early_stop": 2}}, TOY, "code.early_stop"),
    ({}, toydiffusion.make(classes=0), "told='own'"),
    ({}, toydiffusion.make(classes=4), "told='own'"),
    ({"told": "label", "label": 3}, TOY, "label=3 of 3 classes of scorer"),
    (
      {"told": "random", "scale": 1.0},
      toydiffusion.make(classes=0),
      "scale=1.0 of source that is told nothing",
    ),
    (
      {"start": "image", "code": {"eta": 0.5}},
      dataclasses.replace(TOY, can=("decode",)),
      "source is a model that cannot encode",
    ),
    ({}, toydiffusion.make(size=2), "scorer reads images"),
  ],
)
def test_what_does_not_go_together_is_named(fields, source, words):
  models = {**MODELS, "source": procedure.Model.of(source)}
  with pytest.raises(ValueError, match=words):
    made_of(**fields).check(models)


def test_a_source_that_is_told_nothing_is_steered_too():
  none = {**MODELS, "source": procedure.Model.of(toydiffusion.make(classes=0))}
  found, draws, batch = apply(made_of(told="random"), none)
  assert set(batch) == {"index"}
  np.testing.assert_array_equal(found["label"], draws["label"])


def test_guidance_moves_what_is_made():
  """Told the class that is wanted, by its scale; no label is read."""
  made = made_of(told="label", label=1, moves=1)
  assert "label" not in made.inputs(MODELS)
  images = [
    apply(dataclasses.replace(made, scale=scale))[0]["image"]
    for scale in (0.0, 1.0, 3.0)
  ]
  for i, j in ((0, 1), (1, 2)):
    assert float(jnp.abs(images[i] - images[j]).max()) > 1e-3
