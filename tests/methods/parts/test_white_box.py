import dataclasses

import pytest

from jmim.core import runtime
from jmim.methods.parts import white_box
from jmim.nn import block
from jmim.nn import crate
from jmim.nn import sizes

SIZE = sizes.Size(width=8, depth=2, heads=2, mlp_ratio=3.0)
RT = runtime.Runtime(scan=True)


def test_options_and_runtime_reach_the_blocks():
  part = white_box.WhiteBox(step=0.2, threshold=0.3, rt=RT)
  encoder = crate.EncoderBlock(
    heads=2, step=0.2, threshold=0.3, rt=RT, parent=None
  )
  assert part.encoder(SIZE)() == encoder
  decoder = crate.DecoderBlock(heads=2, rt=RT, parent=None)
  assert part.decoder(SIZE)() == decoder
  # A fresh one each time, as a stack wants it.
  assert part.encoder(SIZE)() is not part.encoder(SIZE)()


def test_plain_blocks_are_those_of_a_vit_on_both_sides():
  part = white_box.Plain(rt=RT)
  plain = block.Block(heads=2, mlp_ratio=3.0, rt=RT, parent=None)
  assert part.encoder(SIZE)() == part.decoder(SIZE)() == plain


def test_only_plain_blocks_have_an_mlp():
  dims = sizes.Dims(mlp_ratio=2.0)
  white_box.Plain().check(dims)
  with pytest.raises(ValueError, match="mlp_ratio 2.0.*no MLP"):
    white_box.WhiteBox().check(dims)
  white_box.WhiteBox().check(dataclasses.replace(dims, mlp_ratio=0.0))


def test_what_is_measured_of_a_block():
  assert white_box.WhiteBox().measures == ("rate", "nonzero")
  assert white_box.Plain().measures == ()
