import evalkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import method as methods
from jmim.evals.lib import extract


@pytest.fixture
def run(tmp_path):
  """(workdir, method, weights) of a run on images of 4 x 4."""
  method = evalkit.Everything()
  weights = methods.Weights(*method.init(jax.random.key(0), None))
  data = {"size": 4, "mean": (0.4,) * 3, "std": (0.3,) * 3}
  evalkit.workdir(tmp_path / "run", "evalkit", weights.params, **data)
  return str(tmp_path / "run"), method, weights


def test_the_encoder_of_a_run_sees_normalised_images_of_its_size(run):
  workdir, method, weights = run
  network = extract.from_run(workdir)
  images = evalkit.images(evalkit.source(5, 0))
  got = network.run(jnp.asarray(images))["features"]
  x = (images / np.float32(255) - 0.4) / 0.3
  want = method.tokens(weights, {"image": jnp.asarray(x)}).mean((1, 2))
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
  plain = np.full((1, 9, 7, 3), 77, np.uint8)
  np.testing.assert_allclose(
    network.run(jnp.asarray(plain))["features"],
    network.run(jnp.asarray(plain[:, :4, :4]))["features"],
    atol=1e-5,
  )
  with pytest.raises(errors.UserError, match="1 channel"):
    network.run(jnp.asarray(images[..., :1]))


def test_the_name_tells_weights_apart(run, tmp_path):
  workdir, _, weights = run
  name = extract.from_run(workdir).name
  assert name.startswith("evalkit encoder sha256:") and "bilinear to 4" in name
  other = jax.tree.map(lambda x: x + 1, weights.params)
  evalkit.workdir(tmp_path / "other", "evalkit", other, size=4)
  assert extract.from_run(str(tmp_path / "other")).name != name
  evalkit.workdir(tmp_path / "same", "evalkit", weights.params, size=4)
  assert extract.from_run(str(tmp_path / "same")).name == name


def test_a_run_from_before_rectangles_is_an_encoder(run):
  workdir, *_ = run
  images = jnp.asarray(evalkit.images(evalkit.source(5, 0)))
  want = extract.from_run(workdir).run(images)["features"]
  older = extract.from_run(evalkit.without(workdir, "height"))
  np.testing.assert_array_equal(older.run(images)["features"], want)


def test_a_run_that_is_no_encoder_is_refused(tmp_path):
  params = {"main": {"logits": np.zeros(6, np.float32)}}
  evalkit.workdir(tmp_path / "tokens", "tokenkit", params)
  with pytest.raises(errors.UserError, match="offers no features"):
    extract.from_run(str(tmp_path / "tokens"))
  with pytest.raises(errors.UserError, match="nowhere"):
    extract.from_run(str(tmp_path / "nowhere"))


def test_exactly_one_network_is_named():
  for given in (("", "", ""), ("x.npz", "", "run")):
    with pytest.raises(errors.UserError, match="exactly one network"):
      extract.make(*given, "flags")


def test_weights_are_checked_by_hash_and_structure(tmp_path):
  path = tmp_path / "weights.npz"
  np.savez(path, **{"fc.bias": np.zeros(3)})
  with pytest.raises(errors.UserError, match="sha256"):
    extract.from_inception(str(path), "0" * 64)
  with pytest.raises(errors.UserError, match="Conv2d_1a_3x3"):
    extract.from_inception(str(path))
