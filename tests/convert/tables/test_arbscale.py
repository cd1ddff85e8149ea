"""Arbitrary-scale latent diffusion: lists of layers, a decoder of one side."""

import kit
import numpy as np
import pytest

from jmim.convert.tables import arbscale as tables

FIRST, SECOND = "latent.autoencoder_inr", "latent.arbscale"


@pytest.mark.parametrize(
  "fields",
  [
    {},
    dict(dims=dict(variant="ae-f4", attend_at=(2,))),
    dict(implicit=dict(hidden=(5, 4, 3))),
  ],
)
def test_names_and_arrays_of_the_first_stage(fields):
  written = kit.check("arbscale_first_stage", kit.tiny(FIRST, **fields))
  names = set(written.theirs)
  layers = len(fields.get("implicit", {}).get("hidden", (0, 0)))
  last = f"decoder.inr.imnet.layers.{2 * layers}.weight"
  assert last in names and written.theirs[last].shape[0] == 3
  # Nothing enlarges, and no norm ends the decoder.
  assert not [n for n in names if "upsample" in n or "1.norm_out" in n]
  attends = [n for n in names if ".decoder.1.up." in n and ".attn.0.q." in n]
  assert len(attends) == (4 if "dims" in fields else 0)


def test_names_and_arrays_of_the_second_stage():
  written = kit.check("arbscale", kit.tiny(SECOND))
  assert "scale_factor" in written.theirs
  given = kit.check("arbscale", kit.tiny(SECOND, first_stage=dict(scale=0.5)))
  assert "scale_factor" not in given.theirs


def test_a_first_stage_inside_a_model_of_its_latents_is_found():
  written = kit.export("arbscale_first_stage", kit.tiny(FIRST))
  part = {
    f"state_dict.first_stage_model.{n}": x for n, x in written.theirs.items()
  }
  part["state_dict.model.diffusion_model.out.2.bias"] = np.zeros(3)
  made, leaves = kit.load(written, part)
  assert made.ignored == ["state_dict.model.diffusion_model.out.2.bias"]
  assert leaves.keys() == written.ours.keys()


def test_the_baseline_is_not_in_their_files():
  family = tables.FAMILIES["arbscale_first_stage"]
  plain = kit.tiny(FIRST, implicit=dict(hidden=()))
  assert "the baseline" in family.objection(FIRST, plain)
