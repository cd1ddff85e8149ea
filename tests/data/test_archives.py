"""Archives as their authors publish them, with images of our own."""

import gzip
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import PIL.Image
import pytest
import scipy.io

from jmim.core import errors
from jmim.data import archives

TEN = [f"kind{i}" for i in range(10)]


def pack(path, files, mode="w"):
  """A tar of {name: bytes}."""
  with tarfile.open(path, mode) as archive:
    for name, data in files.items():
      member = tarfile.TarInfo(name)
      member.size = len(data)
      archive.addfile(member, io.BytesIO(data))
  return path


def pixels(count, seed):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (count, 3, 32, 32), np.uint8)


def cifar10(path, binary):
  """Two images a batch; {split: images}."""
  names = {"train": [f"data_batch_{i}" for i in range(1, 6)]}
  names["test"] = ["test_batch"]
  files, images = {}, {}
  for split, batches in names.items():
    every = []
    for name in batches:
      x, labels = pixels(2, len(files)), [len(files), 9]
      every.append(x)
      if binary:
        rows = [
          bytes([y]) + i.tobytes() for y, i in zip(labels, x, strict=True)
        ]
        files[f"cifar-10-batches-bin/{name}.bin"] = b"".join(rows)
      else:
        batch = {b"data": x.reshape(2, -1), b"labels": labels}
        files[f"cifar-10-batches-py/{name}"] = pickle.dumps(batch, protocol=2)
    images[split] = np.concatenate(every)
  if binary:
    files["cifar-10-batches-bin/batches.meta.txt"] = "\n".join(TEN).encode()
  else:
    about = pickle.dumps({b"label_names": [n.encode() for n in TEN]}, 2)
    files["cifar-10-batches-py/batches.meta"] = about
  return pack(path, files, "w:gz"), images


def decoded(example):
  return np.asarray(PIL.Image.open(example["image"]))


@pytest.mark.parametrize("binary", [False, True])
def test_cifar_10_is_read_in_both_formats(tmp_path, binary):
  path, images = cifar10(tmp_path / "cifar.tar.gz", binary)
  archive = archives.cifar(path, 10)
  assert list(archive.classes) == TEN and archive.shape == (32, 32, 3)
  for split, want in images.items():
    found = list(archive.splits[split]())
    got = np.stack([decoded(x) for x in found])
    np.testing.assert_array_equal(got, want.transpose(0, 2, 3, 1))
  labels = [x["label"] for x in archive.splits["train"]()]
  assert labels == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]


def test_of_a_hundred_classes_the_fine_ones_are_read(tmp_path):
  x, files = pixels(2, 0), {}
  for name in ("train", "test"):
    rows = [
      bytes([7, y]) + i.tobytes() for y, i in zip((3, 99), x, strict=True)
    ]
    files[f"b/{name}.bin"] = b"".join(rows)
  fine = [f"fine{i}" for i in range(100)]
  files["b/fine_label_names.txt"] = "\n".join(fine).encode()
  path = pack(tmp_path / "binary.tar.gz", files, "w:gz")
  archive = archives.cifar(path, 100)
  assert [x["label"] for x in archive.splits["test"]()] == [3, 99]
  batch = {b"data": x.reshape(2, -1), b"fine_labels": [3, 99]}
  pickled = {f"p/{n}": pickle.dumps(batch, 2) for n in ("train", "test")}
  names = {b"fine_label_names": [n.encode() for n in fine]}
  pickled["p/meta"] = pickle.dumps(names, 2)
  other = archives.cifar(pack(tmp_path / "py.tar.gz", pickled, "w:gz"), 100)
  assert other.classes == archive.classes == fine
  a, b = (next(z.splits["train"]()) for z in (archive, other))
  np.testing.assert_array_equal(decoded(a), decoded(b))


class _Evil:
  def __reduce__(self):
    return os.mkdir, ("ran",)


@pytest.mark.parametrize(
  "data, seen",
  [
    (pickle.dumps({b"label_names": _Evil()}, 2), "asks for posix.mkdir"),
    (pickle.dumps(np.dtype("O").type, 2), "asks for numpy.object_"),
    (b"\x80\x02cnumpy\nndarray\nK\x05\x85R.", "not callable"),
    (b"\x80\x02X", "struct|error"),
  ],
)
def test_a_pickle_that_would_do_more_is_refused(
  tmp_path, monkeypatch, data, seen
):
  monkeypatch.chdir(tmp_path)
  path, _ = cifar10(tmp_path / "cifar.tar.gz", False)
  with tarfile.open(path) as archive:
    files = {m: archive.extractfile(m).read() for m in archive.getnames()}
  files["cifar-10-batches-py/batches.meta"] = data
  with pytest.raises(errors.UserError, match=seen):
    archives.cifar(pack(tmp_path / "evil.tar.gz", files, "w:gz"), 10)
  assert not (tmp_path / "ran").exists()


def _batch_of(path, data):
  """The images of the first batch of an archive with another content."""
  cifar10(path, False)
  with tarfile.open(path) as archive:
    files = {m: archive.extractfile(m).read() for m in archive.getnames()}
  files["cifar-10-batches-py/data_batch_1"] = data
  return archives.cifar(pack(path, files, "w:gz"), 10).splits["train"]()


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_batch_of_many_images_is_within_the_bounds(
  tmp_path, protocol, by_column
):
  # 3 MB, as in Python 3 a call and a state: more bytes than things are allowed.
  x = pixels(1000, 0).reshape(1000, -1)
  stored = np.asfortranarray(x) if by_column else x
  batch = {b"data": stored, b"labels": [3] * 1000}
  data = pickle.dumps(batch, protocol)
  found = list(_batch_of(tmp_path / "a.tar.gz", data))[:1000]
  x = x.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
  for i in (0, 999):
    np.testing.assert_array_equal(decoded(found[i]), x[i])


_STATE = (
  b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\n"
  b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01%scnumpy\ndtype\n"
  b"U\x02%sK\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
  b"\x89U\x03abctbU\x06labels]K\x01au."
)


@pytest.mark.parametrize(
  "data, seen",
  [
    (_STATE % (b"K\x01K\x03\x86", b"u1"), "cannot reshape array of size 3"),
    (_STATE % (b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", b"u1"), "reshape"),
    (_STATE % (b"K\x03\x85", b"O8"), "an array of b'O8', not of bytes"),
    (
      b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aU\x03zip\x86R.",
      "in b'zip'",
    ),
    (b"\x80\x02}U\x01aK\x01s.", "KeyError"),
    (b"\x80\x02]r\xff\xff\xff\x01h\x00.", "UnpicklingError"),
    (pickle.dumps([1, 2], 2), "TypeError"),
  ],
)
def test_a_batch_that_makes_no_sense_is_refused(tmp_path, data, seen):
  with pytest.raises(errors.UserError, match=seen):
    next(_batch_of(tmp_path / "a.tar.gz", data))


def test_another_archive_is_refused(tmp_path):
  path = pack(tmp_path / "other.tar.gz", {"readme": b"x"}, "w:gz")
  with pytest.raises(errors.UserError, match="has no data_batch_1"):
    archives.cifar(path, 10)
  (tmp_path / "cut.tar.gz").write_bytes(b"\x1f\x8b\x08 not whole")
  with pytest.raises(errors.UserError, match="as its authors publish it"):
    archives.cifar(tmp_path / "cut.tar.gz", 10)


def write_idx(path, array):
  head = b"\0\0\x08" + bytes([array.ndim])
  head += struct.pack(f">{array.ndim}I", *array.shape)
  data = head + array.tobytes()
  path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def test_mnist_is_read_packed_or_not(tmp_path):
  rng, wanted = np.random.default_rng(0), {}
  for split, end in (("train", ".gz"), ("t10k", "")):
    x = rng.integers(0, 256, (3, 28, 28), np.uint8)
    wanted[split] = x
    write_idx(tmp_path / f"{split}-images-idx3-ubyte{end}", x)
    y = np.arange(3, dtype=np.uint8)
    write_idx(tmp_path / f"{split}-labels-idx1-ubyte{end}", y)
  archive = archives.idx(tmp_path)
  for split, name in (("train", "train"), ("test", "t10k")):
    found = list(archive.splits[split]())
    np.testing.assert_array_equal([decoded(x) for x in found], wanted[name])
    assert [x["label"] for x in found] == [0, 1, 2]
  path = tmp_path / "t10k-labels-idx1-ubyte"
  path.write_bytes(path.read_bytes()[:-1])
  with pytest.raises(errors.UserError, match=r"2 bytes of an array \(3,\)"):
    list(archive.splits["test"]())


def jpeg(value):
  file = io.BytesIO()
  PIL.Image.new("RGB", (9, 5), (value, 0, 0)).save(file, "jpeg")
  return file.getvalue()


def imagenet(folder):
  """Three classes whose numbers are in another order than their synsets."""
  ids = {1: "n03", 2: "n01", 3: "n02", 4: "n00"}  # the last is no class
  kinds = [("ILSVRC2012_ID", "i4"), ("WNID", "U9"), ("num_children", "i4")]
  rows = np.array([(i, n, int(i == 4)) for i, n in ids.items()], kinds)
  meta = io.BytesIO()
  scipy.io.savemat(meta, {"synsets": rows[:, None]})
  inner = {}
  for i, name in list(ids.items())[:3]:
    images = {f"{name}_{k}.JPEG": jpeg(10 * i + k) for k in range(2)}
    path = pack(folder / f"{name}.tar", images)
    inner[f"{name}.tar"] = path.read_bytes()
  validation = {
    f"ILSVRC2012_val_{k:08d}.JPEG": jpeg(100 + k) for k in (2, 1, 3)
  }
  kit = {
    "kit/data/meta.mat": meta.getvalue(),
    "kit/data/ILSVRC2012_validation_ground_truth.txt": b"3\n1\n2\n",
  }
  return (
    pack(folder / "train.tar", inner),
    pack(folder / "val.tar", validation),
    pack(folder / "kit.tar.gz", kit, "w:gz"),
  )


def test_imagenet_has_the_labels_of_its_sorted_synsets(tmp_path):
  archive = archives.imagenet(*imagenet(tmp_path))
  assert archive.classes == ["n01", "n02", "n03"]
  train = [x["label"] for x in archive.splits["train"]()]
  assert train == [2, 2, 0, 0, 1, 1]
  found = list(archive.splits["validation"]())
  assert [x["label"] for x in found] == [2, 1, 0]  # members 2, 1, 3
  assert found[0]["image"] == jpeg(102)


def test_images_without_a_label_in_the_kit_are_an_error(tmp_path):
  train, _, kit = imagenet(tmp_path)
  other = {"ILSVRC2012_val_00000001.JPEG": jpeg(1)}
  few = pack(tmp_path / "few.tar", other)
  with pytest.raises(errors.UserError, match="1 images, of 3 with a label"):
    list(archives.imagenet(train, few, kit).splits["validation"]())
  wrong = pack(tmp_path / "wrong.tar", {"n77.tar": b""})
  with pytest.raises(errors.UserError, match="no class of the kit"):
    list(archives.imagenet(wrong, few, kit).splits["train"]())


def test_a_table_of_matlab_is_unpacked_to_a_limit(tmp_path):
  train, validation, _ = imagenet(tmp_path)
  for size, seen in ((2**26, "more than 67108864 bytes"), (9, "synsets")):
    meta = io.BytesIO()
    x = np.zeros(size, np.uint8)
    scipy.io.savemat(meta, {"x": x}, do_compression=True)
    files = {
      "data/meta.mat": meta.getvalue(),
      "data/ILSVRC2012_validation_ground_truth.txt": b"1",
    }
    kit = pack(tmp_path / "kit.tar.gz", files, "w:gz")
    with pytest.raises(errors.UserError, match=seen):
      archives.imagenet(train, validation, kit)
