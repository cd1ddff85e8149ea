import numpy as np
import pytest
import tinyrun

from jmim.checkpoints import npz
from jmim.core import config as configs
from jmim.core import errors
from jmim.data import sources
from jmim.metrics import kmeans
from jmim.session import assemble
from jmim.tools import cache_latents
from jmim.tools import latent_encoder
from jmim.tools import make_codebook


def config(data_dir, **method):
  """A recipe on 8-pixel grey digits."""
  made = tinyrun.recipe(str(data_dir))
  made.data.update(train_split="train[:50]", eval_split="test[:20]")
  made.evals = configs.section()
  method = {"type": "mim.codebook", "patch": 2, "codes": 5} | method
  made.method = configs.section(size=8, channels=1, **method)
  return made


@pytest.fixture(scope="module")
def parts(digits_home):
  return assemble.make(config(digits_home))


def test_vectors_are_patches_of_training_images(parts):
  found = make_codebook.vectors(parts, 1.0, 10**6, 0)
  assert found.shape == (50 * 16, 4) and found.dtype == np.float32
  few = make_codebook.vectors(parts, 1.0, 120, 0)
  assert few.shape == (120, 4)
  rows = {row.tobytes() for row in found}
  assert all(row.tobytes() in rows for row in few)
  assert len(make_codebook.vectors(parts, 0.1, 10**6, 0)) == 5 * 16


@pytest.fixture(scope="module")
def written(parts, tmp_path_factory):
  """A table, as the command line writes it."""
  root = tmp_path_factory.mktemp("codes")
  recipe = root / "recipe.py"
  text = parts.config.to_json()
  recipe.write_text(
    "import json, ml_collections\n"
    f"def get_config(arg=None):\n"
    f"  return ml_collections.ConfigDict(json.loads({text!r}))\n"
  )
  argv = [f"--config={recipe}", f"--out={root}/codes.npz", "--codes=5"]
  assert make_codebook.main([*argv, "--iterations=3"]) == 0
  return root / "codes.npz"


def test_the_table_is_that_of_k_means(parts, written):
  x = make_codebook.vectors(parts, 1.0, 5 * 256, 0)
  codes = npz.read(written, "out")["codes"]
  np.testing.assert_allclose(codes, kmeans.lloyd(x, 5, 3).codes, atol=1e-5)


def test_several_kinds_of_codes_are_stored_of_one_view(
  parts, written, tmp_path
):
  """Without a run: nothing that makes them is trained."""
  grey = dict(mean=(0.5,), std=(0.5,))
  made = configs.override(parts.config, [])
  made.data.flip = True
  made.method = configs.section(
    type="discrete.digit_pixels",
    semantic=dict(read="images", vocabulary=5, codebook=str(written)),
    pixels=dict(kind="patches", vocabulary=5, side=4, patch=2, channels=1),
    lm=dict(dims=dict(width=8, depth=1, heads=2)),
  )
  made.method.semantic.vectors = dict(size=8, patch=2, channels=1, **grey)
  made.method.pixels.update(read="images", path=str(written))
  encoder = latent_encoder.Encoder(assemble.make(made), "codes")
  assert encoder.shapes == {"semantic_codes": (16,), "tokens": (16,)}
  _, seen = cache_latents.build("both", tmp_path, encoder, 2)
  stored = sources.build("both", "train", str(tmp_path))
  assert len(stored) == 100 and set(seen) == {"semantic_codes", "tokens"}
  assert {"semantic_codes", "tokens", "label", "index"} <= set(stored[0])
  assert seen["tokens"].counts.sum() == 2 * 50 * 16
  rows = next(encoder.rows("train", 2))
  # Both are of the same patches and table here: equal only in the same view.
  np.testing.assert_array_equal(rows["semantic_codes"], rows["tokens"])
  assert str(seen).count("of 5 used") == 2


def test_mistakes(parts, digits_home):
  other = assemble.make(tinyrun.toy(digits_home))
  with pytest.raises(errors.UserError, match="offers features"):
    make_codebook.vectors(other, 1.0, 9, 0)
  with pytest.raises(errors.UserError, match="no --workdir, and mim.codebook"):
    latent_encoder.Encoder(parts, "codes")


def test_a_table_of_others_is_read(tmp_path):
  table = np.random.default_rng(0).normal(size=(3, 4))
  np.save(tmp_path / "km.npy", table)
  argv = [f"--npy={tmp_path}/km.npy", f"--out={tmp_path}/codes.npz"]
  assert make_codebook.main(argv) == 0
  codes = npz.read(tmp_path / "codes.npz", "out")["codes"]
  np.testing.assert_array_equal(codes, table.astype(np.float32))
  np.save(tmp_path / "km.npy", table[0])
  with pytest.raises(errors.UserError, match=r"float64 \[4\]"):
    make_codebook.read(tmp_path / "km.npy")
  with pytest.raises(errors.UserError, match="no file"):
    make_codebook.read(tmp_path / "none.npy")
