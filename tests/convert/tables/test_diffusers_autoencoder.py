"""First stages of Diffusers: levels from the coarsest, older names."""

import jax
import kit
import numpy as np
import peers
import pytest

from jmim.convert import families
from jmim.convert.tables import diffusers_autoencoder as tables
from jmim.core import errors
from jmim.nn import vq

KL, VQ = "latent.autoencoder_kl", "latent.autoencoder_vq"
METHODS = {"diffusers_vae": KL, "diffusers_vq": VQ}
SIZES = [
  dict(multipliers=(1, 2), blocks=1, latent=4, embed=4),
  dict(multipliers=(1, 2, 2), blocks=2, attend_at=(4,), latent=4, embed=4),
]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("fields", SIZES)
def test_names_and_arrays(name, fields):
  written = kit.check(name, kit.tiny(METHODS[name], **fields))
  assert not [n for n in written.theirs if "discriminator" in n]
  assert ("quantize.embedding.weight" in written.theirs) == (
    VQ in METHODS[name]
  )


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("fields", SIZES)
def test_config(name, fields):
  method = kit.tiny(METHODS[name], **fields)
  config = kit.check_config(name, method, "net")
  kinds = config["up_block_types"]
  assert kinds[0].startswith("Attn") == ("attend_at" in fields)
  assert config["down_block_types"][-1].startswith("Attn") == (
    "attend_at" in fields
  )


def test_the_decoder_counts_levels_from_the_coarsest():
  down, up = (tables.names(side, 3) for side in ("down", "up"))
  assert down.block(2, 0) == "down_blocks.2.resnets.0"
  assert up.block(2, 0) == "up_blocks.0.resnets.0"
  assert up.resample(1) == "up_blocks.1.upsamplers.0.conv"


def test_older_names_of_attention_are_read():
  written = kit.export("diffusers_vae", kit.tiny(KL))
  file = {}
  for name, array in written.theirs.items():
    for old, new in (
      (".query.", ".to_q."),
      (".key.", ".to_k."),
      (".value.", ".to_v."),
      (".proj_attn.", ".to_out.0."),
    ):
      name = name.replace(new, old)
    file[name] = array
  assert file.keys() != written.theirs.keys()
  _, leaves = kit.load(written, file)
  assert leaves.keys() == written.ours.keys()


def test_a_code_narrower_than_the_latent_is_refused():
  method = kit.tiny(KL, latent=4, embed=2)
  assert tables.same_width(method) == "embed is latent there"
  assert tables.same_width(kit.tiny(KL)) is None


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
def test_the_library_computes_the_same_as_kl(tmp_path, kinds):
  library = peers.diffusers()
  theirs = peers.shake(library.AutoencoderKL(**SMALL, **kinds))
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = peers.images()
  with peers.torch().no_grad():
    posterior = theirs.encode(x).latent_dist
    want = theirs.decode(posterior.mean).sample.numpy()
  method, params, made = peers.read_folder("diffusers_vae", tmp_path / "theirs")
  assert all("discriminator" in n for n in made.fresh) and not made.ignored
  net, weights = method.net, params["autoencoder"]
  moments, _ = jax.jit(net.encode)(weights, ours)
  mean, log_var = np.split(np.asarray(moments), 2, -1)
  there = lambda a: np.moveaxis(a.numpy(), 1, -1)
  scale = np.abs(mean).max()
  np.testing.assert_allclose(mean, there(posterior.mean), atol=1e-4 * scale)
  np.testing.assert_allclose(
    np.clip(log_var, -30, 20), there(posterior.logvar), atol=1e-4 * scale
  )
  got = np.moveaxis(np.asarray(jax.jit(net.decode)(weights, mean)), -1, 1)
  np.testing.assert_allclose(got, want, atol=2e-4 * np.abs(want).max())
  folder = tmp_path / "ours"
  peers.check_diffusers_reads(
    "diffusers_vae", method, params=params, theirs=theirs, folder=folder
  )


def test_a_kl_of_another_kind_is_refused(tmp_path):
  library = peers.diffusers()
  theirs = library.AutoencoderKL(**SMALL, **PLAIN, use_quant_conv=False)
  theirs.save_pretrained(tmp_path)
  with pytest.raises(errors.UserError, match="use_quant_conv"):
    peers.read_folder("diffusers_vae", tmp_path)


@pytest.mark.parametrize("embed", [None, 3])
def test_the_library_computes_the_same_as_vq(tmp_path, embed):
  library = peers.diffusers()
  theirs = peers.shake(
    library.VQModel(
      **SMALL | dict(block_out_channels=(32, 64)),
      num_vq_embeddings=20,
      vq_embed_dim=embed,
      down_block_types=["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
      up_block_types=["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
    )
  )
  with peers.torch().no_grad():
    theirs.quantize.embedding.weight *= 20  # codes that differ
  theirs.save_pretrained(tmp_path / "theirs")
  ours, x = peers.images()
  with peers.torch().no_grad():
    latents = theirs.encode(x).latents
    _, _, (_, _, ids) = theirs.quantize(latents)
    want = theirs.decode(latents).sample.numpy()
  method, params, made = peers.read_folder("diffusers_vq", tmp_path / "theirs")
  assert all("discriminator" in n for n in made.fresh) and not made.ignored
  net, weights = method.net, params["autoencoder"]
  z, _ = jax.jit(net.encode)(weights, ours)
  scale = float(np.abs(z).max())
  np.testing.assert_allclose(
    z, np.moveaxis(latents.numpy(), 1, -1), atol=1e-4 * scale
  )
  codes = vq.nearest(z, weights["codes"])
  assert len(np.unique(codes)) > 2
  np.testing.assert_array_equal(np.ravel(codes), ids.numpy())
  got = np.moveaxis(np.asarray(jax.jit(net.decode)(weights, z)), -1, 1)
  np.testing.assert_allclose(got, want, atol=2e-4 * np.abs(want).max())
  folder = tmp_path / "ours"
  peers.check_diffusers_reads(
    "diffusers_vq", method, params=params, theirs=theirs, folder=folder
  )


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("scale", [0.13025, 0.3611])
def test_the_scale_of_latents_goes_in_and_out(name, scale):
  family = families.find(name)
  config = family.write_config(kit.tiny(METHODS[name])) | dict(
    scaling_factor=scale
  )
  fields = family.read_config(config)
  assert fields["latent_scale"] == scale
  made = kit.tiny(METHODS[name], latent_scale=scale)
  assert family.write_config(made)["scaling_factor"] == scale
  del config["scaling_factor"]  # Diffusers' default
  assert family.read_config(config)["latent_scale"] == 0.18215


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
  "more",
  [dict(shift_factor=0.1159), dict(latents_mean=[0.1]), dict(latents_std=[2])],
)
def test_latents_that_are_moved_are_refused(name, more):
  family = families.find(name)
  config = family.write_config(kit.tiny(METHODS[name]))
  family.read_config(config | dict(shift_factor=None, latents_mean=None))
  with pytest.raises(errors.UserError, match=next(iter(more))):
    family.read_config(config | more)
