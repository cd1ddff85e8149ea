import re

import numpy as np
import pytest
import sources

from jmim.core import discovery
from jmim.evals.lib import base
from jmim.runlog import readings

DB = readings.Reading("dB", readings.HIGHER)


def test_a_line_is_one_where_its_number_is_there():
  assert readings.reference("pixels_top1", {"pixels_top1": 1}) is None
  assert readings.reference("a_colour", {"a": 1}) == ("a", "colour")
  pair = ("top1_k5", "untrained")
  assert readings.reference("untrained_top1_k5", {"top1_k5": 1}) == pair


def test_the_first_rule_that_fits_the_whole_name_counts():
  rules = (("top1", DB), (r"top\d+", readings.PERCENT))
  assert readings.of(rules, "top1") == DB
  assert readings.of(rules, "top5") == readings.PERCENT
  assert readings.of(rules, "top5_std") == readings.PLAIN


def test_readings_survive_a_file():
  rules = (("a", DB), ("b", readings.LESS))
  written = readings.stored(rules, ["a", "b", "c"])
  assert written == {"a": ["dB", "higher"], "b": ["", "lower"]}
  assert readings.loaded(written) == {"a": DB, "b": readings.LESS}
  assert readings.loaded(None) == {}
  assert readings.loaded({"a": 3, "b": ["%"], "c": ["", "higher"]}) == {
    "c": readings.MORE
  }


@pytest.mark.parametrize(
  "value, reading, told",
  [
    (0.0086, readings.LESS, "x: better than the nearest visible pixel, "),
    (0.5, readings.LESS, "x: not better than the nearest visible pixel, "),
    (0.5, readings.MORE, "x: better than the mean visible colour, "),
    (0.0301, readings.MORE, "x: not better than the mean visible colour, "),
  ],
)
def test_a_number_is_compared_with_the_best_of_its_lines(value, reading, told):
  lines = {"colour": 0.0301, "nearest": 0.0122}
  assert readings.sentence("x", value, lines, reading).startswith(told)


def test_a_sentence_says_both_numbers_with_their_unit():
  text = readings.sentence("r", 31.0, {"input": 24.125}, DB)
  assert text == "r: better than what it was given, 31.00 dB against 24.12 dB"
  assert not readings.sentence("r", 31.0, {}, DB)
  assert not readings.sentence("r", 31.0, {"input": 1.0}, readings.PLAIN)


def test_lines_stand_in_order_of_merit():
  lines = {"pixels": 30.0, "untrained": 40.0}
  shown = readings.beside(lines, readings.PERCENT)
  assert shown == "untrained 40.00 %, pixels 30.00 %"
  assert readings.beside(lines, readings.LESS).startswith("pixels")


def test_no_name_stands_twice():
  assert readings.label("loss", "loss") == "loss"
  assert readings.label("loss", "recon") == "loss/recon"


@pytest.mark.parametrize(
  "name, key, reading",
  [
    ("fid", "sfid", readings.LESS),
    ("fid", "fid_infinity", readings.LESS),
    ("attributes", "untrained_hue_accuracy_0to4", readings.PERCENT),
    ("attributes", "blind_size_r", readings.MORE),
    ("attributes", "mean_ap_1_mse", readings.LESS),
    ("restoration", "psnr", DB),
    ("dense", "rmse_lr0.01", readings.LESS),
  ],
)
def test_numbers_read_as_their_evaluators_measure_them(name, key, reading):
  assert readings.of(discovery.find_evaluator(name).reads, key) == reading


def test_what_a_restorer_was_given_is_its_line():
  found = readings.compared({"psnr": 30.0, "psnr_y": 31.0, "psnr_input": 20.0})
  assert found == {"psnr": {"input": 20.0}, "psnr_y": {}}


@pytest.mark.parametrize("name", base.names())
def test_rules_of_evaluators_are_patterns_with_a_direction(name):
  for pattern, reading in discovery.find_evaluator(name).reads:
    assert not readings.of(((pattern, reading),), "examples").unit
    assert reading.better in ("", readings.HIGHER, readings.LOWER)
    assert reading.unit or reading.better


def test_a_table_of_numbers_needs_no_more_than_them():
  values = {"a": 1.0, "pixels_a": 2.0, "pixels_pixels_a": 3.0}
  found = readings.compared(values)
  assert found == {"a": {"pixels": 2.0}, "pixels_pixels_a": {}}
  assert readings.number(np.float32(0.5)) == "0.5000"


def test_the_glossary_has_the_units_of_evaluators():
  page = (sources.ROOT / "docs" / "glossary.md").read_text()
  table = page.partition("| evaluator |")[2]
  rows = re.findall(r"^\| (?:`(\w+)`)? ?\|.*\| ([^|]*)\| [^|]*\|$", table, re.M)
  told, name = {}, ""
  for given, cell in rows:
    name = given or name
    told.setdefault(name, set()).update(re.split(r"[,;] ", cell.strip()))
  assert told.keys() == set(base.names())
  units = {"%", "nats", "bits", "px", "mm", "dB"}
  for name, words in told.items():
    reads = discovery.find_evaluator(name).reads
    assert words & units == {r.unit for _, r in reads if r.unit}, name


def test_small_numbers_keep_their_digits_before_a_unit():
  assert readings.number(0.00417, readings.Reading("nats")) == "4.170e-03 nats"
  assert readings.number(0.4173, readings.Reading("nats")) == "0.4173 nats"
  assert readings.number(41.726, readings.PERCENT) == "41.73 %"
