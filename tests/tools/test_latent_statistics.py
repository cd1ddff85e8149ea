import numpy as np
import pytest
import tinyrun

from jmim.checkpoints import frozen
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.data import decode
from jmim.metrics import latents
from jmim.session import assemble
from jmim.tools import latent_statistics


@pytest.fixture(scope="module")
def recipe(digits_home, tmp_path_factory):
  """A model of latents of images, whose first stage has nothing but noise."""
  root = tmp_path_factory.mktemp("statistics")
  config = tinyrun.recipe(digits_home)
  config.data.update(
    name="digits/scattered",
    size=32,
    channels=3,
    batch=16,
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
    train_split="train[:40]",
    eval_split="test[:8]",
  )
  config.method = configs.section(
    type="diffusion.lightningdit",
    dims=dict(variant="S/4", width=16, depth=1, heads=2),
    size=8,
    channels=3,
    first_stage=dict(
      read="images", variant="kl-f4", width=4, blocks=1, scale=1.0
    ),
  )
  config.evals = configs.section()
  return config, root


@pytest.fixture(scope="module")
def parts(recipe, fill):
  config, root = recipe
  path = root / "stage.npz"
  net = discovery.make(config.method).first_stage.net
  frozen.save(path, fill(net, scale=0.2))
  config.method.first_stage.path = str(path)
  return assemble.make(config)


def test_they_are_those_of_samples_of_all_places(parts):
  seen = latent_statistics.measured(parts, 0)
  assert seen.n == 40 * 64 * 3
  stage, source = parts.method.first_stage, parts.sources["train"]
  x = np.stack([decode.decode(source[i]["image"], 3) for i in range(40)])
  x = (x.astype(np.float32) / 255 - 0.5) / 0.5
  moments, _ = stage.net.encode(parts.consts["first_stage"], x)
  mean, log_var = np.split(np.asarray(moments, np.float64), 2, axis=-1)
  np.testing.assert_allclose(seen.channels[0], mean.mean((0, 1, 2)), rtol=1e-4)
  var = mean.var((0, 1, 2)) + np.exp(log_var).mean((0, 1, 2))
  np.testing.assert_allclose(seen.channels[1], np.sqrt(var), rtol=1e-3)
  few = latent_statistics.measured(parts, 10)
  assert few.n == 10 * 64 * 3


def test_the_file_is_what_a_model_then_reads(parts, recipe, capsys):
  config, root = recipe
  text = root / "recipe.py"
  text.write_text(
    "import json, ml_collections\n"
    "def get_config(arg=None):\n"
    f"  return ml_collections.ConfigDict(json.loads({config.to_json()!r}))\n"
  )
  out = root / "made.npz"
  argv = [f"--config={text}", f"--out={out}", "--limit=0"]
  # Statistics that the recipe names are not read: it is they that are made.
  argv += ["--config.method.first_stage.statistics=nothing.npz"]
  assert latent_statistics.main(argv) == 0
  assert "3 channels" in capsys.readouterr().out
  named = configs.override(config, [f"method.first_stage.statistics={out}"])
  made = assemble.make(named)
  seen = latent_statistics.measured(parts, 0)
  mean, std = seen.channels
  np.testing.assert_allclose(
    made.consts["latent_statistics"]["mean"], mean, rtol=1e-5
  )
  np.testing.assert_allclose(
    made.consts["latent_statistics"]["std"], std, rtol=1e-5
  )


def test_a_model_of_pixels_has_none(parts, recipe):
  config, _ = recipe
  pixels = configs.override(config, ["method.first_stage.variant=none"])
  pixels.method.update(size=32)
  pixels.method.first_stage.path = ""
  with pytest.raises(errors.UserError, match="without a first stage"):
    latent_statistics.measured(assemble.make(pixels), 0)


def test_a_dead_channel_is_refused(tmp_path):
  seen = latents.Moments()
  x = np.random.default_rng(0).normal(size=(4, 2, 2, 3)) * (1, 0, 1)
  seen.add(x, gaussian=False)
  with pytest.raises(errors.UserError, match=r"\[1\]"):
    latent_statistics.save(tmp_path / "s.npz", seen)
  assert not (tmp_path / "s.npz").exists()


@pytest.mark.parametrize("bad", ["--out=s.txt", "--limit=-1"])
def test_bad_arguments_end_at_once(bad):
  argv = ["--config=x.py", "--out=s.npz", bad]
  with pytest.raises(SystemExit):
    latent_statistics.parse(argv)
