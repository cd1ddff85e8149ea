"""Checksums: the same everywhere, and blind to nothing small."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import checksum

P = jax.sharding.PartitionSpec
RNG = np.random.default_rng(0)
ARRAYS = {
  "f32": RNG.normal(size=(8, 16)).astype(np.float32),
  "bf16": jnp.asarray(RNG.normal(size=(8, 3)), jnp.bfloat16),
  "i32": np.arange(-4, 4, dtype=np.int32),
  "u8": np.arange(16, dtype=np.uint8).reshape(8, 2),
  "bool": np.array([True, False] * 4),
  "scalar": np.float32(3),
  "empty": np.zeros((0, 3), np.float32),
}


@pytest.mark.parametrize("devices", [1, 2, 8])
def test_it_is_the_same_on_any_mesh_and_on_the_host(devices):
  mesh = jax.make_mesh((devices,), ("x",), devices=jax.devices()[:devices])
  put = {
    n: jax.device_put(
      x, jax.sharding.NamedSharding(mesh, P("x") if np.size(x) > 1 else P())
    )
    for n, x in ARRAYS.items()
  }
  expected = {n: checksum.of_host(np.asarray(x)) for n, x in ARRAYS.items()}
  assert checksum.of(put) == expected


def test_many_arrays_over_eight_devices_end():
  """Their sums were dispatched at once, and waited for each other for ever."""
  over = jax.sharding.NamedSharding(jax.make_mesh((8,), ("x",)), P("x"))
  made = {f"{i}": np.full((8, 1 + i % 50), i, np.int32) for i in range(300)}
  found = checksum.of({n: jax.device_put(x, over) for n, x in made.items()})
  assert found == {n: checksum.of_host(x) for n, x in made.items()}


def test_the_formula():
  x = np.array([5, 7], np.uint32)
  factor = 2 * 0x9E3779B1 + 1
  assert checksum.of_host(x) == (5 + 7 * factor) % 2**32


@hypothesis.given(st.integers(0, 127), st.integers(1, 2**32 - 1))
def test_any_change_of_one_element_is_seen(place, change):
  x = ARRAYS["f32"].copy().reshape(-1)
  before = checksum.of_host(x)
  x.view(np.uint32)[place] ^= np.uint32(change)
  assert checksum.of_host(x) != before


def test_two_elements_that_change_places_are_seen():
  x = np.arange(64, dtype=np.int32)
  before = checksum.of_host(x)
  for i in range(64):
    for j in range(i):
      y = x.copy()
      y[[i, j]] = y[[j, i]]
      assert checksum.of_host(y) != before
