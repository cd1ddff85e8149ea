import json

import jax.numpy as jnp
import numpy as np
import pytest
import tinyrun

from jmim.core import config as configs
from jmim.core import errors
from jmim.data import decode
from jmim.data import sources
from jmim.modes import sample
from jmim.modes import train
from jmim.nn.nets import autoencoder
from jmim.session import session as sessions
from jmim.tools import cache_latents
from jmim.tools import latent_encoder


def first_stage(data_dir):
  """A run of two steps of the smallest first stage on 32-pixel digits."""
  config = tinyrun.recipe(data_dir)
  config.data.update(
    name="digits/scattered",
    size=32,
    channels=3,
    batch=64,
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
    train_split="train[:90]",
    eval_split="test[:40]",
  )
  config.method = configs.section(
    type="latent.autoencoder_kl",
    variant="kl-f4",
    size=32,
    width=4,
    blocks=1,
    perceptual="none",
    adaptive=False,
    disc_layers=1,
    disc_width=4,
  )
  config.train.update(total_steps=2, log_steps=1, checkpoint_steps=2)
  config.evals = configs.section()
  return config


def second_stage(config, data_dir, workdir):
  """DiT on the cached latents."""
  config = configs.override(config, [])
  config.data.update(
    name="tiny_latents",
    data_dir=str(data_dir),
    train_split="train",
    eval_split="test",
    batch=32,
  )
  config.method = configs.section(
    type="diffusion.dit",
    variant="S/4",
    size=8,
    width=16,
    depth=1,
    heads=2,
    times=10,
    steps=2,
    classes=10,
    clip=0.0,
    first_stage="kl-f4",
    first_stage_width=4,
    first_stage_blocks=1,
    first_stage_path=str(workdir),
  )
  config.sample.update(num=3, batch=3)
  return config


@pytest.fixture(scope="module")
def pixels(tmp_path_factory, digits_home):
  """n_codes -> a run of a first stage whose latents are pixels."""
  root = tmp_path_factory.mktemp("pixels")

  def make(codes):
    config = tinyrun.recipe(digits_home)
    config.data.update(train_split="train[:50]", eval_split="test[:20]")
    config.method = configs.section(type="latentkit", n_codes=codes)
    config.evals = configs.section()
    config.train.update(total_steps=1, log_steps=1, checkpoint_steps=1)
    if not (root / f"run{codes}").exists():
      train.run(config, root / f"run{codes}")
    return sessions.open(config, root / f"run{codes}", write=False)

  return make


@pytest.mark.parametrize("views", [0, 2])
def test_pixels_that_are_latents_come_back(pixels, tmp_path, views):
  with pixels(0) as run:
    encoder = latent_encoder.Encoder(run)
    _, seen = cache_latents.build(
      "pixels", tmp_path, encoder, views, dtype="float32"
    )
  stored = sources.build("pixels", "train", str(tmp_path))
  assert len(stored) == 50 * max(1, views)
  source, moments = run.parts.sources["train"], []
  for i in range(len(stored)):
    example = stored[i]
    original = source[int(example["index"])]
    image = decode.decode(original["image"], 1).astype(np.float32)
    want = (image[::2, ::2] / 255 - 0.5) / 0.5
    moments.append(example["moments"])
    np.testing.assert_allclose(moments[-1][..., :1], want, atol=1e-6)
    assert (moments[-1][..., 1:] == -3.0).all()
    assert example["label"] == original["label"]
  mean = np.stack(moments)[..., 0].astype(np.float64)
  np.testing.assert_allclose(
    seen.std, np.sqrt(mean.var() + np.exp(-3.0)), rtol=1e-5
  )


def test_codes_that_are_pixels_come_back_as_tokens(pixels, tmp_path):
  with pixels(6) as run:
    encoder = latent_encoder.Encoder(run, "codes")
    _, seen = cache_latents.build("codes", tmp_path, encoder, 1)
  stored = sources.build("codes", "train", str(tmp_path))
  rows = np.stack([stored[i]["tokens"] for i in range(50)])
  assert rows.shape == (50, 4) and rows.dtype == np.int32
  counts = np.bincount(rows.ravel(), minlength=6)
  np.testing.assert_array_equal(seen.counts, counts)
  assert str(seen) == f"codes: {(counts > 0).sum()} of 6 used"


@pytest.fixture(scope="module")
def made(tmp_path_factory, digits_home):
  """What a first stage makes: its run, data set, statistics, and some rows."""
  root = tmp_path_factory.mktemp("latents")
  config = first_stage(digits_home)
  workdir = root / "ae"
  train.run(config, workdir)
  with sessions.open(config, workdir, write=False) as run:
    encoder = latent_encoder.Encoder(run)
    folder, seen = cache_latents.build("tiny_latents", root / "out", encoder, 2)
    # One image by hand, as the evaluation sees it.
    rows = next(encoder.rows("eval", 0))
    yield config, workdir, root / "out", folder, seen, encoder, rows


def test_latents_are_a_data_set_of_both_splits(made):
  _, _, out, folder, seen, _, rows = made
  training = sources.build("tiny_latents", "train", str(out))
  held_out = sources.build("tiny_latents", "test", str(out))
  assert (len(training), len(held_out)) == (180, 40)
  assert training.num_classes == 10
  stored = [training[i] for i in range(180)]
  index = [int(x["index"]) for x in stored]
  assert sorted(index) == sorted(list(range(90)) * 2)  # two views of each
  found = {int(x["index"]): x for x in (held_out[i] for i in range(40))}
  for i in range(5):
    one, k = found[int(rows["index"][i])], rows["moments"][i]
    np.testing.assert_allclose(one["moments"], k, rtol=2e-3, atol=1e-4)
    assert one["label"] == rows["label"][i]
  moments = jnp.asarray(np.stack([x["moments"] for x in stored]), jnp.float32)
  noise = np.random.default_rng(0).normal(size=(180, 8, 8, 3))
  z = autoencoder.drawn(moments, noise)
  np.testing.assert_allclose(seen.std, np.std(z), rtol=0.02)
  about = json.loads((folder / "dataset_info.json").read_text())["description"]
  assert json.loads(about)["views"] == 2


def test_statistics_by_channel_lie_beside_them(made):
  _, _, _, folder, seen, _, _ = made
  with np.load(folder / "statistics.npz") as stored:
    found = dict(stored)
  mean, std = seen.channels
  np.testing.assert_allclose(found["mean"], mean, rtol=1e-6)
  np.testing.assert_allclose(found["std"], std, rtol=1e-6)


def test_it_is_not_overwritten(made):
  _, _, out, _, _, encoder, _ = made
  with pytest.raises(errors.UserError, match="is there"):
    cache_latents.build("tiny_latents", out, encoder, 1)


def test_a_second_stage_trains_on_them_and_samples_images(made, tmp_path):
  config, workdir, out, *_ = made
  config = second_stage(config, out, workdir)
  train.run(config, tmp_path / "dit")
  losses = [x["loss"] for x in tinyrun.lines(tmp_path / "dit") if "loss" in x]
  assert len(losses) == 2 and np.isfinite(losses).all()
  sample.run(config, tmp_path / "dit")
  (part,) = (tmp_path / "dit" / "samples").glob("*/part_00000.npz")
  with np.load(part) as stored:
    images = stored["image"]
  assert images.shape == (3, 32, 32, 3) and images.dtype == np.uint8
  assert images.std() > 0


def test_codes_are_tokens_of_a_data_set(pixels, tmp_path):
  """Masked diffusion of the codes of a first stage."""
  out = tmp_path / "out"
  with pixels(6) as run:
    config, encoder = run.parts.config, latent_encoder.Encoder(run, "codes")
    cache_latents.build("tiny_codes", out, encoder, 1)
  masked_diffusion(config, out, tmp_path / "mdm", length=4)


@pytest.mark.slow
def test_codes_of_a_quantised_first_stage_are_tokens(made, tmp_path):
  config, *_ = made
  config = configs.override(config, [])
  config.method = configs.section(
    type="latent.autoencoder_vq",
    variant="vq-f4",
    size=32,
    width=4,
    blocks=1,
    codes=6,
    disc_start=1,
    disc_layers=1,
    disc_width=4,
  )
  train.run(config, tmp_path / "vq")
  out = tmp_path / "out"
  with sessions.open(config, tmp_path / "vq", write=False) as run:
    encoder = latent_encoder.Encoder(run, "codes")
    _, seen = cache_latents.build("tiny_codes", out, encoder, 1)
  training = sources.build("tiny_codes", "train", str(out))
  rows = np.stack([training[i]["tokens"] for i in range(len(training))])
  assert rows.shape == (90, 64) and rows.dtype == np.int32
  counts = np.bincount(rows.ravel(), minlength=6)
  np.testing.assert_array_equal(seen.counts, counts)
  assert str(seen) == f"codes: {(counts > 0).sum()} of 6 used"
  masked_diffusion(config, out, tmp_path / "mdm", length=64)


def masked_diffusion(config, data_dir, workdir, length):
  """Trains, scores and samples token sequences of the data set."""
  config = configs.override(config, [])
  config.data.update(
    name="tiny_codes",
    data_dir=str(data_dir),
    train_split="train",
    eval_split="test",
    batch=32,
  )
  config.method = configs.section(
    type="discrete.mdm",
    codes=6,
    length=length,
    width=16,
    depth=1,
    heads=2,
    steps=8,
  )
  config.train.update(total_steps=2, log_steps=1, checkpoint_steps=2)
  config.evals = configs.section()
  config.evals.perplexity = configs.section(type="perplexity", examples=20)
  config.sample.update(num=3, batch=3)
  train.run(config, workdir)
  found = {k: v for x in tinyrun.lines(workdir) for k, v in x.items()}
  assert found["perplexity/calls"] == min(8, length)
  assert found["perplexity/entropy"] > 0
  sample.run(config, workdir)
  (part,) = (workdir / "samples").glob("*/part_00000.npz")
  with np.load(part) as stored:
    tokens = stored["tokens"]
  assert tokens.shape == (3, length) and 0 <= tokens.min()
  assert tokens.max() < 6
  lines = part.with_suffix(".txt").read_text().splitlines()
  assert lines == [" ".join(map(str, row)) for row in tokens]
