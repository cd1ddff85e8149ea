import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.diffusion import linfusion
from jmim.methods.parts import copying
from jmim.nn import resize

TINY = field.replace(
  linfusion.LinFusion.tiny(),
  mixers=dict(start="host"),
  copying=dict(prediction=0.5, features=0.5),
)
FLAT = field.replace(TINY, ladder=dict(rungs=0))
SAME = field.replace(FLAT, mixers=dict(form="softmax"))
KEY = jax.random.key(0)
B = 2


def given(method, seed=0):
  rng = np.random.default_rng(seed)
  draw = lambda s: jnp.asarray(rng.normal(size=(B, *s.shape)), jnp.float32)
  return {n: draw(s) for n, s in method.inputs().items()}


@functools.cache
def consts():
  """A host of normal numbers, for which nothing is compiled."""
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(TINY.consts()["host"].init, KEY)
  normal = lambda s: (0.2 * rng.normal(size=s.shape)).astype(s.dtype)
  return {"host": jax.tree.map(normal, shapes)}


def weights_of(method, seed=None):
  """Fresh, or with every own leaf moved by some noise."""
  params, _ = jax.jit(method.init)(KEY, {})
  if seed is not None:
    rng = np.random.default_rng(seed)
    noise = lambda x: x + 0.2 * rng.normal(size=x.shape).astype(np.float32)
    params = jax.tree.map(noise, params)
  return methods.Weights(params, {}, consts())


def shapes_of(method):
  """Fresh, as shapes."""
  return methods.Weights(jax.eval_shape(method.init, KEY, {})[0], {}, consts())


def named(weights, part):
  return set(trees.named(weights.params["main"][part]))


def test_only_self_attentions_are_trained():
  attention = set(trees.named(consts()["host"]["net"]))
  kept = {f"net/{n}" for n in attention if "/self_" in n}
  own = weights_of(TINY)
  assert named(own, "added") == kept and len(kept) == 4 * 5
  assert all(not x.any() for x in jax.tree.leaves(own.params["main"]["added"]))
  new = named(own, "new")
  assert len(new) == 4 * 2 * 6 and all("_features/" in n for n in new)
  fresh = shapes_of(field.replace(TINY, mixers=dict(start="fresh")))
  assert named(fresh, "new") == new | kept and not named(fresh, "added")
  plain = shapes_of(field.replace(TINY, mixers=dict(form="plain")))
  assert not named(plain, "new")


def test_with_the_hosts_mixer_and_nothing_added_it_is_the_host():
  own, batch = weights_of(SAME), given(SAME)
  host = methods.Weights({"main": consts()["host"]})
  plain = field.replace(SAME.plain, labels=dict(drop=0.0))
  draws = plain.drawn(KEY, batch)

  @jax.jit
  def both(batch, draws):
    loss, aux = SAME.loss(own, batch, draws, 0)
    theirs, _ = plain.loss(host, batch, draws, 0)
    return loss, aux, theirs

  loss, aux, theirs = both(batch, draws)
  np.testing.assert_allclose([loss, aux["loss_noise"]], theirs, rtol=1e-5)
  np.testing.assert_allclose(aux["loss_taught"], 0, atol=1e-9)
  np.testing.assert_allclose(aux["loss_features"], 0, atol=1e-9)
  # The sampler is the host's, guidance and all.
  guided = dict(sampling=dict(guidance=2.0))
  batch, index = given(SAME), {"index": jnp.arange(B)}
  found = jax.jit(field.replace(SAME, **guided).sample)(own, batch | index, KEY)
  sample = field.replace(plain, **guided).sample
  wanted = jax.jit(sample)(host, batch | index, KEY)
  np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_features_are_what_attention_adds_in_ones_own_forward_pass():
  own, batch = weights_of(FLAT, 0), given(FLAT)
  draws = FLAT.drawn(KEY, batch)
  net = FLAT.merged(own).params["main"]["net"]

  @jax.jit
  def features(bias):
    moved = jax.tree.map(lambda leaf: leaf, net)
    moved["up1_1_attention"]["self_0"]["proj"]["bias"] += bias
    options = dict(x=batch["image"], t=draws["t"], context=batch["context"])
    return copying.see(FLAT.net(), moved, **options)[1]

  # Sorted by name; up1_1 is the last that runs.
  before, after = features(jnp.float32(0)), features(jnp.float32(1))
  moved = [
    float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True)
  ]
  assert len(moved) == 4 and np.flatnonzero(moved).tolist() == [3]
  np.testing.assert_allclose(after[3] - before[3], 1.0, atol=1e-5)


@pytest.mark.parametrize("form", ["linear", "unnormalised"])
def test_errors_at_another_size(form):
  """The same parameters; of an image whose side is doubled."""
  small = field.replace(FLAT, mixers=dict(form=form, tokens=4))
  large = field.replace(small, size=2 * FLAT.size)
  own, batch = weights_of(small, 0), given(small)
  sides = (2 * FLAT.size,) * 2
  twice = batch | {"image": resize.images(batch["image"], sides)}
  found = jax.jit(small.errors)(own, batch, KEY)
  again = jax.jit(large.errors)(own, twice, KEY)
  ratio = np.mean(again["features"]) / np.mean(found["features"])
  # Without the normaliser four times the tokens are four times the output.
  assert ratio > 4 if form == "unnormalised" else ratio < 2


def test_a_ladder_doubles_the_side_of_a_sample():
  own, batch = weights_of(FLAT, 0), given(FLAT) | {"index": jnp.arange(B)}
  sample = lambda m: np.asarray(jax.jit(m.sample)(own, batch, KEY))
  base = sample(FLAT)
  one = sample(field.replace(FLAT, ladder=dict(rungs=1, strength=0.4)))
  two = sample(field.replace(FLAT, ladder=dict(rungs=2, strength=0.4)))
  n = FLAT.size
  shapes = [x.shape for x in (base, one, two)]
  assert shapes == [(B, n * k, n * k, 3) for k in (1, 2, 4)]
  assert np.isfinite(two).all()
  # A sample is its own: the rest of the batch does not matter.
  method = field.replace(FLAT, ladder=dict(rungs=1, strength=0.4))
  alone = {k: v[1:] for k, v in batch.items()}
  found = jax.jit(method.sample)(own, alone, KEY)
  np.testing.assert_allclose(found, one[1:], atol=1e-5)


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(condition=dict(task="none", transformer=0)), "task 'none'"),
    (dict(dims=dict(dropout=0.1)), "dims.dropout=0.1"),
    (
      dict(channels=4, first_stage=dict(variant="kl-f8"), ladder=dict(rungs=1)),
      "first_stage.path",
    ),
    (dict(noise=dict(learn_variance=True)), "predicts none"),
    (
      dict(
        channels=4,
        first_stage=dict(variant="kl-f8", scale=0.0),
        ladder=dict(rungs=0),
      ),
      "first_stage.scale 0",
    ),
  ],
)
def test_hosts_that_cannot_be_are_refused(fields, said):
  with pytest.raises(ValueError, match=said):
    field.replace(TINY, **fields).inputs()


def test_a_run_with_another_process_is_no_host():
  const = TINY.consts()["host"]
  agrees = const.agrees
  assert const.whole and "dims.late_pad" in const.exact
  assert agrees["noise.times"] == ("method.noise.times", 20)
  assert agrees["noise.beta_end"] == ("method.noise.beta_end", 0.5)
  assert agrees["prediction"] == ("method.prediction", "eps")
  # No shape tells either of them.
  assert agrees["noise.zero_snr"] == ("method.noise.zero_snr", False)
  assert agrees["dims.heads"] == ("method.dims.heads", 2)
  assert "first_stage.scale" not in agrees  # of images
  latents = field.replace(TINY, channels=4, first_stage=dict(variant="kl-f8"))
  agrees = latents.consts()["host"].agrees
  assert agrees["first_stage.scale"] == ("method.first_stage.scale", 0.18215)
