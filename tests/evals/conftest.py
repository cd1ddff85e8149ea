import jax
import numpy as np
import pytest

from jmim.data import decode
from jmim.data import sources


@pytest.fixture
def pixels(request, digits_home):
  """(name, split, n) -> rows [n, d] in 0 .. 1, labels [n]; n None: all."""

  def read(name, split, n):
    digits = name.startswith("digits")
    where = digits_home if digits else request.getfixturevalue("tfds_dir")
    source = sources.build(name, split, where)
    examples = [source[i] for i in range(n or len(source))]
    images = [decode.decode(x["image"], 1 if digits else 3) for x in examples]
    rows = np.stack([x.ravel() for x in images]) / np.float32(255)
    return rows, np.array([x["label"] for x in examples])

  return read


@pytest.fixture
def mesh():
  """All simulated devices in a row."""
  return jax.sharding.Mesh(np.asarray(jax.devices()), ("data",))
