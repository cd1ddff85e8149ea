"""AutoencoderKL against Diffusers; skipped where that is not installed."""

import json
import pathlib
import sys

import jax
import numpy as np
import pytest

from jmim.convert import files
from jmim.core import errors

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytest.importorskip("transformers")
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import test_libraries as kit  # noqa: E402

SMALL = dict(
  in_channels=3,
  out_channels=3,
  block_out_channels=(32, 64, 64),
  layers_per_block=1,
  latent_channels=4,
  sample_size=32,
  norm_num_groups=32,
)
PLAIN = dict(
  down_block_types=["DownEncoderBlock2D"] * 3,
  up_block_types=["UpDecoderBlock2D"] * 3,
)
ATTENTIVE = dict(
  down_block_types=["DownEncoderBlock2D"] * 2 + ["AttnDownEncoderBlock2D"],
  up_block_types=["AttnUpDecoderBlock2D"] + ["UpDecoderBlock2D"] * 2,
)


@pytest.mark.parametrize(
  "kinds", [PLAIN, ATTENTIVE], ids=["plain", "attention"]
)
def test_diffusers_autoencoder(tmp_path, kinds):
  theirs = kit.shake(diffusers.AutoencoderKL(**SMALL, **kinds))
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = kit.images()
  with torch.no_grad():
    posterior = theirs.encode(x).latent_dist
    want = theirs.decode(posterior.mean).sample.numpy()
  found = files.read(tmp_path / "theirs")
  settings = json.loads((tmp_path / "theirs/config.json").read_text())
  method, params, made = kit.load("diffusers_vae", settings, found)
  assert all("discriminator" in n for n in made.fresh) and not made.ignored
  net, own = method.net, params["autoencoder"]
  moments, _ = jax.jit(net.encode)(own, ours)
  mean, log_var = np.split(np.asarray(moments), 2, -1)
  there = lambda a: np.moveaxis(a.numpy(), 1, -1)
  scale = np.abs(mean).max()
  np.testing.assert_allclose(mean, there(posterior.mean), atol=1e-4 * scale)
  np.testing.assert_allclose(
    np.clip(log_var, -30, 20), there(posterior.logvar), atol=1e-4 * scale
  )
  got = np.moveaxis(np.asarray(jax.jit(net.decode)(own, mean)), -1, 1)
  np.testing.assert_allclose(got, want, atol=2e-4 * np.abs(want).max())
  kit.check_diffusers_reads(
    "diffusers_vae", method, params, theirs, tmp_path / "ours"
  )


def test_an_autoencoder_of_another_kind_is_refused(tmp_path):
  theirs = diffusers.AutoencoderKL(**SMALL, **PLAIN, use_quant_conv=False)
  theirs.save_pretrained(tmp_path / "theirs")
  settings = json.loads((tmp_path / "theirs/config.json").read_text())
  with pytest.raises(errors.UserError, match="use_quant_conv"):
    kit.load("diffusers_vae", settings, files.read(tmp_path / "theirs"))
