import json
import os

import numpy as np
import PIL.Image
import pytest

from jmim.tools import draw_edits

RNG = np.random.default_rng(0)
SECTION = {"type": "edit.h_space", "alphas": [-2.0, 2.0]}


def write(workdir, sizes=(3, 2), mark="a", section=SECTION, shape=(5, 8, 8, 3)):
  """Results of a procedure: one direction or two, in parts."""
  where = workdir / "applied" / mark
  (where / "eval").mkdir(parents=True)
  (where / "protocol.json").write_text("{}")
  config = {"procedure": section}
  (workdir / "config.json").write_text(json.dumps(config))
  images = RNG.integers(256, size=(sum(sizes), *shape), dtype="u1")
  first = 0
  for i, n in enumerate(sizes):
    np.savez(
      where / "eval" / f"part_{i:05d}.npz",
      image=images[first : first + n],
      index=np.arange(first, first + n),
    )
    first += n
  return images


def test_columns_are_directions_by_strengths(tmp_path, capsys):
  images = write(tmp_path)
  found, section = draw_edits.read(tmp_path, 4)
  np.testing.assert_array_equal(found, images[:4])
  shown = draw_edits.columns(found, section["alphas"])
  assert list(shown) == ["as it is", "1 -2", "1 +2", "2 -2", "2 +2"]
  np.testing.assert_array_equal(shown["2 -2"], images[:4, 3])
  out = tmp_path / "pcs.png"
  flags = [f"--workdir={tmp_path}", f"--out={out}"]
  assert draw_edits.main(flags) == 0
  assert str(out) in capsys.readouterr().out
  with PIL.Image.open(out) as picture:
    assert picture.size[0] == 5 * (64 + 6) and picture.size[1] > 4 * 64


def test_the_latest_results_are_drawn(tmp_path):
  write(tmp_path, mark="old")
  os.utime(tmp_path / "applied" / "old" / "protocol.json", (0, 0))
  images = write(tmp_path, mark="new")
  np.testing.assert_array_equal(draw_edits.read(tmp_path, 5)[0], images)


@pytest.mark.parametrize(
  "flags, section, words",
  [
    (["--num=9"], SECTION, "at most 5 results"),
    (["--num=0"], SECTION, "at least 1"),
    ([], {"type": "edit.img2img"}, "edit.img2img makes no edits"),
  ],
)
def test_mistakes_are_one_screen(tmp_path, capsys, flags, section, words):
  write(tmp_path, section=section)
  out = f"--out={tmp_path / 'pcs.png'}"
  assert draw_edits.main([f"--workdir={tmp_path}", out, *flags]) == 2
  assert words in capsys.readouterr().err


def test_a_folder_without_results_is_named(tmp_path, capsys):
  (tmp_path / "config.json").write_text(json.dumps({"procedure": SECTION}))
  flags = [f"--workdir={tmp_path}", f"--out={tmp_path / 'a.png'}"]
  assert draw_edits.main(flags) == 2
  assert "holds no results" in capsys.readouterr().err
