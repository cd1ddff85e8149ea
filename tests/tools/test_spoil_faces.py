"""Faces with a setting each, as a data set of pairs."""

import numpy as np
import PIL.Image
import pytest

from jmim.data import decode
from jmim.data import sources
from jmim.tools import spoil_faces

SIDE, N = 48, 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Smooth pictures, each of another tint."""
  root, ramp = tmp_path_factory.mktemp("faces"), np.linspace(0, 120, SIDE)
  for i in range(N):
    grey = ramp[:, None, None] + ramp[None, :, None]
    tint = np.array([0, 5, 10]) + i / 2
    image = np.clip(grey + tint, 0, 255).astype(np.uint8)
    PIL.Image.fromarray(image).save(root / f"{i:03}.png")
  return root


@pytest.fixture(scope="module")
def written(folder, tmp_path_factory):
  out = tmp_path_factory.mktemp("out")
  argv = [f"--images={folder}", f"--out={out}", "--seed=3"]
  assert spoil_faces.main(argv) == 0
  return lambda split: sources.build("celeba_test", split, str(out)), argv


def test_the_settings_are_the_product_and_the_last_varies_fastest():
  known = spoil_faces.settings(5000)
  assert len(known) == len(set(known)) == 5 * 10 * 5 * 4 * 4
  assert known[0] == (30, 4, 1, 4, 0.0) and known[-1][:4] == (70, 40, 20, 16)
  assert known[1] == (30, 4, 1, 4, np.pi / 4)
  assert known[4] == (30, 4, 1, 8, 0.0) and known[16] == (30, 4, 5, 4, 0.0)
  assert known[80] == (30, 8, 1, 4, 0.0) and known[800] == (40, 4, 1, 4, 0.0)
  few = spoil_faces.settings(20)
  assert few == known[::200]


def test_all_images_are_there_spoilt_and_as_they_were(folder, written):
  source = written[0]("all")
  files = [np.asarray(PIL.Image.open(p)) for p in sorted(folder.iterdir())]
  wanted = {x.tobytes() for x in files}
  assert len(source) == N == len(wanted)
  for i in range(N):
    low, high = (decode.decode(source[i][n], 3) for n in ("low", "high"))
    assert low.shape == high.shape == (SIDE, SIDE, 3)
    wanted.remove(high.tobytes())
    assert 1 < np.abs(low.astype(float) - high).mean() < 100
  assert not wanted


def test_a_split_has_the_images_of_a_reduction(written):
  read, chosen = written[0], spoil_faces.settings(N)
  for reduction in {s.reduction for s in chosen}:
    count = sum(s.reduction == reduction for s in chosen)
    assert len(read(f"sf{reduction}")) == count
  assert len(read("sf4+sf12")) == sum(s.reduction in (4, 12) for s in chosen)


def test_more_of_anything_spoils_more_and_a_seed_repeats():
  x = np.kron(np.indices((6, 6)).sum(0) % 2, np.ones((8, 8)))
  image = np.repeat(200 * x[..., None], 3, -1).astype(np.uint8) + 20
  mild = spoil_faces.settings(4000)[3200]  # the best JPEG, all else least
  made = spoil_faces.spoilt(image, mild, 0, 0)
  np.testing.assert_array_equal(made, spoil_faces.spoilt(image, mild, 0, 0))
  assert (made != spoil_faces.spoilt(image, mild, 1, 0)).any()
  contrast = lambda **change: (
    spoil_faces.spoilt(image, mild._replace(**change), 0, 0).std((0, 1)).mean()
  )
  assert contrast(reduction=40) < contrast()
  assert contrast(blur=16) < contrast()


def test_mistakes(folder, tmp_path, capsys, written):
  with pytest.raises(SystemExit):
    spoil_faces.main([f"--images={tmp_path / 'gone'}", "--out=o"])
  assert "no folder" in capsys.readouterr().err
  asked = [f"--images={tmp_path}", f"--out={tmp_path / 'out'}"]
  assert spoil_faces.main(asked) == 2
  assert "without images" in capsys.readouterr().err
  for name, sides in (("a", (48, 48)), ("b", (48, 50))):
    PIL.Image.new("RGB", sides).save(tmp_path / f"{name}.png")
  assert spoil_faces.main(asked) == 2
  assert "b.png: [50, 48] pixels" in capsys.readouterr().err
  assert spoil_faces.main(written[1]) == 2
  assert "is there" in capsys.readouterr().err
