import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import identity
from jmim.core import errors
from jmim.core import method as methods

TREE = {"b": {"kernel": np.arange(6.0).reshape(2, 3)}, "a": np.float32(1)}


def test_a_hash_is_that_of_names_shapes_and_numbers():
  own = identity.digest(TREE)
  assert len(own) == 64 and int(own, 16)
  turned = {"a": jnp.float32(1), "b": {"kernel": TREE["b"]["kernel"]}}
  assert identity.digest(turned) == own  # whatever the order, and the device
  others = [
    TREE | {"a": np.float32(2)},
    TREE | {"a": np.int32(1)},
    {"b": {"kernel": TREE["b"]["kernel"].T}, "a": np.float32(1)},
    {"b": {"kernel": TREE["b"]["kernel"].reshape(3, 2)}, "a": np.float32(1)},
    {"b": {"bias": TREE["b"]["kernel"]}, "a": np.float32(1)},
  ]
  found = {identity.digest(x) for x in others}
  assert len(found) == len(others) and own not in found


def test_a_hash_of_weights_is_of_all_arrays():
  tree = jax.tree.map(np.float32, TREE)
  arrays = [{"main": tree}, {"count": np.ones(2, "f4")}, {"host": tree}]
  known = identity.of_weights(methods.Weights(*arrays))
  on_device = [jax.tree.map(jnp.asarray, tree) for tree in arrays]
  assert identity.of_weights(methods.Weights(*on_device)) == known
  for i in range(3):
    other = [jax.tree.map(lambda x: x + 1, t) for t in arrays]
    changed = [*arrays[:i], other[i], *arrays[i + 1 :]]
    assert identity.of_weights(methods.Weights(*changed)) != known


def test_a_run_remembers_them(tmp_path):
  identity.write(tmp_path, {})
  assert not list(tmp_path.iterdir()) and identity.read(tmp_path) == {}
  identity.write(tmp_path, {"host": TREE, "first_stage": {"x": np.ones(2)}})
  known = identity.read(tmp_path)
  assert known["host"] == identity.digest(TREE) and len(known) == 2


def test_another_network_is_an_error_that_says_so():
  known = {"host": identity.digest(TREE), "teacher": "0" * 64}
  keys = {"host": "method.host.path", "teacher": "method.teacher.path"}
  wanted = {n: methods.Const("W", dict, key=key) for n, key in keys.items()}
  identity.check({"host": TREE, "new": TREE}, known, "runs/x", wanted)
  other = TREE | {"a": np.float32(2)}
  with pytest.raises(errors.UserError, match="another host") as e:
    identity.check({"host": other}, known, "runs/x", wanted)
  assert e.value.key == "method.host.path" and "runs/x" in e.value.seen
  assert known["host"] in e.value.expected
  assert identity.digest(other) in e.value.seen and "mount" in e.value.fix
  with pytest.raises(errors.UserError, match="another teacher") as e:
    identity.check({"teacher": TREE}, known, "runs/x", wanted)
  assert "mount" not in e.value.fix and e.value.key == keys["teacher"]
