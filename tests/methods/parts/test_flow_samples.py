import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jmim.methods.parts import flow_samples
from jmim.nn import matching
from jmim.nn.degrade import corruptions

RNG = np.random.default_rng(0)
PART = flow_samples.FlowSamples(count=3)
IMAGES = jnp.asarray(RNG.uniform(-1, 1, (3, 2, 16, 16, 3)), jnp.float32)


def test_starts_depend_on_example_and_hypothesis_alone():
  make = lambda index, n: dataclasses.replace(PART, count=n).starts(
    jax.random.key(0), {"index": jnp.array(index)}, (3, 2)
  )
  many, few = make([4, 9], 3), make([9], 2)
  np.testing.assert_array_equal(many[:2, 1], few[:, 0])
  flat = np.asarray(many).reshape(6, -1)
  assert len(np.unique(flat[:, 0])) == 6


def test_the_mean_is_clipped_once_at_the_end():
  flows = jnp.array([[3.0, 2.5], [-2.0, 1.5]]).reshape(2, 2, 1, 1, 1)
  found = flow_samples.mean(flows)[:, 0, 0, 0]
  np.testing.assert_allclose(found, [0.5, 1.0])


def test_a_corruption_is_a_function_of_the_pixels():
  some = PART.corrupted(IMAGES, "gaussian_noise")
  turned = PART.corrupted(IMAGES[::-1], "gaussian_noise")
  np.testing.assert_allclose(turned[::-1], some, atol=1e-6)
  swapped = PART.corrupted(IMAGES[:, ::-1], "gaussian_noise")
  np.testing.assert_allclose(swapped[:, ::-1], some, atol=1e-6)
  assert np.abs(some).max() <= 1
  change = lambda x: np.abs(x - IMAGES).mean()
  mild = dataclasses.replace(PART, severity=1)
  assert 0.05 < change(mild.corrupted(IMAGES, "gaussian_noise")) < change(some)
  np.testing.assert_array_equal(PART.corrupted(IMAGES, ""), IMAGES)


def test_outputs_are_one_of_each_kind():
  found = PART.outputs(lambda **asked: asked)
  assert found.pop("flow") == {} and found.pop("flow_blind") == {"blind": True}
  assert found == {f"flow_{n}": {"corruption": n} for n in corruptions.NAMES}


def test_flows_are_described_in_pixels():
  made = jnp.asarray(RNG.normal(size=(3, 2, 4, 4, 2)), jnp.float32) / 5
  truth = jnp.zeros((2, 8, 12, 2))
  batch = {"flow": truth, "flow_known": jnp.ones((2, 8, 12))}
  out = flow_samples.described(made, made[0], batch=batch, images=IMAGES[:2])
  for k in range(3):
    wanted = matching.in_pixels(made[k], (8, 12))
    np.testing.assert_allclose(out["hypotheses"][:, k], wanted, atol=1e-5)
  np.testing.assert_allclose(out["initial"], out["hypotheses"][:, 0])
  # Corners lie on corners; x is a share of the width, y of the height.
  corner = np.asarray(made.mean(0))[:, 3, 3] * [12, 8]
  np.testing.assert_allclose(out["flow"][:, 7, 11], corner, atol=1e-5)
