"""The report's arithmetic on numbers made up here."""

import pytest

from jmim.cost import estimate
from jmim.cost import hlo_collectives
from jmim.cost import hlo_cost
from jmim.parallel import chips

CHIP = chips.Chip(
  peak=100.0,
  hbm=1000,
  bandwidth=50.0,
  ici=10.0,
  dcn=1.0,
  unit=128,
  axes=2,
)
FACTS = estimate.Facts(
  devices=4,
  hosts=2,
  batch=8,
  parameters=12,
  split=1,
  itemsize=2,
  model_flops=50,
  memory={"arguments": 300, "peak": 700},
  compile_seconds=1.0,
)


def cost(flops=110, traffic=40, inside=9.0, between=0.0, k=128):
  return hlo_cost.Cost(
    [hlo_cost.Product(name="fc", m=8, n=128, k=k, flops=flops // 2, times=2)],
    [
      hlo_collectives.Collective(
        kind="all-gather", bytes=inside, group=2, between=False, times=1
      ),
      hlo_collectives.Collective(
        kind="all-reduce", bytes=between, group=2, between=True, times=1
      ),
    ],
    traffic,
  )


def test_model_and_compiled_flops():
  found = estimate.report(cost(), FACTS, CHIP)["flops"]
  assert found["model"] == 50 * 8 / 4
  assert found["compiled_over_model"] == pytest.approx(1.1)


def test_the_longest_time_bounds_all():
  found = estimate.report(cost(), FACTS, CHIP)
  assert found["seconds"] == pytest.approx(
    {"compute": 1.1, "hbm": 0.8, "ici": 0.9, "dcn": 0.0}
  )
  assert found["limited_by"] == "compute"
  # 100 FLOPs of the model in 1.1 s of a chip that does 100 a second.
  assert found["mfu_bound"] == pytest.approx(1 / 1.1)
  assert found["images_per_second"] == pytest.approx(8 / 1.1)
  assert found["images_per_second_and_host"] == pytest.approx(4 / 1.1)
  slow = estimate.report(cost(between=5.0), FACTS, CHIP)
  assert slow["limited_by"] == "dcn"
  assert slow["mfu_bound"] == pytest.approx(1 / 5)
  assert slow["network"]["between_slices"] == 5.0


def test_what_depends_on_the_links_is_a_range():
  found = estimate.report(cost(), FACTS, CHIP)
  assert found["ici_one_axis"] == pytest.approx(1.8)  # half of the links
  assert found["limited_by_one_axis"] == "ici"
  assert found["mfu_bound_one_axis"] == pytest.approx(1 / 1.8)
  assert found["images_per_second_one_axis"] == pytest.approx(8 / 1.8)
  rows = dict(estimate.tables(found)[-2][1:])
  assert rows["MFU at most"] == "55.6% to 90.9%"
  assert rows["limited by"] == "ici to compute"
  alone = estimate.report(cost(inside=0.0), FACTS, CHIP)
  assert alone["mfu_bound_one_axis"] == alone["mfu_bound"]
  rows = dict(estimate.tables(alone)[-2][1:])
  assert rows["MFU at most"] == "90.9%" and rows["limited by"] == "compute"


def test_products_take_the_time_of_their_padding():
  found = estimate.report(cost(k=50), FACTS, CHIP)
  assert found["seconds"]["compute"] == pytest.approx(1.1 * 2.56)
  assert found["flops"]["compiled"] == 110  # what is computed stays the same
  assert found["mfu_bound"] == pytest.approx(1 / 1.1 / 2.56)


def test_the_bound_is_never_above_all():
  # The compiler has left a tenth of the model's products out.
  found = estimate.report(cost(flops=90, inside=0.0), FACTS, CHIP)
  assert found["flops"]["compiled_over_model"] == pytest.approx(0.9)
  assert found["mfu_bound"] == 1.0 == found["mfu_bound_one_axis"]
  assert found["images_per_second"] == pytest.approx(8.0)


def test_what_the_memory_leaves_out_is_said():
  found = estimate.report(cost(), FACTS, CHIP)
  rows = [row for row in estimate.tables(found)[0] if row[0] == "left out"]
  assert [text for _, text in rows] == list(estimate.LEFT_OUT)


def test_memory_and_its_margin():
  found = estimate.report(cost(), FACTS, CHIP)["memory"]
  assert (found["limit"], found["margin"]) == (1000, 300)
  bare = estimate.report(cost(), FACTS, None)
  assert "seconds" not in bare and "limit" not in bare["memory"]


def test_the_minimum_is_two_gathers_and_one_scatter():
  found = estimate.report(cost(), FACTS, CHIP)["network"]
  assert found["fsdp_minimum"] == 3 * 2 * 12 * 3 / 4
  assert found["over_minimum"] == pytest.approx(9 / 54)
  halves = estimate.fsdp_minimum(
    estimate.Facts(
      devices=4,
      hosts=2,
      batch=8,
      parameters=12,
      split=2,
      itemsize=2,
      model_flops=50,
      memory={},
      compile_seconds=1.0,
    )
  )
  assert halves == 3 * 2 * 6 * 1 / 2


def test_products_tell_what_their_padding_wastes():
  (found,) = estimate.report(cost(k=50), FACTS, CHIP)["products"]
  assert found["share"] == 1 and found["padded"] == pytest.approx(2.56)
  assert found["advice"] == "k=50 fills 39% of 128"
  assert estimate.advice(800, 1024, 4096, 128) == ""
  assert estimate.advice(1, 128, 128, 128).startswith("m=1")


def test_tables_show_every_number():
  text = str(estimate.tables(estimate.report(cost(k=50), FACTS, CHIP)))
  for shown in ("1.100", "35.5%", "compute", "54 B", "k=50", "300 B"):
    assert shown in text
