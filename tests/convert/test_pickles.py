"""PyTorch's pickles, read without running what they say."""

import argparse
import io
import os
import pickle

import ml_dtypes
import numpy as np
import pytest
import torchfile

from jmim.convert import pickles
from jmim.core import unpickler

SAVERS = [torchfile.save_zip, torchfile.save_plain]


def read(path):
  return {n: t.read() for n, t in pickles.read(path).items()}


@pytest.mark.parametrize("save", SAVERS)
def test_nested_dicts_views_and_options_of_a_run(tmp_path, save):
  base = np.arange(12, dtype=np.float32)
  thing = {
    "model": {
      "turned": torchfile.Tensor(base, stride=(1, 4), shape=(4, 3)),
      "part": torchfile.Tensor(base, stride=(1,), shape=(2,), offset=5),
    },
    "optimizer": {"state": [{"m": torchfile.Tensor(base)}]},
    "args": argparse.Namespace(lr=0.1),
    "epoch": 3,
  }
  save(tmp_path / "x", thing)
  arrays = read(tmp_path / "x")
  assert set(arrays) == {"model.turned", "model.part", "optimizer.state.0.m"}
  np.testing.assert_array_equal(arrays["model.turned"], base.reshape(3, 4).T)
  np.testing.assert_array_equal(arrays["model.part"], [5, 6])


class Evil:
  """Pickles as a call."""

  def __init__(self, call, *arguments):
    self.call = call, arguments

  def __reduce__(self):
    return self.call


def save_bare(path, thing):
  path.write_bytes(pickle.dumps(thing, protocol=4))


@pytest.mark.parametrize("save", [*SAVERS, save_bare])
@pytest.mark.parametrize("call", [os.system, eval, exec, os.remove])
def test_a_pickle_that_calls_something_is_refused_unrun(tmp_path, save, call):
  mark, path = tmp_path / "mark", tmp_path / "evil.pth"
  mark.write_text("")
  text = {
    os.system: f"rm {mark}",
    os.remove: str(mark),
  }.get(call, f"__import__('os').remove({str(mark)!r})")
  save(path, {"model": Evil(call, text)})
  with pytest.raises(unpickler.Refused, match=call.__name__) as e:
    pickles.read(path)
  assert "nothing of it was run" in str(e.value)
  assert mark.exists()


@pytest.mark.parametrize(
  "name",
  [
    "torch\nFloatStorage",
    "torch._utils\n_rebuild_tensor_v2",
    "argparse\nNamespace",
  ],
)
def test_a_pickle_cannot_change_the_reader(tmp_path, name):
  build = f"c{name}\n}}U\x05dtypeK\x01sb.".encode()
  (tmp_path / "evil.pth").write_bytes(b"\x80\x02" + build)
  with pytest.raises(unpickler.Refused, match=r"changes objects|TypeError"):
    pickles.read(tmp_path / "evil.pth")
  good = {"a": torchfile.Tensor(np.arange(3, dtype=np.float32))}
  torchfile.save_zip(tmp_path / "good.pth", good)
  np.testing.assert_array_equal(read(tmp_path / "good.pth")["a"], [0, 1, 2])


def plain(path, content, keys):
  """The plain format with these pickles, and no numbers after them."""
  with path.open("wb") as file:
    for thing in (torchfile.MAGIC, 1001, {}, content, keys):
      pickle.dump(thing, file, protocol=2)


def test_a_dict_that_holds_itself_is_refused(tmp_path):
  loop = {}
  loop["again"] = loop
  plain(tmp_path / "x", loop, [])
  with pytest.raises(unpickler.Refused, match="nested deeper than 64"):
    pickles.read(tmp_path / "x")


def test_a_storage_that_no_key_announces_is_refused(tmp_path):
  good = {"a": torchfile.Tensor(np.zeros(3, np.float32))}
  torchfile.save_plain(tmp_path / "x", good)
  raw = (tmp_path / "x").read_bytes()
  keys = pickle.dumps(["0"], protocol=2)
  assert raw.count(keys) == 1
  empty = pickle.dumps([], protocol=2)
  (tmp_path / "x").write_bytes(raw.replace(keys, empty))
  with pytest.raises(unpickler.Refused, match="storage 0 is missing"):
    pickles.read(tmp_path / "x")


@pytest.mark.parametrize("save", SAVERS)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, save):
  beyond = torchfile.Tensor(np.zeros(4, np.float32), shape=(4,), offset=1)
  save(tmp_path / "x", {"a": beyond})
  with pytest.raises(unpickler.Refused, match="a tensor of shape"):
    pickles.read(tmp_path / "x")


def test_a_pickle_of_something_else_is_refused(tmp_path):
  (tmp_path / "x").write_bytes(pickle.dumps({"a": 1}, protocol=2))
  with pytest.raises(unpickler.Refused, match="not one of torch"):
    pickles.read(tmp_path / "x")


def test_real_torch_files(tmp_path):
  torch = pytest.importorskip("torch")
  net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
  net[0].weight.data = net[0].weight.data.bfloat16()
  state = {
    "model": net.state_dict(),
    "lr": 0.1,
    "rng": torch.get_rng_state(),
    "turned": torch.arange(6).reshape(2, 3).T,
  }
  for name, new in (("new.pth", True), ("old.pth", False)):
    torch.save(state, tmp_path / name, _use_new_zipfile_serialization=new)
    arrays = read(tmp_path / name)
    assert arrays["model.0.weight"].dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(
      arrays["model.0.weight"].astype(np.float32),
      net[0].weight.detach().float().numpy(),
    )
    np.testing.assert_array_equal(arrays["turned"], [[0, 3], [1, 4], [2, 5]])
    assert arrays["rng"].dtype == np.uint8


@pytest.mark.parametrize(
  "pid",
  [("storage",), "storage", ("module", 1, 2, 3, 4), ("storage", 1, "0", "", 4)],
)
def test_a_reference_that_is_no_storage_is_refused(pid):
  data = b"\x80\x02" + pickle.dumps(pid, 2)[2:-1] + b"Q."
  with pytest.raises(
    unpickler.Refused, match="reference|storage of an unknown"
  ):
    pickles.Unpickler(io.BytesIO(data), None).load()
