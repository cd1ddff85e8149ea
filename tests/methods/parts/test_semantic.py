import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method as methods
from jmim.data import entries
from jmim.methods.parts import semantic

STORED = field.replace(
  semantic.Semantic(), vocabulary=5, vectors=dict(size=8, patch=4)
)
SEEN = field.replace(STORED, read="images", codebook="table.npz", sha256="x")
IMAGE = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("f4")


def test_stored_codes_are_read_as_they_are():
  assert STORED.shape == (5, 4) and STORED.consts() == {}
  spec = STORED.inputs()["semantic_codes"]
  assert (spec.shape, spec.dtype, spec.high) == ((4,), jnp.int32, 5)
  # Not the map "semantic", which is cut and mirrored with its image.
  assert entries.of(semantic.NAME).kind == entries.NUMBERS
  codes = np.array([[0, 4, 2, 1]])
  found = STORED.ids(methods.Weights({}), {"semantic_codes": codes})
  np.testing.assert_array_equal(found, codes)


def test_codes_of_images_are_the_nearest_rows():
  assert set(SEEN.inputs()) == {"image"}
  const = SEEN.consts()["codebook"]
  assert (const.path, const.sha256) == ("table.npz", "x")
  assert const.key == "method.semantic.codebook"
  table = np.random.default_rng(1).normal(size=(5, 48)).astype("f4")
  weights = methods.Weights({}, {}, {"codebook": {"codes": table}})
  x = IMAGE.reshape(2, 2, 4, 2, 4, 3).swapaxes(2, 3).reshape(2, 4, 48)
  nearest = ((x[:, :, None] - table) ** 2).sum(-1).argmin(-1)
  found = SEEN.ids(weights, {"image": IMAGE})
  np.testing.assert_array_equal(found, nearest)
  # Those that are given come first: what a stage before has said.
  given = {"image": IMAGE, "semantic_codes": nearest * 0}
  assert not SEEN.ids(weights, given).any()
