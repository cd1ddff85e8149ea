import evalkit
import numpy as np
import pytest
import toydiffusion

from jmim.core import errors
from jmim.core import field
from jmim.data import tokenizers
from jmim.evals.lib import towers
from jmim.methods.supervised import convnet
from jmim.methods.text import clip

WORDS = tokenizers.open("words:scenes")
CLIP = field.replace(clip.CLIP.tiny(), text=dict(vocabulary=WORDS.size))
WEIGHTS = toydiffusion.fresh(CLIP)
UNITS = dict(size=8, mean=(0.5,) * 3, std=(0.25,) * 3)
TOLD = dict(tokenizer="words:scenes", text_length=6, **UNITS)
PICTURES = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)


def run(folder, **data):
  """A run of CLIP."""
  return evalkit.workdir(
    folder,
    "text.clip",
    WEIGHTS.params,
    method=field.settings(CLIP),
    **(data or TOLD),
  )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  return towers.of_run(str(run(tmp_path_factory.mktemp("clip"))), "raw", "k")


def test_pictures_are_normalised_and_texts_numbered_as_in_the_run(made):
  x = (PICTURES / 255.0 - 0.5) / 0.25
  wanted = CLIP.features(WEIGHTS, {"image": x.astype(np.float32)})
  np.testing.assert_allclose(made.pictures(PICTURES), wanted, atol=1e-5)
  said = ["a red circle", "a blue striped square at the top left"]
  row = lambda text: [1, *WORDS.numbers(text)[:4], 2]
  tokens = [(row(text) + [0] * 6)[:6] for text in said]
  wanted = CLIP.words(WEIGHTS, {"tokens": np.array(tokens, np.int32)})
  np.testing.assert_allclose(made.texts(said), wanted, atol=1e-5)
  assert made.protocol["judge"].startswith("text.clip sha256:")


def test_pictures_of_any_size_are_seen(made):
  flat = np.full((1, 8, 8, 3), 90, np.uint8)
  large = np.full((1, 20, 12, 3), 90, np.uint8)
  seen = made.pictures(flat), made.pictures(large)
  np.testing.assert_allclose(*seen, atol=1e-5)
  with pytest.raises(errors.UserError, match="1 channel"):
    made.pictures(PICTURES[..., :1])


def test_runs_that_see_no_texts_are_named(tmp_path):
  stored = run(tmp_path / "stored", **UNITS)
  with pytest.raises(errors.UserError, match="stored as tokens") as e:
    towers.of_run(str(stored), "raw", "evals.c.workdir")
  assert e.value.key == "evals.c.workdir"
  small = convnet.ConvNet.tiny()
  other = evalkit.workdir(
    tmp_path / "other",
    "supervised.convnet",
    toydiffusion.fresh(small).params,
    method=field.settings(small),
  )
  with pytest.raises(errors.UserError, match="offers no text"):
    towers.of_run(str(other), "raw", "evals.c.workdir")
