import numpy as np
import PIL.Image
import pytest

from jmim.tools import draw_words

RNG = np.random.default_rng(0)


def write(workdir, sizes=(3, 2), **more):
  """Results of a procedure, in parts of two splits."""
  where, n = workdir / "applied" / "a", sum(sizes)
  rows = {
    "image": RNG.integers(256, size=(n, 8, 8, 3), dtype="u1"),
    "word_map": RNG.random((n, 8, 8), dtype="f4"),
    "mask": RNG.integers(2, size=(n, 8, 8), dtype="u1"),
  } | more
  first = 0
  for split, size in zip(("eval", "train"), sizes, strict=True):
    (where / split).mkdir(parents=True)
    part = {k: x[first : first + size] for k, x in rows.items()}
    np.savez(where / split / "part_00000.npz", **part)
    first += size
  (where / "protocol.json").write_text("{}")
  return rows


def test_columns_are_what_there_is(tmp_path):
  seeds = RNG.choice([0, 1, 255], size=(5, 8, 8)).astype("u1")
  rows = write(tmp_path, seeds=seeds)
  found = draw_words.read(tmp_path, 4)
  for name, x in rows.items():
    np.testing.assert_array_equal(found[name], x[:4])
  shown = draw_words.columns(found)
  assert list(shown) == ["image", "map", "seeds", "mask"]
  image, mask = found["image"], found["mask"] == 1
  np.testing.assert_array_equal(shown["mask"][mask], image[mask])
  np.testing.assert_array_equal(shown["mask"][~mask], image[~mask] // 4)
  assert (shown["seeds"][seeds[:4] == 255] == 128).all()


def test_a_bright_map_is_seen_over_the_image(tmp_path):
  image = np.full((5, 8, 8, 3), 100, "u1")
  ramp = np.broadcast_to(np.linspace(0, 1, 8, dtype="f4"), (5, 8, 8))
  write(tmp_path, image=image, word_map=ramp.copy())
  shown = draw_words.columns(draw_words.read(tmp_path, 1))["map"]
  light = shown[0].sum(-1).mean(0)
  assert (np.diff(light) > 0).all()


def test_the_picture_is_written(tmp_path, capsys):
  write(tmp_path)
  out = tmp_path / "words.png"
  flags = [f"--workdir={tmp_path}", f"--out={out}", "--num=2"]
  assert draw_words.main(flags) == 0 and str(out) in capsys.readouterr().out
  with PIL.Image.open(out) as picture:
    assert picture.size[0] == 3 * (128 + 6)


@pytest.mark.parametrize(
  "flags, drop, words",
  [
    (["--num=9"], "", "at most 5 results"),
    (["--num=0"], "", "at least 1"),
    ([], "word_map", "results of edit.diffumask"),
  ],
)
def test_mistakes_end_in_a_screen(tmp_path, flags, drop, words, capsys):
  write(tmp_path)
  if drop:
    for path in tmp_path.glob("applied/a/*/part*.npz"):
      with np.load(path) as stored:
        rows = {k: x for k, x in stored.items() if k != drop}
      np.savez(path, **rows)
  out = f"--out={tmp_path / 'x.png'}"
  assert draw_words.main([f"--workdir={tmp_path}", out, *flags]) == 2
  assert words in capsys.readouterr().err


def test_a_folder_without_results(tmp_path, capsys):
  flags = [f"--workdir={tmp_path}", f"--out={tmp_path / 'x.png'}"]
  assert draw_words.main(flags) == 2
  assert "no results" in capsys.readouterr().err
