"""DiffuseVAE's VAE and UNet: layers counted, maps that are convolutions."""

import kit
import numpy as np
import pytest

from jmim.convert import families
from jmim.convert.tables import diffusevae as tables

VAE, UNET = "diffusevae", "diffusevae_unet"
PLAIN = dict(coarse=dict(code=False))


def test_names_and_arrays_of_the_vae():
  written = kit.check(VAE, kit.tiny("latent.diffusevae_vae"))
  names = set(written.theirs)
  # 4x1,4d2,4t2,2d2,2t1,1: a transition has one array, each block eight.
  assert "enc.block_mod.2.weight" in names
  assert "enc.block_mod.2.bias" not in names
  assert written.theirs["enc.block_mod.5.c2.weight"].shape[2:] == (1, 1)
  assert written.theirs["enc.block_mod.3.c2.weight"].shape[2:] == (3, 3)
  assert {"enc.in_conv.weight", "enc.mu.weight", "dec.last_conv.bias"} <= names
  assert "enc.in_conv.bias" not in names
  # 1u2 counts and has no arrays.
  assert not [n for n in names if n.startswith("dec.block_mod.1.")]


def test_names_and_arrays_of_the_unet():
  written = kit.check(UNET, kit.tiny("latent.diffusevae", **PLAIN))
  kernel = written.theirs["decoder.input_blocks.0.0.weight"]
  assert kernel.shape[1] == 6  # the noised image and its condition


def test_a_checkpoint_of_the_whole_has_its_vae_and_its_average():
  """What stands around the networks is not read."""
  vae = kit.export(VAE, kit.tiny("latent.diffusevae_vae"))
  held = {f"state_dict.vae.{n}": x for n, x in vae.theirs.items()}
  held["state_dict.online_network.decoder.out.0.weight"] = np.ones(3, "f4")
  made, leaves = kit.load(vae, held)
  assert not made.fresh and set(leaves) == set(vae.ours)


def test_a_code_has_no_known_names():
  family, method = families.find(UNET), kit.tiny("latent.diffusevae")
  assert "code=True" in family.check(method)


@pytest.mark.parametrize("text, count", [("8x3", 24), ("8t4", 1), ("1u4", 0)])
def test_arrays_of_a_word(text, count):
  assert len(tables.blocks(text)) == count
