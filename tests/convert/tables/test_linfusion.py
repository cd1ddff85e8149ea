"""LinFusion: attentions numbered down, up, middle."""

import kit
import pytest

from jmim.convert import families
from jmim.convert.tables import linfusion as tables
from jmim.nn.nets import unet

DEEP = dict(
  size=8, dims=dict(multipliers=(1, 2, 2), blocks=2, attend_at=(2, 4))
)


@pytest.mark.parametrize("fields", [{}, dict(bottleneck=-1), DEEP])
def test_names_and_arrays(fields):
  written = kit.check(
    "linfusion", kit.tiny("diffusion.linfusion", start="fresh", **fields)
  )
  assert len(written.theirs) == len(written.like)  # and nothing of the host
  has = [n for n in written.theirs if ".to_q_." in n]
  assert bool(has) == (fields.get("bottleneck") != -1)


def test_the_order_of_stable_diffusion():
  net = unet.UNet(
    width=320,
    multipliers=(1, 2, 4, 4),
    attend_at=(1, 2, 4),
    heads=8,
    transformer=1,
  )
  found = [place.split("_attention")[0] for place in tables.places(net)]
  assert found == [
    *(f"down{level}_{i}" for level in (0, 1, 2) for i in (0, 1)),
    *(f"up{level}_{i}" for level in (2, 1, 0) for i in (0, 1, 2)),
    "middle",
  ]


def test_what_is_added_to_a_host_has_no_place():
  added = kit.tiny("diffusion.linfusion", start="host")
  why = families.find("linfusion").objection("diffusion.linfusion", added)
  assert why == "start='host', which is 'fresh' there"
