import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import folder as saved
from jmim.checkpoints import migrate
from jmim.checkpoints import store as checkpoint
from jmim.checkpoints import weights

OLD = pathlib.Path(__file__).parents[1] / "core" / "checkpoints"


def test_there_is_a_way_from_every_schema_to_this_one():
  assert set(migrate.STEPS) == set(range(1, migrate.SCHEMA))


def test_steps_build_on_each_other():
  steps = {
    1: lambda m: m | {"a": m["a"] + "1"},
    2: lambda m: m | {"a": m["a"] + "2"},
  }
  found = migrate.up({"schema": 1, "a": ""}, steps, 3)
  assert found == {"schema": 3, "a": "12"}


def wanted():
  """The state that the old checkpoint was made of."""
  one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  shape = lambda *s, d=jnp.float32: jax.ShapeDtypeStruct(s, d, sharding=one)
  return {
    "params": {"main": {"kernel": shape(4, 3), "bias": shape(3)}},
    "opt": ({"mu": shape(4, 3)}, {}),
    "step": shape(d=jnp.int32),
  }


@pytest.mark.parametrize("schema", range(1, migrate.SCHEMA))
def test_a_checkpoint_of_an_older_version_is_restored(schema):
  store = checkpoint.Checkpoints(OLD / f"schema_{schema}", write=False)
  try:
    found = store.restore(store.latest(), wanted())
    meta = store.meta(store.latest())
  finally:
    store.close()
  assert meta["schema"] == migrate.SCHEMA and meta["config"] == {"seed": 3}
  main = found["params"]["main"]
  kernel = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
  np.testing.assert_array_equal(main["kernel"], kernel)
  np.testing.assert_array_equal(main["bias"], np.float32([-0.5, 0, 2**-20]))
  np.testing.assert_array_equal(found["opt"][0]["mu"], -kernel)
  assert int(found["step"]) == 12


def test_an_array_may_have_got_a_new_name(monkeypatch):
  """The hook: today's names in `arrays`, the old ones in `saved_as`."""
  name, old = "params/main/weight", "params/main/kernel"

  def rename(meta):
    arrays = dict(meta["arrays"])
    arrays[name] = arrays.pop(old)
    return migrate._to_2(meta | {"arrays": arrays, "saved_as": {name: old}})

  monkeypatch.setitem(migrate.STEPS, 1, rename)
  like = wanted()
  main = like["params"]["main"]
  main["weight"] = main.pop("kernel")
  store = checkpoint.Checkpoints(OLD / "schema_1", write=False)
  try:
    found = store.restore(12, like)
    read = weights.section(store, 12, "params")
  finally:
    store.close()
  assert float(found["params"]["main"]["weight"][3, 2]) == np.float32(11 / 7)
  assert float(read["main/weight"][3, 2]) == np.float32(11 / 7)


def test_a_schema_of_the_future_is_no_damage():
  assert saved.digest({"b": 1, "a": [2]}) == saved.digest({"a": [2], "b": 1})
