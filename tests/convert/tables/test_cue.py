"""CUE's priors and enhancer: names, and what a file of the authors holds."""

import kit
import numpy as np
import pytest

from jmim.convert import families
from jmim.core import errors


def test_names_and_arrays_of_both_priors():
  written = kit.check("cue_light", kit.tiny("restore.cue_light"))
  assert written.theirs["merge2.1.conv_du.0.weight"].shape == (4, 16, 1, 1)
  written = kit.check("cue_noise", kit.tiny("restore.cue_noise"))
  assert "decoder_pred.weight" in written.theirs


@pytest.fixture(scope="module")
def written():
  return kit.check("cue", kit.tiny("restore.cue"))


def test_names_and_arrays_of_the_enhancer(written):
  one = "restoraRefl_model.process.conv2.{}.frequency_process.processimag.2"
  spatial, channel = (
    written.theirs[f"{one.format(n)}.weight"].shape for n in ("spa", "cha")
  )
  assert spatial == (8, 1, 3, 3) and channel == (8, 8, 1, 1)
  assert written.theirs["adjustIllu_model.process.up1.weight"].shape[0] == 12


def test_a_file_of_the_authors_has_what_is_not_run(written):
  """A second modulation, and the prior's way back; other steps are refused."""
  held = {f"params_ema.{n}": x for n, x in written.theirs.items()}
  unused = ("modulation_mul.0", "L_learnedPrior.merge1.0")
  for name in unused:
    held[f"params_ema.model_illu.{name}.weight"] = np.ones((1, 1, 1, 1), "f4")
  made, leaves = kit.load(written, held)
  assert not made.fresh and set(leaves) == set(written.ours)
  held["params_ema.alpha"] = np.float32([0.5])
  with pytest.raises(errors.UserError, match="alpha"):
    dict(kit.load(written, held)[0].leaves())


def test_without_the_prior_of_light_there_is_no_such_file():
  method = kit.tiny("restore.cue", unfold=dict(modulate=False))
  found = families.find("cue").objection("restore.cue", method)
  assert "unfold.modulate" in found
