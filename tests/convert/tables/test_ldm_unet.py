"""Latent diffusion's second stage: the whole file."""

import dataclasses

import kit
import numpy as np
import pytest

from jmim.convert import families
from jmim.nn.nets import told_dit

CLASSES = dict(task="class", classes=5, context=8)
PLAIN = dict(task="none", transformer=0)
CASES = {
  "tokens": {},
  "class": CLASSES,
  "plain": PLAIN,
  "updown": PLAIN | dict(updown=True, scale_shift=True),
  "deep": PLAIN
  | dict(multipliers=(1, 2, 2), level_blocks=(2, 1, 2), attend_at=(2, 4)),
}


@pytest.mark.parametrize("case", CASES)
def test_names_and_arrays(case):
  written = kit.check("ldm", kit.tiny("latent.ldm", **CASES[case]))
  classes = "cond_stage_model.embedding.weight"
  assert (classes in written.theirs) == (case == "class")


def test_other_stages_in_a_checkpoint_are_ignored():
  written = kit.export("ldm", kit.tiny("latent.ldm", **PLAIN))
  more = {
    "first_stage_model.quant_conv.bias": np.zeros(3),
    "model_ema.decay": np.zeros(()),
    "sqrt_alphas_cumprod": np.zeros(4),
    "scale_factor": np.ones(()),
  }
  file = {f"state_dict.{n}": x for n, x in (written.theirs | more).items()}
  made, leaves = kit.load(written, file)
  assert made.ignored == sorted(f"state_dict.{n}" for n in more)
  assert leaves.keys() == written.ours.keys()


@pytest.mark.parametrize("name", ["ldm", "ldm2", "diffusers_unet"])
def test_a_transformer_has_no_place(name):
  made = kit.tiny("latent.ldm")
  other = dataclasses.replace(made, dims=told_dit.Dims())
  family = families.find(name)
  assert "dims.type" in family.objection("latent.ldm", other)
  assert "dims.type" not in (family.objection("latent.ldm", made) or "")
