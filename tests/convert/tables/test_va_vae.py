"""VA-VAE: a first stage and a convolution of side 1 beside it."""

import kit
import numpy as np
import pytest

from jmim.core import field

NAME = "latent.va_vae"
OURS, THEIRS = "params/autoencoder/map/kernel", "linear_proj.weight"


@pytest.fixture(scope="module")
def written():
  return kit.check("va_vae", kit.tiny(NAME))


def test_the_map_is_a_convolution_without_bias(written):
  assert written.theirs[THEIRS].shape == (16, 4, 1, 1)
  np.testing.assert_array_equal(
    written.theirs[THEIRS][:, :, 0, 0].T, written.ours[OURS]
  )
  assert "linear_proj.bias" not in written.theirs


def test_a_map_of_features_has_one():
  method = field.replace(kit.tiny(NAME), alignment=dict(maps="features"))
  written = kit.check("va_vae", method)
  assert written.theirs[THEIRS].shape == (4, 16, 1, 1)
  assert written.theirs["linear_proj.bias"].shape == (4,)


def test_the_rest_is_that_of_latent_diffusion(written):
  plain = kit.export("ldm_first_stage", kit.tiny("latent.autoencoder_kl"))
  assert set(written.theirs) - set(plain.theirs) == {THEIRS}


def test_a_file_for_inference_leaves_map_and_critic_fresh(written):
  part = {
    n: x
    for n, x in written.theirs.items()
    if not n.startswith(("loss.", "linear_proj"))
  }
  made, _ = kit.load(written, part)
  assert {n.split("/")[1] for n in made.fresh} == {
    "autoencoder",
    "discriminator",
  }
  assert OURS in made.fresh


def test_the_vision_model_in_a_file_is_passed_over(written):
  beside = {f"foundation_model.model.{n}": np.zeros(2) for n in ("a", "b")}
  whole = {f"state_dict.{n}": x for n, x in (written.theirs | beside).items()}
  made, leaves = kit.load(written, whole)
  assert sorted(made.ignored) == [f"state_dict.{n}" for n in beside]
  assert OURS in leaves and not made.fresh
