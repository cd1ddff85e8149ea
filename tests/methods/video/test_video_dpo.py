import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import frozen
from jmim.core import errors
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.video import step_video
from jmim.methods.video import video_dpo

TINY = video_dpo.VideoDPO.tiny()
LABEL = jnp.asarray([0, 2])


@pytest.fixture(scope="module")
def given(fill, normal):
  """(weights, batch, draws): a policy beside its reference."""
  batch = {"video": normal(2, 6, 4, 4, 3), "label": LABEL}
  made = lambda seed: jax.tree.map(
    jnp.asarray, fill(TINY, batch, scale=0.3, seed=seed)[0]
  )
  reference = {"reference": made(0)["main"]}
  weights = methods.Weights(made(1), consts=reference)
  return weights, batch, TINY.drawn(jax.random.key(1), batch)


def at_reference(weights):
  """The policy before its first step."""
  return dataclasses.replace(
    weights, params={"main": weights.consts["reference"]}
  )


def test_z_is_how_much_more_the_preferred_clip_has_gained(given):
  """Each error by Step-Video itself, on a batch of one half."""
  weights, batch, draws = given
  plain = step_video.StepVideo.tiny()
  error = lambda w, part: np.float64(
    plain.terms(w, batch | {"video": batch["video"][:, part]}, draws)["flow"]
  )
  first, second = slice(0, 3), slice(3, 6)
  ref = at_reference(weights)
  gain = lambda part: error(ref, part) - error(weights, part)
  z = gain(first) - gain(second)
  found = TINY.terms(weights, batch, draws)
  np.testing.assert_allclose(found["z"], z, rtol=1e-3, atol=1e-5)
  np.testing.assert_allclose(found["flow"], error(weights, first), rtol=1e-4)
  np.testing.assert_allclose(
    found["flow_other"], error(weights, second), rtol=1e-4
  )
  loss, told = TINY.loss(weights, batch, draws, 0)
  wanted = np.logaddexp(0, -TINY.beta * z).mean()
  np.testing.assert_allclose(loss, wanted, rtol=1e-2, atol=1e-5)
  assert told["accuracy"] == (z > 0).mean()
  np.testing.assert_allclose(told["margin"], TINY.beta * z.mean(), rtol=1e-2)
  square = lambda a, b: ((np.float64(a) - np.float64(b)) ** 2).sum()
  drift = sum(
    jax.tree.leaves(jax.tree.map(square, *(w.params for w in (weights, ref))))
  )
  np.testing.assert_allclose(told["drift"], drift**0.5, rtol=1e-5)


def test_it_begins_at_log_2_with_a_gradient_in_proportion_to_beta(given):
  weights, batch, draws = given
  start = at_reference(weights)

  loss, told = TINY.loss(start, batch, draws, 0)  # the same operations twice
  assert loss == np.float32(np.log(2))
  assert told["drift"] == 0 and told["margin"] == 0 and told["accuracy"] == 0

  def of(beta):
    m = field.replace(TINY, beta=beta)
    loss = lambda params, consts: m.loss(
      methods.Weights(params, consts=consts), batch, draws, 0
    )[0]
    return jax.jit(jax.grad(loss))(start.params, start.consts)

  little, much = of(1.0), of(50.0)
  norm = lambda tree: np.sqrt(
    sum((np.float64(x) ** 2).sum() for x in jax.tree.leaves(tree))
  )
  assert norm(little) > 0.01
  np.testing.assert_allclose(norm(much) / norm(little), 50, rtol=1e-2)

  # A step down the gradient: the preferred gains more than the other.
  rate = 1e-3 / norm(little) ** 2
  moved = jax.tree.map(lambda p, g: p - rate * g, start.params, little)
  z = TINY.terms(dataclasses.replace(start, params=moved), batch, draws)["z"]
  assert z.mean() > 0


def test_what_both_clips_gain_alike_does_not_count(monkeypatch):
  """Equal constants on both errors of a network leave z; order turns it."""
  table = {  # error of (network, clip)
    ("policy", 0): 0.4,
    ("policy", 1): 0.7,
    ("frozen", 0): 0.5,
    ("frozen", 1): 0.6,
  }
  more = {"policy": 0.0, "frozen": 0.0}

  def terms(self, weights, batch, draws):
    who = weights.params["main"]
    which = batch["video"][:, 0]
    both = [table[who, i] + more[who] for i in (0, 1)]
    return {"flow": jnp.where(which == 0, *both)}

  monkeypatch.setattr(step_video.StepVideo, "terms", terms)
  weights = methods.Weights({"main": "policy"}, consts={"reference": "frozen"})
  monkeypatch.setattr(jax.lax, "stop_gradient", lambda x: x)
  z = lambda *order: float(
    TINY.terms(weights, {"video": jnp.asarray([order])}, {})["z"][0]
  )
  np.testing.assert_allclose(z(0, 1), 0.2, rtol=1e-5)
  np.testing.assert_allclose(z(1, 0), -0.2, rtol=1e-5)
  more.update(policy=0.3, frozen=-0.1)
  np.testing.assert_allclose(z(0, 1), 0.2, rtol=1e-5)


def test_pairs_in_the_other_order_prefer_the_other(given):
  weights, batch, draws = given
  turned = batch | {"video": jnp.roll(batch["video"], 3, axis=1)}
  one, other = (TINY.terms(weights, b, draws) for b in (batch, turned))
  np.testing.assert_allclose(one["z"], -other["z"], rtol=1e-3, atol=1e-6)
  assert (np.abs(one["z"]) > 1e-3).all()
  judged = TINY.judged(jnp.asarray([0.01, -0.02]))
  np.testing.assert_array_equal(judged["accuracy"], [1, 0])
  np.testing.assert_allclose(judged["margin"], [2, -4], rtol=1e-6)


def test_its_run_samples_as_step_video_does(given):
  weights, batch, _ = given
  plain, key = step_video.StepVideo.tiny(), jax.random.key(3)
  told = {"label": batch["label"]}
  np.testing.assert_array_equal(
    TINY.sample(weights, told, key), plain.sample(weights, told, key)
  )
  first = batch | {"video": batch["video"][:, :3]}
  np.testing.assert_array_equal(
    TINY.features(weights, batch, key), plain.features(weights, first, key)
  )
  found = TINY.errors(weights, batch, key)
  assert {"accuracy", "margin", "preference", "flow"} < set(found)
  assert all(x.shape == (2,) for x in found.values())


def test_latents_of_a_pair_lie_one_after_the_other():
  coded = field.replace(
    TINY,
    frames=2,
    channels=8,
    first_stage=dict(variant="deep-f4x4", path="run", read="images"),
  )
  assert coded.inputs()["video"].shape == (10, 16, 16, 3)
  stored = field.replace(coded, first_stage=dict(read="moments"))
  assert stored.inputs()["moments"].shape == (4, 4, 4, 16)


@pytest.mark.parametrize(
  "ours, theirs, fits",
  [
    ((8, 2, 6), dict(axes=(8, 2, 6)), True),
    ((), dict(axes=()), True),
    ((8, 4, 4), dict(axes=()), True),  # what () means
    ((), dict(axes=(8, 4, 4)), True),
    ((8, 2, 6), dict(axes=()), False),
    ((8, 2, 6), dict(), False),
    ((), dict(axes=(8, 2, 6)), False),
    ((8, 2, 6), None, True),  # not known
  ],
)
def test_the_reference_has_the_same_rotary_widths(tmp_path, ours, theirs, fits):
  """No shape tells them."""
  size = dict(variant="Ti/2", width=32, depth=2, heads=2)
  told = {} if theirs is None else {"dims": size | theirs}
  (tmp_path / "config.json").write_text(json.dumps({"method": told}))
  m = field.replace(
    TINY, dims=dict(axes=ours), reference=dict(path=str(tmp_path))
  )
  with pytest.raises(errors.UserError) as e:
    frozen.load("reference", m.consts()["reference"])
  refused = e.value.key == "method.dims.axes"
  assert refused != fits
  assert refused or "no checkpoint" in e.value.seen


@pytest.mark.parametrize(
  ("ours", "theirs", "fits"),
  [
    (dict(heads=3), dict(heads=0), True),  # those of Ti
    (dict(heads=0), dict(heads=6), False),
    (dict(heads=6), dict(heads=0), False),
    (dict(heads=6), dict(variant="S/2"), True),  # of what it is not known
  ],
)
def test_the_reference_has_the_same_heads(refused, ours, theirs, fits):
  size = dict(variant="Ti/2", width=0, depth=2, axes=())
  dims = size | ours

  def reference(path):
    m = field.replace(TINY, dims=dims, reference=dict(path=path))
    return m.consts()["reference"]

  found = refused(reference, {"dims": size | theirs})
  assert found == ("" if fits else "method.dims.heads")
