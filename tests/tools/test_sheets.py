import json
import os

import numpy as np
import PIL.Image
import pytest

from jmim.checkpoints import models
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import method as methods
from jmim.methods.mim import mae
from jmim.tools import sheets

DOC = """Draws something.

    python -m something
"""


def parse(*flags, num=4, **options):
  return sheets.parser(DOC, num, **options).parse_args(flags)


def test_a_parser_knows_what_all_have():
  args = parse("--workdir=gs://a/b", "--out=x.png")
  assert (args.workdir, args.out.name, args.num) == ("gs://a/b", "x.png", 4)
  assert not hasattr(args, "weights")
  args = parse("--workdir=a", "--out=x", "--weights=raw", weights=True)
  assert args.weights == "raw"


@pytest.mark.parametrize("num, least, fine", [(0, 1, 0), (1, 2, 0), (2, 2, 1)])
def test_too_few_rows_are_refused(tmp_path, num, least, fine):
  args = parse("--workdir=a", f"--out={tmp_path / 'x.png'}", f"--num={num}")
  if fine:
    sheets.check(args, least)
  else:
    with pytest.raises(errors.UserError, match=f"at least {least}"):
      sheets.check(args, least)


def test_a_run_without_what_is_drawn_is_named():
  model = models.Model(
    config=configs.override(configs.base(), ["method.type=mim.mae"]),
    method=mae.MAE.tiny(),
    weights=methods.Weights({}),
  )
  sheets.check_offers(model, "features", "mim.mae")
  with pytest.raises(errors.UserError) as e:
    sheets.check_offers(model, "dress", "edit.viton_dit", "WORKDIR")
  assert e.value.seen.startswith("mim.mae offers ")
  assert "features" in e.value.seen and e.value.key == "WORKDIR"
  assert e.value.fix == "name a run of edit.viton_dit"


def store(workdir, mark, age, **splits):
  """Results of a procedure, one part for each given array."""
  where = workdir / "applied" / mark
  for split, parts in splits.items():
    (where / split).mkdir(parents=True)
    for i, entries in enumerate(parts):
      np.savez(where / split / f"part_{i:05d}.npz", **entries)
  (where / "protocol.json").write_text(json.dumps({}))
  os.utime(where / "protocol.json", (age, age))


def test_results_are_the_latest_and_what_all_parts_hold(tmp_path):
  assert sheets.results(tmp_path) == {}
  one, two, three = (np.full((2, 3), i) for i in range(3))
  store(tmp_path, "old", 10, eval=[{"a": three}])
  parts = [{"a": one, "b": two}, {"a": two}]
  store(tmp_path, "new", 20, train=[{"a": three}], eval=parts)
  found = sheets.results(tmp_path)
  assert list(found) == ["a"]
  np.testing.assert_array_equal(found["a"], np.concatenate([one, two, three]))
  own = sheets.results(tmp_path, "eval")
  np.testing.assert_array_equal(own["a"], np.concatenate([one, two]))


def test_the_picture_is_written_and_named(tmp_path, capsys):
  picture = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
  args = parse("--workdir=a", f"--out={tmp_path / 'x.png'}")
  sheets.write(args, picture)
  assert "x.png" in capsys.readouterr().out
  with PIL.Image.open(args.out) as stored:
    np.testing.assert_array_equal(np.asarray(stored), picture)


def test_few_colours_are_kept_where_there_are_few(tmp_path):
  picture = np.zeros((8, 8, 3), np.uint8)
  picture[::2], picture[:, 5] = (255, 0, 0), (9, 200, 40)
  sheets.write_few(tmp_path / "a.png", picture)
  with PIL.Image.open(tmp_path / "a.png") as few:
    np.testing.assert_array_equal(few.convert("RGB"), picture)
  noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
  sheets.write_few(tmp_path / "b.png", noise, colours=16)
  with PIL.Image.open(tmp_path / "b.png") as few:
    assert len(few.convert("RGB").getcolors()) <= 16
