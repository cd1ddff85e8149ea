import errno
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import frozen as consts
from jmim.checkpoints import identity
from jmim.checkpoints import store as checkpoint
from jmim.core import errors
from jmim.core import method
from jmim.core import state as states


def init(key):
  return {
    "encoder": {"kernel": jax.random.normal(key, (3, 4)), "bias": jnp.ones(4)},
    "count": jnp.int32(7),
  }


@pytest.fixture
def saved(tmp_path):
  """(path, hash, tree) of a stored network."""
  tree = init(jax.random.key(1))
  path = tmp_path / "teacher.npz"
  return path, consts.save(path, tree), tree


def load(path, init=init, sha256=None):
  return consts.load("teacher", method.Const(str(path), init, sha256))


def test_round_trip_with_its_hash(saved):
  path, sha256, tree = saved
  found = load(path, sha256=sha256)
  assert jax.tree.structure(found) == jax.tree.structure(tree)
  for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(tree), strict=True):
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)
  assert load(path, sha256=None).keys() == tree.keys()


def test_a_file_that_cannot_be_written_stays_as_it_was(saved, monkeypatch):
  path, sha256, tree = saved

  def full(file, **arrays):
    file.write(b"PK")
    raise OSError(errno.ENOSPC, "No space left on device")

  monkeypatch.setattr(np, "savez", full)
  with pytest.raises(OSError, match="No space"):
    consts.save(path, tree)
  assert load(path, sha256=sha256).keys() == tree.keys()
  assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_nothing_of_the_init_is_computed_or_kept(saved):
  def broken(key):
    return jax.tree.map(lambda x: (x * jnp.nan).astype(x.dtype), init(key))

  kernel = load(saved[0], broken)["encoder"]["kernel"]
  np.testing.assert_array_equal(kernel, saved[2]["encoder"]["kernel"])


def test_all_networks_of_a_method_by_their_names(saved):
  path, sha256, tree = saved
  networks = {
    "teacher": method.Const(str(path), init, sha256),
    "tokenizer": method.Const(str(path), init),
  }
  loaded = consts.load_all(networks)
  assert list(loaded) == ["teacher", "tokenizer"]
  for network in loaded.values():
    np.testing.assert_array_equal(
      network["encoder"]["kernel"], tree["encoder"]["kernel"]
    )


def test_another_hash_is_refused_and_shown(saved):
  path, sha256, _ = saved
  with pytest.raises(errors.UserError, match=sha256) as e:
    load(path, sha256="0" * 64)
  assert e.value.expected == "0" * 64


def test_no_file(tmp_path):
  with pytest.raises(errors.UserError, match=r"teacher: no file .*gone\.npz"):
    load(tmp_path / "gone.npz")


@pytest.mark.parametrize(
  "change, line",
  [
    (lambda t: t | {"new": jnp.ones(2)}, "missing: new"),
    (lambda t: {"encoder": t["encoder"]}, "unknown: count"),
    (
      lambda t: t | {"count": jnp.ones(3)},
      "shape of count: () saved, (3,) wanted",
    ),
    (
      lambda t: (
        t | {"encoder": {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(4)}}
      ),
      "shape of encoder/kernel: (3, 4) saved, (4, 3) wanted",
    ),
  ],
  ids=["missing", "extra", "rank", "shape"],
)
def test_other_names_or_shapes_are_named(saved, change, line):
  path, _, tree = saved
  with pytest.raises(errors.UserError) as e:
    load(path, lambda key: change(tree))
  assert e.value.seen == f"teacher: {path} differs; {line}"


def run_of(tmp_path, params, ema=()):
  """The workdir of a run whose newest checkpoint holds these parameters."""
  store = checkpoint.Checkpoints(tmp_path)
  store.save(
    1,
    states.State(
      step=jnp.int32(1),
      params=params,
      opt={},
      ema=dict(ema),
      extra={},
      window={},
      counted=jnp.int32(0),
      skipped=jnp.int32(0),
      skipped_total=jnp.int32(0),
    ),
    {},
  )
  store.close()
  return tmp_path


def test_a_network_is_found_in_a_run(tmp_path):
  tree = init(jax.random.key(1))
  other = {"kernel": jnp.ones((2, 2)), "count": jnp.int32(1)}
  path = run_of(tmp_path, {"main": {"net": tree, "decoder": other}})
  found = load(path)
  assert jax.tree.structure(found) == jax.tree.structure(tree)
  jax.tree.map(np.testing.assert_array_equal, found, tree)


def test_a_run_must_have_one_network_that_fits(tmp_path):
  tree = init(jax.random.key(1))
  twice = run_of(tmp_path / "a", {"main": {"net": tree, "copy": tree}})
  with pytest.raises(errors.UserError, match="has 2 networks"):
    load(twice)
  small = tree | {"count": jnp.zeros(3)}
  other = run_of(tmp_path / "b", {"main": {"net": small}})
  with pytest.raises(errors.UserError, match="has 0 networks"):
    load(other)
  (tmp_path / "c").mkdir()
  with pytest.raises(errors.UserError, match="no checkpoint"):
    load(tmp_path / "c")


def test_a_run_has_the_hash_of_its_arrays(tmp_path, saved):
  path, of_file, tree = saved
  run, sha256 = run_of(tmp_path / "run", {"main": tree}), identity.digest(tree)
  assert sha256 != of_file
  for there in (run, path):  # the same network, however it is stored
    found = load(there, sha256=sha256)
    jax.tree.map(np.testing.assert_array_equal, found, tree)
    with pytest.raises(errors.UserError, match=sha256) as e:
      load(there, sha256="0" * 64)
    assert e.value.expected == "0" * 64


def test_raw_weights_or_their_mean(tmp_path):
  tree = init(jax.random.key(1))
  mean = jax.tree.map(lambda x: 2 * x, tree)
  run = run_of(tmp_path / "run", {"main": tree}, ema={"main": mean})

  def kernel(workdir, weights):
    const = method.Const(str(workdir), init, weights=weights)
    return consts.load("teacher", const)["encoder"]["kernel"]

  np.testing.assert_array_equal(kernel(run, "raw"), tree["encoder"]["kernel"])
  np.testing.assert_array_equal(kernel(run, "ema"), mean["encoder"]["kernel"])
  bare = run_of(tmp_path / "bare", {"main": tree})
  with pytest.raises(errors.UserError, match="no ema"):
    kernel(bare, "ema")


@pytest.mark.parametrize(
  ("field", "key", "ours", "theirs"),
  [
    ("method.latent_scale", "method.first_stage.scale", 0.18215, 0.13025),
    ("method.noise.schedule", "method.noise.schedule", "linear", "cosine"),
    ("method.noise.zero_snr", "method.noise.zero_snr", False, True),
    ("method.noise.zero_snr", "method.noise.zero_snr", True, False),
    ("data.mean", "data.mean", (0.485, 0.456, 0.406), (0.5, 0.5, 0.5)),
    ("data.std", "data.std", (0.5, 0.5, 0.5), (0.5,)),
  ],
)
def test_a_network_is_used_as_its_run_says(tmp_path, field, key, ours, theirs):
  path = run_of(tmp_path, {"main": {"net": init(jax.random.key(1))}})
  section, name = field.split(".", 1)

  def used(told, ours):
    config = {"method": {}, "data": {}}
    *parts, last = field.split(".")
    node = config
    for part in parts:
      node = node.setdefault(part, {})
    node[last] = told
    (path / "config.json").write_text(json.dumps(config))
    agrees = {name: (key, ours)} if section == "method" else {}
    data = {name: ours} if section == "data" else {}
    const = method.Const(str(path), init, agrees=agrees)
    return consts.load("teacher", const, data)

  assert used(ours, ours).keys() == init(jax.random.key(0)).keys()
  with pytest.raises(errors.UserError) as caught:
    used(theirs, ours)
  assert caught.value.key == key and name in caught.value.seen
  if section == "method":
    used(None if isinstance(ours, bool) else type(ours)(), ours)  # not known


def test_a_network_may_see_images_normalised_its_own_way(tmp_path):
  path = run_of(tmp_path, {"main": {"net": init(jax.random.key(1))}})
  own, other = (0.48, 0.46, 0.41), (0.5, 0.5, 0.5)
  told = json.dumps({"method": {}, "data": {"mean": own}})
  (path / "config.json").write_text(told)

  def used(mean):
    agrees = {"data.mean": ("method.teacher.mean", mean)}
    const = method.Const(str(path), init, agrees=agrees)
    return consts.load("teacher", const, {"mean": other})

  used(own)
  with pytest.raises(errors.UserError, match="0.48") as caught:
    used(other)
  assert caught.value.key == "method.teacher.mean"


def test_what_follows_from_a_runs_fields_is_compared(tmp_path):
  path = run_of(tmp_path, {"main": {"net": init(jax.random.key(1))}})

  def used(ours, **section):
    told = json.dumps({"method": section, "data": {}})
    (path / "config.json").write_text(told)
    const = method.Const(
      str(path),
      init,
      agrees={"side": ("method.side", ours)},
      implied=lambda told: {"side": told["big"] // told["small"]},
    )
    return consts.load("teacher", const)

  used(4, big=8, small=2, side=0)
  with pytest.raises(errors.UserError, match="side=4, and method.side=3"):
    used(3, big=8, small=2, side=0)


def test_what_reads_no_images_has_them_normalised_in_no_way(tmp_path):
  path = run_of(tmp_path, {"main": {"net": init(jax.random.key(1))}})
  told = json.dumps({"method": {}, "data": {"mean": (0.48, 0.46, 0.41)}})
  (path / "config.json").write_text(told)
  const = method.Const(str(path), init, images=False)
  made = consts.load("text", const, {"mean": (0.5, 0.5, 0.5)})
  assert made.keys() == init(jax.random.key(0)).keys()


def test_what_may_be_zero_is_compared_where_it_is_exact(tmp_path):
  path = run_of(tmp_path, {"main": {"net": init(jax.random.key(1))}})
  told = json.dumps({"method": {"dims": {"heads": 0, "order": "sin"}}})
  (path / "config.json").write_text(told)

  def used(heads, exact):
    agrees = {
      "dims.heads": ("method.dims.heads", heads),
      "dims.pad": ("method.dims.pad", True),  # which that run had not yet
    }
    const = method.Const(str(path), init, agrees=agrees, exact=exact)
    return consts.load("host", const)

  used(4, ())
  used(0, ("dims.heads", "dims.pad"))
  with pytest.raises(errors.UserError, match="dims.heads=0") as caught:
    used(4, ("dims.heads", "dims.pad"))
  assert caught.value.fix == "set method.dims.heads=0, or name another run"


def test_a_network_with_leaves_that_nothing_reads(tmp_path):
  tree = init(jax.random.key(1))
  net = tree | {"label_embed": {"embedding": jnp.ones((3, 4))}}
  path = run_of(tmp_path, {"main": {"net": net, "head": tree["encoder"]}})
  assert load(path).keys() == tree.keys()
  with pytest.raises(errors.UserError, match="label_embed/embedding"):
    consts.load("host", method.Const(str(path), init, whole=True))
  beside = {"net": tree, "head": {"kernel": jnp.ones((2, 2))}}
  alone = run_of(tmp_path / "alone", {"main": beside})
  consts.load("host", method.Const(str(alone), init, whole=True))
