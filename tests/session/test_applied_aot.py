import appliedkit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.session import aot
from jmim.session import applied
from jmim.session import applied_aot
from jmim.session import given


@pytest.fixture
def shapes(monkeypatch):
  """Models by their shapes, without a recipe."""

  def find(needs, key, *, rt):
    found = appliedkit.find(needs, key, rt=rt)
    weights = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype), found.weights
    )
    return given.dataclasses.replace(found, weights=weights, sha256="")

  monkeypatch.setattr(given, "shapes", find)
  return find


def test_a_batch_is_compiled_without_data_or_weights(shapes):
  config = appliedkit.recipe("nowhere", steps=2, strength=1.0)
  one = applied_aot.measure(config, jax.devices()[:2])
  assert one["batch"] == 16 and one["devices"] == 2
  assert one["memory"]["arguments"] > 0
  more = appliedkit.recipe("nowhere", steps=6, strength=1.0)
  three = applied_aot.measure(more, jax.devices()[:2])
  per_image = (m["flops"]["model_per_image"] for m in (one, three))
  few, many = per_image
  assert many == 3 * few  # nothing but calls of the network


def test_a_batch_travels_as_it_is_read(shapes):
  config = appliedkit.recipe("nowhere", steps=4)
  parts = applied.make(config, shapes, data=False)
  made = applied_aot.shapes(parts, None)
  assert made["image"].shape == (16, 8, 8, 1)
  assert made["image"].dtype == jnp.uint8
  assert made["index"].shape == made["label"].shape == (16,)


def test_a_fit_says_its_shapes_or_that_it_does_not(shapes, monkeypatch):
  config = appliedkit.numbers()
  with pytest.raises(TypeError, match="fitted_like"):
    applied_aot.measure(config, jax.devices()[:1])
  like = lambda self, rows: {"count": jax.ShapeDtypeStruct((), jnp.float32)}
  monkeypatch.setattr(appliedkit.Noise, "fitted_like", like)
  assert applied_aot.measure(config, jax.devices()[:1])["batch"] == 8


def test_what_does_not_fit_says_by_how_much():
  text = "Ran out of memory. Used 20.00G of 15.75G hbm."
  error = applied_aot._too_big(text, 2**30)
  assert isinstance(error, aot.TooBig) and "data.batch" in error.fix
  other = applied_aot._too_big("INTERNAL: Mosaic", 0)
  assert isinstance(other, errors.UserError) and "Mosaic" in other.seen
  # Here the compiler speaks of temporaries; the models come on top.
  text = "temporaries (15.50G) exceeds available HBM (15.00G)"
  alone = applied_aot._too_big(text, 2 * 2**30)
  assert (alone.used, alone.limit) == (17.5 * 2**30, 15 * 2**30)


def test_a_chip_holds_its_shard_of_the_models():
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",))
  where = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
  whole = jax.ShapeDtypeStruct((8, 3), jnp.float32, sharding=where)
  assert applied_aot._held([whole]) == 4 * 3 * 4
