"""DiffIR: blocks that are told, counts that do not begin at 0."""

import kit
import numpy as np
import pytest

from jmim.convert.tables import diffir as tables

FIRST, SECOND = "restore.diffir_prior", "restore.diffir"


@pytest.mark.parametrize(
  "fields",
  [
    {},
    dict(dims=dict(norm="bias_free", refinement=2), prior=dict(blocks=3)),
    dict(
      size=16,
      dims=dict(unshuffle=1),
      degraded=dict(degradation="none", factor=1),
    ),
  ],
)
def test_names_and_arrays_of_the_first_stage(fields):
  method = kit.tiny(FIRST, **fields)
  written = kit.check("diffir_prior", method)
  names = set(written.theirs)
  kernel = written.theirs["G.encoder_level2.0.attn.qkv_dwconv.weight"]
  assert kernel.shape == (3 * 2 * method.dims.width, 1, 3, 3)
  assert written.theirs["G.latent.0.attn.temperature"].shape == (4, 1, 1)
  flat = "degraded" in fields
  assert ("G.output.weight" in names) == flat
  assert ("G.tail.0.2.bias" in names) == (not flat)
  count = fields.get("prior", {}).get("blocks", 1)
  assert f"E.E.{1 + count}.body.2.bias" in names
  assert f"E.E.{2 + count + 4}.weight" in names
  refined = [n for n in names if n.startswith("G.refinement")]
  assert bool(refined) == (fields.get("dims", {}).get("refinement", 0) > 0)


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_names_and_arrays_of_the_second_stage(blocks):
  """The critic and its spectral norm have no place there."""
  method = kit.tiny(SECOND, walk=dict(blocks=blocks))
  written = kit.check("diffir", method)
  last = [n for n in written.theirs if n.startswith("denoise.")]
  assert len(last) == 2 + 2 * blocks
  twice = {f"params_ema.{n}": x for n, x in written.theirs.items()}
  for name in ("condition.E.0.bias", "model.resmlp.0.bias", "betas"):
    twice[f"params_ema.diffusion.{name}"] = np.zeros(3)
  made, leaves = kit.load(written, twice)
  assert len(made.ignored) == 3 and leaves.keys() == written.ours.keys()


def test_the_baseline_is_not_in_their_files():
  family = tables.FAMILIES["diffir_prior"]
  baseline = kit.tiny(FIRST, vector="constant")
  assert "the baseline" in family.objection(FIRST, baseline)
