import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import frozen
from jmim.checkpoints import store
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import state as states
from jmim.methods.parts import perceptual
from jmim.methods.parts import pixel_critic
from jmim.nn.frozen import lpips


@pytest.mark.parametrize("network", ["vgg", "small"])
def test_it_is_the_distance_of_its_network(network):
  part = perceptual.Perceptual(network=network, width=4, path="p", sha256="a")
  const = part.consts("method.perceptual.path")["perceptual"]
  assert (const.path, const.sha256) == ("p", "a")
  assert const.key == "method.perceptual.path"
  shapes = jax.eval_shape(const.init, jax.random.key(0))
  assert ("lin0.model.1.weight" in shapes) == (network == "vgg")
  if network == "vgg":
    return
  consts = {"perceptual": const.init(jax.random.key(0))}
  a, b = np.random.default_rng(0).random((2, 3, 16, 12, 3), np.float32)
  found = part.distance(consts, a, b)
  want = lpips.distance(lpips.small(4), consts["perceptual"], a, b)
  np.testing.assert_array_equal(found, want)
  assert (np.asarray(found) > 0).all()
  # Pixels of an image first, in 0 .. 1; what comes after them is not read.
  rays = [
    np.concatenate([(x + 1) / 2, 0 * x], axis=1)
    for x in (a.reshape(3, -1, 3), b.reshape(3, -1, 3))
  ]
  mean = part.of_views(consts, *rays, sides=(16, 12))
  np.testing.assert_allclose(mean, want.mean(), rtol=1e-5)


def test_without_a_network_there_is_nothing_to_load():
  assert perceptual.Perceptual().consts("k") == {}


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
  """Workdir of a small network; the test writes its config.json."""
  workdir, none = tmp_path_factory.mktemp("run"), jnp.int32(0)
  checkpoints = store.Checkpoints(workdir)
  layers = lpips.small(pixel_critic.SMALL)
  net = lpips.random(jax.random.key(0), layers, lin=False)
  counts = dict(counted=none, skipped=none, skipped_total=none)
  state = states.State(
    step=jnp.int32(1),
    params={"main": {"net": net}},
    **counts,
    **dict.fromkeys(("opt", "ema", "extra", "window"), {}),
  )
  checkpoints.save(1, state, {})
  checkpoints.close()
  return workdir


@pytest.mark.parametrize("recipe", ["nvist_views", "diffir_cifar10"])
def test_a_run_must_have_seen_images_in_the_range_that_it_is_shown(run, recipe):
  """Whatever the units of ours, here 0 .. 1, it is shown -1 .. 1."""
  told = json.loads(configs.load("convnet_digits").to_json())["data"]
  own = configs.load(recipe).data.to_dict()
  assert own["mean"] == (0.0, 0.0, 0.0)
  some = dict(path=str(run))
  const = {
    "nvist_views": perceptual.Perceptual(
      network="small", width=pixel_critic.SMALL, **some
    ).consts("method.perceptual.path"),
    "diffir_cifar10": pixel_critic.PixelCritic(
      perceptual=1.0, features="small", **some
    ).consts(),
  }[recipe]["perceptual"]

  def load(data):
    (run / "config.json").write_text(json.dumps({"method": {}, "data": data}))
    return frozen.load("perceptual", const, own)

  assert load(told).keys() == const.init(jax.random.key(0)).keys()
  for name in ("mean", "std"):
    with pytest.raises(errors.UserError, match=f"data.{name}="):
      load(told | {name: own[name]})
