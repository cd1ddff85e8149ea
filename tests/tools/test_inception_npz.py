import hashlib

import numpy as np
import pytest

from jmim.core import errors
from jmim.nn.frozen import inception
from jmim.tools import inception_npz


@pytest.fixture(scope="module")
def state():
  """Arrays of the graph, views of a zero, and a counter."""
  zero = np.zeros((), np.float64)
  arrays = {n: np.broadcast_to(zero, s) for n, s in inception.shapes().items()}
  return arrays | {"Mixed_5b.branch1x1.bn.num_batches_tracked": np.array(7)}


def test_the_arrays_of_the_graph_are_kept_in_float32(state):
  arrays = inception_npz.pick(state)
  assert set(arrays) == set(inception.shapes())
  assert {x.dtype for x in arrays.values()} == {np.dtype(np.float32)}


def test_the_weights_of_torchvision_are_refused(state):
  name = "Mixed_6b.branch7x7_2.conv.weight"
  with pytest.raises(errors.UserError, match=name):
    inception_npz.pick({n: x for n, x in state.items() if n != name})
  with pytest.raises(errors.UserError, match="fc.weight"):
    inception_npz.pick(state | {"fc.weight": np.zeros((1000, 2048))})


def test_the_hash_is_that_of_the_published_file(tmp_path, monkeypatch):
  path = tmp_path / "weights.pth"
  path.write_bytes(b"weights")
  with pytest.raises(errors.UserError, match="6726825d"):
    inception_npz.check(path, accept=False)
  inception_npz.check(path, accept=True)
  digest = hashlib.sha256(b"weights").hexdigest()
  monkeypatch.setattr(inception_npz, "PUBLISHED", digest[:8])
  inception_npz.check(path, accept=False)
  with pytest.raises(errors.UserError, match="no file"):
    inception_npz.check(tmp_path / "none", accept=True)
