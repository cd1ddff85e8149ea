import pytest
import storekit

from jmim.checkpoints import store as checkpoint


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
  """(workdir with steps 3 and 7, the state of both)."""
  workdir = tmp_path_factory.mktemp("run")
  state = storekit.make(storekit.layout(8))
  made = checkpoint.Checkpoints(workdir)
  for step in (3, 7):
    made.save(step, state, {"config": {"seed": step}})
  made.close()
  return workdir, state
