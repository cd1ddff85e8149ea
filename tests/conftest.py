"""Every test sees eight simulated devices and shares compiled programs."""

import gc
import json
import os
import pathlib
import re
import sys

import pytest

# All of this must be in the environment before JAX is imported.
_FLAGS = {
  "--xla_force_host_platform_device_count": "8",
  # Tiny programs spend their time in the compiler, not on the device: XLA's
  # older emitters make slower code in a third of the time.
  "--xla_cpu_use_fusion_emitters": "false",
  # Each worker of pytest has one core: a program in one piece is made sooner.
  "--xla_cpu_parallel_codegen_split_count": "1",
}
for _flag, _value in _FLAGS.items():
  if _flag not in (_given := os.environ.get("XLA_FLAGS", "")):
    os.environ["XLA_FLAGS"] = f"{_given} {_flag}={_value}".strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
_CACHE = pathlib.Path("~/.cache/jmim/test_programs").expanduser()
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
# Most programs are single operations: thousands, many of them in both workers.
# One takes 16 ms, or 8 where what was compiled is read back.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Lines of Python in lowered programs, which nobody reads here, take a tenth of
# the time of lowering.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

import hypothesis  # noqa: E402
import jax  # noqa: E402
import ledger  # noqa: E402
import numpy as np  # noqa: E402
import released  # noqa: E402
import seconds  # noqa: E402

from jmim.core import discovery  # noqa: E402

HERE = pathlib.Path(__file__).parent

# A machine under load is slow, not wrong.
hypothesis.settings.register_profile("jmim", deadline=None)
hypothesis.settings.load_profile("jmim")


def pytest_addoption(parser):
  parser.addoption(
    "--golden-dir",
    default=str(pathlib.Path(__file__).parents[2] / "shared" / "golden"),
    help="folder of <slug>/<case>.npz files, or of one slug",
  )
  parser.addoption(
    "--method",
    action="append",
    help="method to check the contract of, instead of all below jmim/methods",
  )
  parser.addoption(
    "--procedure",
    action="append",
    help="procedure to check the contract of, instead of all of them",
  )
  parser.addoption(
    "--all",
    action="store_true",
    help="slow tests too, and the whole contract for all methods",
  )
  parser.addoption(
    "--write-ledger",
    action="store_true",
    help="--all, and notes in tests/contract/verified.json which methods "
    "passed the whole contract",
  )


@pytest.fixture(scope="session")
def tfds_dir():
  """Where CIFAR-10 is; tests that need it are skipped where it is not."""
  path = pathlib.Path(__file__).parents[1].parent / "shared/tfds"
  if not (path / "cifar10").is_dir():
    pytest.skip(f"no CIFAR-10 at {path}")
  return str(path)


@pytest.fixture(scope="session")
def digits_home(tmp_path_factory):
  """A `data.data_dir` where the digits are made once, for all processes."""
  root = tmp_path_factory.getbasetemp()
  if "PYTEST_XDIST_WORKER" in os.environ:  # each has a folder in there
    root = root.parent
  return str(root / "digits_home")


@pytest.fixture
def restored_flags():
  """Flags of the command line are afterwards what they were."""
  from absl import flags  # noqa: PLC0415  few tests need them

  values = {n: f.value for n, f in flags.FLAGS._flags().items()}
  yield
  for name, value in values.items():
    flags.FLAGS[name].value = value


@pytest.fixture
def unimported(monkeypatch):
  """Forgets modules; what a test then imports is forgotten after it."""

  def forget(*names):
    for name in names:
      # After the test the first line is undone too: back, or out again.
      monkeypatch.setitem(sys.modules, name, None)
      monkeypatch.delitem(sys.modules, name)

  return forget


@pytest.fixture
def refused(tmp_path):
  """The key that a run is refused by as a frozen network; "": by none.

  The run has a config, and no checkpoint, which is what it lacks then.
  """
  from jmim.checkpoints import frozen  # noqa: PLC0415  few tests need them
  from jmim.core import errors  # noqa: PLC0415

  def key(make, section):
    told = json.dumps({"method": section})
    (tmp_path / "config.json").write_text(told)
    with pytest.raises(errors.UserError) as e:
      frozen.load("it", make(str(tmp_path)))
    return "" if "no checkpoint" in e.value.seen else e.value.key

  return key


@pytest.fixture(scope="session")
def fill():
  """Variables of a module, every leaf normal: no bias or scale is trivial.

  Nothing is compiled for it, unlike for `module.init`.
  """

  def variables(module, *args, seed=0, scale=0.3, **kwargs):
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(
      lambda key: module.init(key, *args, **kwargs), jax.random.key(0)
    )
    return jax.tree.map(
      lambda s: (scale * rng.normal(size=s.shape)).astype(s.dtype), shapes
    )

  return variables


@pytest.fixture(scope="session")
def normal():
  """Standard normal float32 arrays, made by numpy."""

  def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)

  return draw


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
  """Frees compiled programs between modules, once there are many."""
  yield
  released.release()


def pytest_collection_finish(session):
  """What is there now stays: Python need not look through it for garbage.

    Nor through all that tracing leaves, as often as it does of itself (8 % of
  the time of eleven files); `release` has it looked through.
  """
  del session
  gc.freeze()
  gc.set_threshold(50_000, 20, 100)


def pytest_configure(config):
  """What `--all` and `--write-ledger` mean; the order of the work."""
  everything = config.getoption("--all") or config.getoption("--write-ledger")
  if everything and config.option.markexpr == "not slow":
    config.option.markexpr = ""
  # The order of collection, below, is that of the work.
  config.option.loadscopereorder = False
  if hasattr(config, "workerinput"):
    return
  config.pluginmanager.register(seconds.Seconds())
  if config.getoption("--write-ledger"):
    today = ledger.now(discovery.names())
    config.pluginmanager.register(ledger.Recorder(today))


# Folders whose files take long, longest first: what is left when one process
# has nothing to do any more must be short. Each file is done by one process.
LONG = ("modes", "", "contract", "tools", "methods", "golden", "evals")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
  """With `-n`, what takes long is begun first."""
  if hasattr(config, "workerinput"):
    turn = {folder: i for i, folder in enumerate(LONG)}
    items.sort(key=lambda item: turn.get(_folder(item), len(LONG)))


def _folder(item):
  parts = item.path.relative_to(HERE).parts
  return parts[0] if len(parts) > 1 else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
  """With `-n`, tests that share programs share a process.

  Those of a module do, as what is cached in it; in the contract suite those of
  a method, which share its compiled step.
  """
  from xdist import scheduler  # noqa: PLC0415  only there with `-n`

  class Scheduler(scheduler.LoadScopeScheduling):
    def _split_scope(self, nodeid):
      path = nodeid.partition("::")[0]
      method = re.search(r"\[([\w.]+)", nodeid)
      return method[1] if "contract" in path and method else path

  return Scheduler(config, log)
