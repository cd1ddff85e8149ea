import numpy as np
import pytest
import tinyrun

from jmim.core import config as configs
from jmim.core import errors
from jmim.modes import train
from jmim.session import session as sessions
from jmim.tools import latent_encoder


@pytest.fixture
def run(tmp_path, digits_home):
  """A trained first stage whose latents are pixels."""
  config = tinyrun.recipe(digits_home)
  config.data.update(
    train_split="train[:50]", eval_split="test[:20]", flip=True
  )
  config.method = configs.section(type="latentkit", n_codes=4)
  config.evals = configs.section()
  config.train.update(total_steps=1, log_steps=1, checkpoint_steps=1)
  train.run(config, tmp_path / "run")
  with sessions.open(config, tmp_path / "run", write=False) as session:
    yield session


def test_shapes_are_those_of_one_example(run):
  assert latent_encoder.Encoder(run).shape() == (4, 4, 1)
  encoder = latent_encoder.Encoder(run, "codes")
  assert encoder.shape() == (4,) and encoder.feature == "tokens"


def test_every_example_is_encoded_as_often_as_there_are_views(run):
  encoder = latent_encoder.Encoder(run)
  once = list(encoder.rows("eval", 0))
  index = np.concatenate([rows["index"] for rows in once])
  assert sorted(index) == list(range(20))
  assert set(once[0]) == {"moments", "index", "label"}
  twice = np.concatenate([rows["index"] for rows in encoder.rows("train", 2)])
  assert sorted(twice) == sorted([*range(50)] * 2)


def test_only_training_views_are_augmented(run):
  encoder = latent_encoder.Encoder(run)
  images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), np.uint8)
  plain = encoder(images, 0, training=False)
  np.testing.assert_allclose(
    plain, (images[:, ::2, ::2] / np.float32(255) - 0.5) / 0.5, atol=1e-6
  )
  mirrored = (images[:, ::2, ::-1][:, :, ::2] / np.float32(255) - 0.5) / 0.5
  seen = encoder(images, 0, training=True)
  same = np.isclose(seen, plain, atol=1e-6).all((1, 2, 3))
  other = np.isclose(seen, mirrored, atol=1e-6).all((1, 2, 3))
  assert (same ^ other).all() and same.any() and other.any()
  again = encoder(images, 1, training=True)
  assert (again != seen).any()  # the batch has another number


def test_clips_are_encoded_under_their_own_name(run):
  encoder = latent_encoder.Encoder(run)
  clips = np.random.default_rng(0).integers(0, 256, (8, 3, 8, 8, 1), np.uint8)
  # As if its method read clips.
  encoder._reads = "video"
  encoder._encode = lambda weights, batch, key: batch["video"].mean((2, 3))
  found = encoder.encoded(clips, 0, training=False)["moments"]
  wanted = (clips / np.float32(255) - 0.5) / 0.5
  np.testing.assert_allclose(found, wanted.mean((2, 3)), atol=1e-5)


def test_a_method_that_does_not_encode_is_refused(tmp_path, digits_home):
  config = tinyrun.toy(digits_home)
  with (
    sessions.open(config, tmp_path / "toy", write=False) as other,
    pytest.raises(errors.UserError, match="offers features"),
  ):
    latent_encoder.Encoder(other)
