"""The report's arithmetic on numbers made up here."""

import pytest

from jmim.cost import estimate
from jmim.cost import hlo_collectives
from jmim.cost import hlo_cost
from jmim.parallel import chips

CHIP = chips.Chip(
  peak=100.0, hbm=1000, bandwidth=50.0, ici=10.0, dcn=1.0, unit=128
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


def cost(flops=110, traffic=40, inside=9.0, between=0.0):
  return hlo_cost.Cost(
    [hlo_cost.Product(name="fc", m=8, n=128, k=50, flops=flops // 2, times=2)],
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
  (found,) = estimate.report(cost(), FACTS, CHIP)["products"]
  assert found["share"] == 1 and found["padded"] == pytest.approx(2.56)
  assert found["advice"] == "k=50 fills 39% of 128"
  assert estimate.advice(800, 1024, 4096, 128) == ""
  assert estimate.advice(1, 128, 128, 128).startswith("m=1")


def test_tables_show_every_number():
  text = str(estimate.tables(estimate.report(cost(), FACTS, CHIP)))
  for shown in ("1.100", "90.9%", "compute", "54 B", "k=50", "300 B"):
    assert shown in text
