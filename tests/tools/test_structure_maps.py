import numpy as np
import PIL.Image
import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.data import decode
from jmim.data import pipeline
from jmim.data import sources
from jmim.nn import structure
from jmim.session import build
from jmim.tools import structure_maps


def save(path, array):
  path.parent.mkdir(parents=True, exist_ok=True)
  PIL.Image.fromarray(array).save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Images with masks one by one (a), as a picture (b), and without (c)."""
  root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
  halves = np.zeros((20, 26, 3), np.uint8)
  halves[:, 13:] = 200
  for split, name in (("train", "a"), ("train", "b"), ("test", "c")):
    noise = rng.integers(0, 20, halves.shape, np.uint8)
    save(root / "in" / split / f"{name}.png", halves + noise)
  first = np.zeros((20, 26), np.uint8)
  first[:15, :20] = 255
  second = np.zeros((20, 26), np.uint8)
  second[10:, 10:] = 1
  for i, mask in ((2, first), (10, second)):  # 10 comes after 2
    save(root / "masks" / "train" / "a" / f"{i}.png", mask)
  ids = np.where(second > 0, 2, first // 255).astype(np.uint8)
  save(root / "masks" / "train" / "b.png", ids)
  return root, first, second, ids


@pytest.fixture(scope="module")
def written(folder):
  root, *_ = folder
  argv = [f"--images={root / 'in'}", f"--masks={root / 'masks'}"]
  argv += [f"--out={root / 'out'}", "--name=maps", "--tile=16", "--stride=8"]
  argv += ["--colours=2"]
  assert structure_maps.main(argv) == 0
  read = lambda split: sources.build("maps", split, str(root / "out"))
  return {split: read(split) for split in ("train", "test")}, argv


def corners():
  return [(y, x) for y in (0, 4) for x in (0, 8, 10)]


def test_tiles_cover_an_image_and_the_last_ends_with_it():
  assert structure_maps.corners(26, 16, 8) == [0, 8, 10]
  assert structure_maps.corners(32, 16, 16) == [0, 16]
  assert structure_maps.corners(16, 16, 8) == [0]


def test_maps_are_of_whole_images_and_cut_with_them(folder, written):
  root, first, second, ids = folder
  train = written[0]["train"]
  assert len(train) == 12 and len(written[0]["test"]) == 6
  maps = [structure.of_masks([first, second], (20, 26))]
  maps.append(structure.of_labels(ids))
  # Files are shuffled by their keys: each tile is found by its pixels.
  wanted = {}
  for name, found in zip("ab", maps, strict=True):
    image = np.asarray(PIL.Image.open(root / "in" / "train" / f"{name}.png"))
    for y, x in corners():
      tile = (slice(y, y + 16), slice(x, x + 16))
      wanted[image[tile].tobytes()] = found[tile]
  for i in range(12):
    made = train[i]
    pixels = decode.decode(made["image"], 3)
    np.testing.assert_array_equal(
      made["structure"], wanted.pop(pixels.tobytes())
    )
  assert not wanted
  assert abs(maps[0] - maps[1]).max() > 1e-3  # the first keeps its whole area


def test_an_image_without_masks_has_those_of_its_colours(written):
  found = np.stack(
    [x["structure"] for x in map(written[0]["test"].__getitem__, range(6))]
  )
  halves = np.arange(26) >= 13
  ids = np.broadcast_to(halves + 1, (20, 26))
  values = np.unique(structure.of_labels(ids))
  np.testing.assert_allclose(np.unique(found), values, atol=1e-7)


def test_a_batch_has_the_map_cropped_with_its_image(folder, written):
  """The recipe's crop: of the tile's own pixels, none is resized."""
  root, *_ = folder
  config = configs.base()
  config.data.update(
    name="maps",
    data_dir=str(root / "out"),
    batch=8,
    size=8,
    flip=False,
    host_crop="resized",
    crop_scale=(0.25, 0.25),
    crop_ratio=(1.0, 1.0),
  )
  config.method = configs.section(
    type="restore.sam_diffsr", structure=configs.section(read="stored")
  )
  spec = build.make_spec(config)
  source = written[0]["train"]
  batch = next(iter(pipeline.training_batches(source, spec)))
  for image, found, i in zip(
    batch["image"], batch["structure"], batch["index"], strict=True
  ):
    whole = decode.decode(source[int(i)]["image"], 3)
    places = [
      (y, x)
      for y in range(9)
      for x in range(9)
      if (whole[y : y + 8, x : x + 8] == image).all()
    ]
    ((y, x),) = places
    cut = source[int(i)]["structure"][y : y + 8, x : x + 8]
    np.testing.assert_array_equal(found, cut)


def test_numbers_of_regions_are_read_as_they_are_stored(tmp_path):
  """No palette is looked up, and 16 bits are not made 8 of."""
  ids = np.array([[0, 1, 2], [3, 3, 300]])
  save(tmp_path / "deep.png", ids.astype(np.uint16))
  found = structure_maps.mask(tmp_path / "deep.png", (2, 3))
  np.testing.assert_array_equal(found, ids)
  picture = PIL.Image.fromarray(ids.clip(0, 4).astype(np.uint8))
  picture.putpalette([0, 0, 0] * 2 + [9, 0, 0] * 3)
  picture.save(tmp_path / "palette.png")
  found = structure_maps.mask(tmp_path / "palette.png", (2, 3))
  np.testing.assert_array_equal(found, ids.clip(0, 4))
  save(tmp_path / "colours.png", np.zeros((2, 3, 3), np.uint8))
  with pytest.raises(errors.UserError, match="a mask of 3 channels"):
    structure_maps.mask(tmp_path / "colours.png", (2, 3))


def test_it_is_not_written_twice(written, capsys):
  assert structure_maps.main(written[1]) == 2
  assert "--name" in capsys.readouterr().err


@pytest.mark.parametrize(
  "change, said",
  [
    (["--tile=21"], ["--tile=21", "c.png", "lower it"]),
    (["--masks={root}/wrong"], ["--masks", "mask of [9, 9]", "[20, 26]"]),
    (["--images={root}/in/train"], ["--images", "a folder for each split"]),
  ],
)
def test_mistakes_are_named(folder, written, change, said, capsys):
  root, *_ = folder
  save(root / "wrong" / "train" / "a.png", np.ones((9, 9), np.uint8))
  changed = [x.format(root=root) for x in change]
  argv = [*written[1], "--name=other", *changed]
  assert structure_maps.main(argv) == 2
  text = " ".join(capsys.readouterr().err.split())
  assert all(words in text for words in said), text
