"""Runs of diffusion methods as functions, against what the methods do."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import discovery
from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.diffusion import model
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.methods.diffusion import ddpm
from jmim.methods.diffusion import dit
from jmim.methods.latent import ldm
from jmim.methods.parts import guided

DIT = dit.DiT.tiny()
GUIDED = field.replace(DIT, sampling=dict(guidance=2.0, clip=0.0, eta=1.0))


OFFERED = [
  name
  for name in discovery.names()
  if discovery.find(name).diffuser is not method.Method.diffuser
]


def test_diffusion_methods_offer_it_and_no_others():
  assert {"diffusion.ddpm", "diffusion.dit", "latent.ldm"} < {*OFFERED}
  assert {"diffusion.difffit", "diffusion.linfusion"} < {*OFFERED}
  assert not {n for n in OFFERED if n.startswith(("mim.", "distill."))}


@pytest.mark.parametrize("name", OFFERED)
def test_every_one_has_its_shapes_and_calls_its_network(name):
  """Nothing is computed: methods whose weights are laid over others too."""
  made = discovery.find(name).tiny()
  shapes = _shapes(made)
  known = procedure.Model(method=made, weights=shapes, shapes=True).diffuser
  assert len(known.shape) in (1, 3) and known.image
  levels = known.levels(3)
  row = jax.tree.map(lambda x: x[0], solvers.ddim(levels).level)
  spec = lambda x: jax.ShapeDtypeStruct((2, *x.shape), x.dtype)
  batch = {n: spec(x) for n, x in known.reads.items()}
  x = jax.ShapeDtypeStruct((2, *known.shape), jnp.float32)

  def call(weights, batch, x):
    frozen = made.diffuser(weights)
    told, nothing = frozen.tell(batch)
    return frozen.denoise(told, nothing, scale=2.0)(x, row)

  out = jax.eval_shape(call, shapes, batch, x)
  assert out.x0.shape == out.eps.shape == (2, *known.shape)


@pytest.mark.parametrize("drop, guides", [(0.1, True), (0.0, False)])
def test_what_was_never_trained_is_no_guide(drop, guides):
  """As in weights of ADM, whose table of labels has no row for none."""
  made = field.replace(DIT, labels=dict(drop=drop))
  asked = dict(method=made, weights=_shapes(made), shapes=True)
  assert procedure.Model(**asked).diffuser.guides == guides


def test_sampling_with_it_is_the_methods_own_sampling():
  weights = toydiffusion.fresh(GUIDED)
  batch = {"index": jnp.array([3, 5]), "label": jnp.array([0, 2])}
  key = jax.random.key(1)
  wanted = jax.jit(GUIDED.sample)(weights, batch, key)

  @jax.jit
  def sampled(weights):
    frozen = GUIDED.diffuser(weights)
    assert isinstance(frozen, model.Diffuser) and set(frozen.reads) == {"label"}
    told, nothing = frozen.tell(batch)
    table = solvers.ddpm(frozen.levels(GUIDED.sampling.steps), "learned")
    if GUIDED.sampling.sampler == "ddim":
      table = solvers.ddim(frozen.levels(GUIDED.sampling.steps), 1.0)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, batch["index"])
    normal = lambda call: jax.vmap(
      lambda k: jax.random.normal(jax.random.fold_in(k, call), frozen.shape)
    )(keys)
    x = normal(len(table))
    denoise = frozen.denoise(told, nothing, scale=2.0)
    z, _ = sampler.sample(table, denoise, x, normal)
    return frozen.decode(z)

  np.testing.assert_allclose(sampled(weights), wanted, atol=1e-4)


def test_a_first_stage_is_passed_both_ways_and_has_its_gradient():
  made = field.replace(
    ldm.LDM.tiny(), first_stage=dict(read="images", scale=0.5)
  )
  weights = toydiffusion.fresh(made)
  frozen = made.diffuser(weights)
  assert frozen.image == (16, 16, 3) and frozen.random
  assert set(frozen.reads) == {"tokens"}
  rng = np.random.default_rng(0)
  images = rng.normal(size=(2, 16, 16, 3)).astype("f4")
  noise = rng.normal(size=(2, *frozen.shape)).astype("f4")
  encode = jax.jit(frozen.encode)
  wanted = jax.jit(made.first_stage.encode)(
    weights, {"image": images}, {"posterior": noise}
  )
  np.testing.assert_allclose(encode(images, noise), wanted, atol=1e-5)
  decoded = jax.jit(frozen.decode)(wanted)
  np.testing.assert_allclose(
    decoded, jax.jit(made.first_stage.decode)(weights, wanted), atol=1e-5
  )
  grad = jax.jit(jax.grad(lambda x: encode(x, noise).sum()))(images)
  assert np.abs(grad).max() > 0


def test_latents_alone_can_be_neither_made_nor_shown():
  made = field.replace(ldm.LDM.tiny(), first_stage=dict(path="", scale=0.5))
  frozen = made.diffuser(_shapes(made))
  assert frozen.can == ()
  for fn in (frozen.encode, frozen.decode):
    with pytest.raises(ValueError, match="first_stage.path"):
      fn(jnp.zeros((1, 4, 4, 3)))
  with pytest.raises(ValueError, match="cannot encode"):
    frozen.require("encode")


def _shapes(made):
  return jax.eval_shape(lambda: toydiffusion.fresh(made))


def test_other_predictions_are_told_as_noise():
  made = field.replace(ddpm.DDPM.tiny(), prediction="v")
  weights = toydiffusion.fresh(made)
  frozen = made.diffuser(weights)
  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, 8, 8, 3)).astype("f4")
  t, label = jnp.array([3, 11]), jnp.array([0, 1])
  found = jax.jit(frozen.eps)(x, t, label)
  raw = jax.jit(lambda w: made.network(w.params, x, t, label))(weights)
  a, s = made.noise.process.at(t.reshape(2, 1, 1, 1))
  np.testing.assert_allclose(found, s * x + a * raw, atol=1e-4)


def test_straight_paths_have_levels_and_no_times():
  cls = discovery.find("diffusion.lightningdit")
  made = cls.tiny()
  frozen = made.diffuser(_shapes(made))
  assert frozen.schedule is None and len(frozen.levels(4)) == 4
  with pytest.raises(ValueError, match="without discrete times"):
    frozen.require("times")
  assert isinstance(made.sampling, guided.Guided)
  assert dataclasses.replace(frozen, can=()).can == ()
