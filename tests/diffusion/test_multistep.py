import jax
import numpy as np
import pytest
import walks

from jmim.diffusion import multistep
from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import solvers

# lambda is evenly spaced, so that all steps are alike.
LAM = np.linspace(-2.0, 2.0, 9)
POWER = 1 / (1 + np.exp(-2 * LAM))
EVEN = schedule.Levels(-LAM, np.sqrt(POWER), np.sqrt(1 - POWER))


def walk(table):
  with jax.enable_x64(True):
    x = np.float64(walks.START)
    return np.asarray(sampler.sample(table, walks.network, x)[0])


@pytest.mark.parametrize(
  "make",
  [
    multistep.dpmpp_2m,
    multistep.dpmpp_2s,
    multistep.dpmpp_3s,
    multistep.unipc,
    lambda p: multistep.unipc(p, 1),
    lambda p: multistep.unipc(p, 3),
  ],
  ids=["2m", "2s", "3s", "unipc2", "unipc1", "unipc3"],
)
def test_weights_of_the_data_are_those_of_constant_data(make):
  """What is seen of x0 adds up to the exact step, however it is extrapolated.

  From noise alone (x0 = 0) the state only shrinks, s_t / s_0.
  """
  table = make(walks.PATH)
  ones = np.ones(walks.SHAPE)
  for x0, start in ((0.0, 1.0), (1.0, 0.3)):
    x, anchor, past = start, start, [x0] * table.memory
    for a, b in zip(table.anchor, table.out, strict=True):
      seen = [x0, *past[: table.memory - 1]]
      anchor = a @ [x, anchor, *seen]
      x = b @ [x, anchor, 0.0, *seen]
    scale = walks.PATH.noise[-1] / walks.PATH.noise[0]
    wanted = scale * (start - walks.PATH.signal[0] * x0) + x0
    np.testing.assert_allclose(x * ones, wanted, atol=1e-9)


def test_2m_extrapolates_x0_from_the_last_two_outputs():
  out = multistep.dpmpp_2m(EVEN).out
  # r = 1: D = 3/2 x0_i - 1/2 x0_{i-1}.
  np.testing.assert_allclose(out[1:, 3] / out[1:, 4], -3.0)
  assert out[0, 4] == 0


def test_the_first_order_of_unipc_without_its_corrector_is_ddim():
  table = multistep.unipc(walks.PATH, 1)
  table.anchor[1:] = 0
  table.anchor[:, 0] = 1
  np.testing.assert_allclose(
    walk(table), walk(solvers.ddim(walks.PATH)), atol=1e-8
  )


def test_a_step_that_ends_clean_is_of_first_order():
  for name in ("dpmpp_2m", "dpmpp_2s", "dpmpp_3s", "unipc"):
    last = solvers.make(name, walks.PATH).out[-1]
    np.testing.assert_allclose(last[3:], [1.0, *[0.0] * (len(last) - 4)])
    assert abs(last[:3]).max() == 0


def fast(path, orders):
  """The authors' DPM-Solver "fast", data prediction, with their functions."""
  lam, a, s = path.log_snr_half, path.signal, path.noise
  steps = solvers.ddim(path).level

  def data(x, i):
    level = jax.tree.map(lambda field: field[i], steps)
    return np.asarray(walks.network(x, level).x0)

  x, i = np.float64(walks.START), 0
  for order in orders:
    t = i + order
    h, m_s = lam[t] - lam[i], data(x, i)
    phi_1 = np.expm1(-h)
    new = s[t] / s[i] * x - a[t] * phi_1 * m_s
    if order > 1:
      r1 = (lam[i + 1] - lam[i]) / h
      x_1 = s[i + 1] / s[i] * x - a[i + 1] * np.expm1(-r1 * h) * m_s
      m_1 = data(x_1, i + 1)
    if order == 2:
      new -= 0.5 / r1 * a[t] * phi_1 * (m_1 - m_s)
    if order == 3:
      r2 = (lam[i + 2] - lam[i]) / h
      phi_22 = np.expm1(-r2 * h) / (r2 * h) + 1.0
      x_2 = s[i + 2] / s[i] * x - a[i + 2] * np.expm1(-r2 * h) * m_s
      x_2 += r2 / r1 * a[i + 2] * phi_22 * (m_1 - m_s)
      m_2 = data(x_2, i + 2)
      new += 1 / r2 * a[t] * (phi_1 / h + 1.0) * (m_2 - m_s)
    x, i = new, t
  return x


@pytest.mark.parametrize(
  "n, orders",
  [
    (1, [1]),
    (2, [2]),
    (3, [2, 1]),
    (4, [3, 1]),
    (8, [3, 3, 2]),
    (9, [3, 3, 2, 1]),
  ],
)
def test_3s_is_the_fast_solver(n, orders):
  path = walks.PATH.part(0, n)
  with jax.enable_x64(True):
    wanted = fast(path, orders)
  np.testing.assert_allclose(walk(multistep.dpmpp_3s(path)), wanted, atol=1e-8)
