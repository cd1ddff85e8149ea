"""Noise schedules in the words of a scheduler of Diffusers."""

import kit
import numpy as np
import peers
import pytest

from jmim.convert.tables import _diffusers_scheduler as schedulers

CASES = {
  "dit": ("diffusion.dit", {}),
  "cosine": ("diffusion.ddpm", dict(noise=dict(schedule="cosine"))),
  "v": (
    "diffusion.ddpm",
    dict(noise=dict(zero_snr=True), prediction="v", sampling=dict(clip=2.0)),
  ),
  "ldm": ("latent.ldm", {}),
}


def written(case):
  name, fields = CASES[case]
  method = kit.tiny(name, **fields)
  (settings,) = schedulers.write(method).values()
  return method, settings


def test_only_what_has_no_name_there_is_a_list():
  lists = {c: bool(written(c)[1]["trained_betas"]) for c in CASES}
  assert lists == {"dit": False, "cosine": True, "v": True, "ldm": False}


def test_what_is_predicted_and_cut_off_is_said():
  _, v = written("v")
  assert v["prediction_type"] == "v_prediction"
  assert (v["clip_sample"], v["clip_sample_range"]) == (True, 2.0)
  _, late = written("ldm")
  assert (late["steps_offset"], late["set_alpha_to_one"]) == (1, False)
  assert not late["clip_sample"]
  assert (
    schedulers.write(kit.tiny("diffusion.ddpm", prediction="velocity")) == {}
  )


@pytest.mark.parametrize("case", CASES)
def test_the_library_has_the_same_levels(case):
  method, settings = written(case)
  scheduler = peers.diffusers().DDIMScheduler.from_config(settings)
  want = method.noise.process.signal**2
  got = scheduler.alphas_cumprod.numpy()
  np.testing.assert_allclose(got, want, atol=1e-5)
