"""DiffRate: one row of ours per block, and candidates that are computed."""

import kit
import numpy as np
import pytest

from jmim.convert import family
from jmim.convert import table
from jmim.convert.tables import diffrate as tables
from jmim.core import errors
from jmim.core import field
from jmim.methods.supervised import diffrate
from jmim.nn import sizes

METHOD = field.replace(
  diffrate.DiffRate.tiny(),
  classifier={"dims": sizes.Dims(variant="Ti/4", width=32, depth=4, heads=4)},
  counts={"untouched": (0, 2), "granularity": 4},
)


def test_rows_are_the_blocks_that_are_compressed():
  written = kit.check("diffrate", METHOD)
  for kind in ("prune", "merge"):
    for row, block in enumerate((1, 3)):
      ddp = f"blocks.{block}.{kind}_ddp"
      np.testing.assert_array_equal(
        written.theirs[f"{ddp}.selected_probability"],
        written.ours[f"params/main/{kind}"][row],
      )
      np.testing.assert_array_equal(
        written.theirs[f"{ddp}.kept_token_candidate"], [16, 12, 8, 4]
      )


def test_other_candidates_are_refused():
  theirs = kit.check("diffrate", METHOD).theirs
  theirs["blocks.1.prune_ddp.kept_token_candidate"] = np.float32([16, 8, 4, 2])
  with pytest.raises(errors.UserError, match="kept_token_candidate"):
    table.import_tree(tables.FAMILIES["diffrate"].table(METHOD), theirs)


def test_the_classifier_in_their_file_is_ignored():
  names = ["cls_token", "blocks.0.attn.qkv.weight", "head.bias"]
  ignored = tables.FAMILIES["diffrate"].ignored
  assert all(family.matches(ignored, n) for n in names)
