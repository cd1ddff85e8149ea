import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import frozen
from jmim.core import errors
from jmim.core import field
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import host
from jmim.methods.parts import matcher as matchers
from jmim.methods.parts import pyramid
from jmim.nn import matching

RNG = np.random.default_rng(0)
SMALL = dict(
  size=4,
  levels=((8, 1), (8, 2)),
  radius=1,
  dims=dict(
    width=8, multipliers=(1, 2), blocks=1, attend_at=(2,), norm_groups=4
  ),
)
M = field.replace(matchers.Matcher(), **SMALL)
NOISE = gaussian.Gaussian(schedule="cosine", times=5)
SAMPLING = guided.Guided(steps=5, clip=0.0)
FEATURES = field.replace(pyramid.Pyramid(), net=dict(variant="small", width=4))


def normal(*shape):
  return jnp.asarray(RNG.normal(size=shape), jnp.float32)


TOLD = normal(2, 4, 4, 11)
PARAMS = host.shaken(M.init)(jax.random.key(0))


def test_the_process_is_the_published_one():
  power = NOISE.process.power
  np.testing.assert_allclose(
    power, [0.8987, 0.6475, 0.3408, 0.0940, 0.000094], rtol=1e-3
  )


def test_times_are_told_in_thousandths():
  """A process of other steps is told the same of the same share."""
  x = normal(2, 4, 4, 2)
  more = dataclasses.replace(NOISE, times=10)
  t = jnp.array([3, 1])
  one = M.network(PARAMS, x, t, TOLD, noise=NOISE)
  two = M.network(PARAMS, x, 2 * t, TOLD, noise=more)
  np.testing.assert_allclose(one, two, atol=1e-6)
  assert np.abs(one - M.network(PARAMS, x, t, TOLD, noise=more)).max() > 1e-3


def test_a_walk_is_ddim_with_predictions_of_x0():
  starts = normal(3, 2, 4, 4, 2)
  found = M.walk(PARAMS, TOLD, starts, noise=NOISE, sampling=SAMPLING)
  a, s = (
    np.append(x, e)
    for x, e in ((NOISE.process.signal, 1.0), (NOISE.process.noise, 0.0))
  )
  for start, end in zip(starts, found, strict=True):
    x = np.asarray(start, np.float64)
    for t in range(4, -1, -1):
      x0 = M.network(
        PARAMS, jnp.asarray(x, jnp.float32), jnp.full(2, t), TOLD, noise=NOISE
      )
      x0 = np.asarray(x0, np.float64)
      eps = (x - a[t] * x0) / s[t]
      x = a[t - 1] * x0 + s[t - 1] * eps
    np.testing.assert_allclose(end, x, atol=1e-3)


def test_features_of_the_target_may_be_shown():
  shown = dataclasses.replace(M, target=(8, 1))
  images = jnp.clip(normal(2, 2, 8, 8, 3), -1, 1)
  params = FEATURES.net.init(jax.random.key(0), 8)
  source, target, last = shown.read(FEATURES, params, images)
  assert len(source) == len(target) == 2 and last.shape == (2, 4, 4, 4)
  np.testing.assert_array_equal(last, target[0])
  told = shown.told(normal(2, 4, 4, 2), normal(2, 4, 4, 9), last)
  lengths = np.linalg.norm(told[..., 11:], axis=-1)
  wanted = np.linalg.norm(matching.unit(last), axis=-1)
  np.testing.assert_allclose(lengths, wanted, atol=1e-5)
  assert (lengths < 1.0001).all() and lengths.max() > 0.99
  kernel = shown.init(jax.random.key(0), 4)["conv_in"]["kernel"]
  assert kernel.shape[2] == 4 + 9 + 4


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(size=5), "size"),
    (dict(dims=dict(dropout=0.1)), "m.dims.dropout"),
    (dict(levels=((8, 4),)), "m.levels"),
    (dict(target=(8, 4)), "m.target"),
  ],
)
def test_fields_that_do_not_go_together(fields, said):
  with pytest.raises(ValueError, match=said):
    field.replace(M, **fields).check(FEATURES, "m")


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(eta=0.5), "sampling.eta"),
    (dict(sampler="ddpm"), "sampling.sampler"),
    (dict(guidance=2.0), "sampling.guidance"),
    (dict(steps=6), "6 sampling steps of 5"),
  ],
)
def test_samplers_that_flows_are_not_made_with(fields, said):
  with pytest.raises(ValueError, match=said):
    matchers.check(NOISE, dataclasses.replace(SAMPLING, **fields))


OURS = field.replace(FEATURES, host=dict(path="F"))
DIMS = dict(heads=2, up_heads=0, norm_groups=4, attend_at=[2], norm_eps=1e-5)


def loaded(folder, told, features=OURS, **dims):
  """What is said of a coarse run that was trained so."""
  theirs = field.replace(M, dims=dict(heads=2, **dims))
  (folder / "config.json").write_text(json.dumps({"method": told}))
  there = host.Host(path=str(folder))
  parts = (theirs, NOISE, features, there)
  const = matchers.const(*parts, size=8, key="method.coarse")
  with pytest.raises(errors.UserError) as e:
    frozen.load("coarse", const)
  return e.value


@pytest.mark.parametrize(
  "told, key",
  [
    (dict(size=16), "method.size"),
    (dict(matcher=dict(radius=2)), "method.coarse.radius"),
    *(
      (dict(matcher=dict(dims={name: value})), f"method.coarse.dims.{name}")
      for name, value in dict(
        heads=0,  # which is told: by `head_width`
        level_heads=[2, 2],
        up_heads=1,
        head_width=16,
        norm_eps=1e-6,
        time_order="sin_cos",
        time_inclusive=True,
        late_pad=True,
      ).items()
    ),
    (dict(features=dict(host=dict(path="G"))), "method.features.host.path"),
    (dict(features=dict(mean=(0.4,) * 3)), "method.features.mean"),
    (dict(noise=dict(times=6)), "method.noise.times"),
  ],
)
def test_a_coarse_run_of_another_kind_is_refused(tmp_path, told, key):
  assert loaded(tmp_path, told).key == key


def test_a_coarse_run_of_the_same_kind_is_not(tmp_path):
  """What is lacking here is its checkpoint."""
  same = dict(
    size=8,
    matcher=dict(size=4, radius=1, dims=DIMS),
    features=dict(host=dict(path="F", weights="raw"), mean=(0.5,) * 3),
  )
  assert "checkpoint" in loaded(tmp_path, same).expected


def test_heads_of_levels_and_features_by_their_hash(tmp_path):
  told = dict(matcher=dict(dims=dict(level_heads=[1, 2])))
  e = loaded(tmp_path, told, level_heads=(2, 2))
  assert e.key == "method.coarse.dims.level_heads"
  hashed = field.replace(OURS, host=dict(sha256="a"))
  elsewhere = dict(host=dict(path="G", sha256="a"))
  e = loaded(tmp_path, dict(features=elsewhere), hashed)
  assert "checkpoint" in e.expected
  e = loaded(tmp_path, dict(features=dict(host=dict(sha256="b"))), hashed)
  assert e.key == "method.features.host.sha256"
