"""TAD-SR: one step in place of four, and what each loss is for.

CIFAR-10 at 16 px from 4 px. One ResShift of four steps (1500 steps of
training), then students of it, 300 steps each: regression alone, with the
score, with all losses; and all losses with plain score distillation (SDS), and
with heads that are not told the time.

A. Squared error to the teacher's sample: that of the student by regression
   alone over that of the teacher's own first call, at most 0.6 (the card:
   reduced by 40 %).
B. Sharpness gap S = |E|grad x| - E|grad target|| / E|grad target|, of the first
   1000 test images: all losses, and regression with the score, over regression
   alone, at most 1.
C. Calls of the network, 1 of the student and T of the teacher, exact: FLOPs of
   what they restore, the difference over those of a call, T - 1.

PSNR of all students stands beside (the card: at most 1.5 dB less with all
losses); SDS and heads without time are there for their pictures. The card has
32 px, T = 8 and longer training, and asks for 15 % in B. Exact facts (tables,
k + m + j = 1, the oracle, the score at equality) are in the tests.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jmim
from jmim.cost import flops
from jmim.data import sources
from jmim.tools import claims

TEACHER, RECIPE = "configs/resshift_cifar10.py", "configs/tad_sr_cifar10.py"
N, STUDENT, FIRST = 1000, "errors/student", "errors/first"
STUDENTS = {
  "regression": "hsd=0.0,gan=0.0",
  "score": "gan=0.0",
  "all": "",
  "sds": "kind=sds",
  "untimed": "timed=False",
}


@functools.cache
def restored(workdir) -> dict[str, np.ndarray]:
  """image and target [N, h, w, c] of the first test images, in -1 .. 1."""
  m = jmim.load(workdir, weights="ema")
  data = m.config["data"]
  source = sources.build(data["name"], data["eval_split"], data["data_dir"])
  images = [source[i]["image"] for i in range(N)]
  return m("restore", images, index=np.arange(N, dtype=np.int32))


def slope(x: np.ndarray) -> float:
  """Mean absolute difference of neighbours, down and across."""
  steps = [np.abs(np.diff(x, axis=axis)).mean() for axis in (1, 2)]
  return float(np.mean(steps))


def sharpness(workdir) -> float:
  """S of a student."""
  found = restored(workdir)
  wanted = slope(found["target"])
  return abs(slope(found["image"].clip(-1, 1)) - wanted) / wanted


def more_calls(workdir) -> float:
  """Calls of the teacher beyond the student's one, as FLOPs."""
  m = jmim.load(workdir)
  method, key = m.method, jax.random.key(0)
  batch = {"image": jnp.zeros((1, *method.space.image))}
  count = lambda fn: flops.count(fn, m.weights, batch, key)
  more = count(method.restore_teacher) - count(method.restore)
  student = m.weights.params["student"]
  return more / flops.count(method.network, student, *method.example())


def gap_ratio(results, name: str) -> float:
  """S of a student over that of regression alone."""
  return sharpness(results[name].workdir) / sharpness(
    results["regression"].workdir
  )


def get_claim() -> claims.Claim:
  student = f"{RECIPE}:teacher={{workdir:teacher}}"
  runs = {"teacher": claims.Run(TEACHER)}
  for name, arguments in STUDENTS.items():
    given = f",{arguments}" if arguments else ""
    runs[name] = claims.Run(f"{student}{given}", ("evals.teacher=None",))
  return claims.Claim(
    runs=runs,
    conditions=(
      claims.Condition(
        text="A: error to the teacher's sample, student / its own first call",
        value=lambda r: r["regression"][STUDENT] / r["regression"][FIRST],
        at_most=0.6,
      ),
      claims.Condition(
        text="B: sharpness gap, all losses / regression",
        value=functools.partial(gap_ratio, name="all"),
        at_most=1.0,
      ),
      claims.Condition(
        text="B: sharpness gap, regression and score / regression",
        value=functools.partial(gap_ratio, name="score"),
        at_most=1.0,
      ),
      claims.Condition(
        text="C: calls of the teacher less that of the student, by FLOPs",
        value=lambda r: more_calls(r["all"].workdir),
        at_least=2.99,
        at_most=3.01,
      ),
    ),
    metrics=(STUDENT, FIRST, "restoration/psnr"),
  )
