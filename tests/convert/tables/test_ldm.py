"""First stages of latent diffusion: 1 x 1 convolutions, a critic, codes."""

import kit
import numpy as np
import pytest

from jmim.convert.tables import ldm as tables

KL, VQ = "latent.autoencoder_kl", "latent.autoencoder_vq"
NAME = "ldm_first_stage"


@pytest.mark.parametrize("name", [KL, VQ])
@pytest.mark.parametrize(
  "fields", [{}, dict(attend_at=(2,)), dict(multipliers=(1, 2, 2), blocks=2)]
)
def test_names_and_arrays(name, fields):
  fields = {"multipliers": (1, 2)} | fields
  written = kit.check(NAME, kit.tiny(name, **fields))
  attends = [n for n in written.theirs if ".attn.0.q." in n]
  assert bool(attends) == ("attend_at" in fields)


def test_q_k_and_v_are_convolutions_of_side_one():
  written = kit.export(NAME, kit.tiny(KL))
  kernel = written.ours[
    "params/autoencoder/encoder/middle_attention/attn/qkv/kernel"
  ]
  for n, part in zip("qkv", np.split(kernel, 3, axis=1), strict=True):
    theirs = written.theirs[f"encoder.mid.attn_1.{n}.weight"]  # [o, i, 1, 1]
    np.testing.assert_array_equal(theirs[:, :, 0, 0], part.T)


def test_a_change_of_width_has_a_map_beside_it():
  written = kit.export(NAME, kit.tiny(KL, multipliers=(1, 2)))
  names = {n for n in written.theirs if "nin_shortcut.weight" in n}
  assert "encoder.down.1.block.0.nin_shortcut.weight" in names
  assert "encoder.down.0.block.0.nin_shortcut.weight" not in names
  assert "decoder.up.0.block.0.nin_shortcut.weight" in names


@pytest.mark.parametrize("layers", [1, 3])
def test_layers_of_the_critic_are_numbered_with_its_activations(layers):
  written = kit.check(NAME, kit.tiny(VQ, size=24, disc_layers=layers))
  at = sorted(
    int(n.split(".")[3])
    for n in written.theirs
    if n.startswith("loss.discriminator.main.") and n.endswith("weight")
  )
  # Convolution, activation, then (convolution, norm, activation) each, last.
  inner = [i for n in range(1, layers + 1) for i in (3 * n - 1, 3 * n)]
  assert at == [0, *inner, 3 * layers + 2]


def test_averaged_codes_are_no_parameters():
  trained = kit.export(NAME, kit.tiny(VQ))
  averaged = kit.check(NAME, kit.tiny(VQ, ema=0.99))
  name = "quantize.embedding.weight"
  np.testing.assert_array_equal(
    trained.theirs[name], trained.ours["params/autoencoder/codes"]
  )
  np.testing.assert_array_equal(
    averaged.theirs[name], averaged.ours["extra/codes"]
  )


def test_a_file_without_a_critic_leaves_it_fresh():
  written = kit.export(NAME, kit.tiny(KL))
  part = {
    f"state_dict.first_stage_model.{n}": x
    for n, x in written.theirs.items()
    if not n.startswith("loss.")
  }
  made, leaves = kit.load(written, part)
  assert {n.split("/")[1] for n in made.fresh} == {"discriminator"}
  assert {n.split("/")[1] for n in leaves} == {"autoencoder"}


def test_names_of_both_sides_count_levels_from_the_finest():
  for side in ("down", "up"):
    names = tables.compvis(side)
    assert names.block(2, 1) == f"{side}.2.block.1"
    assert names.resample(1) == f"{side}.1.{side}sample.conv"
