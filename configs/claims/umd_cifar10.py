"""UMD on CIFAR-10: its samples come nearer to the data as it trains.

A classifier is trained by the fine-tuning recipe (from scratch, 300 steps,
nothing mixed), then a small class-conditional UMD. At three checkpoints, a
third of the training apart, 256 guided samples are compared with the test
split: the Frechet distance in the classifier's features must fall by 2 % or
more each time.

Needs CIFAR-10: --config.data.data_dir=DIR. The run `umd` holds the grids of
samples, labels of the first test images, from the same noise all along.
"""

from jmim.tools import claims

KEY = "fid/fid"
# From scratch and short: all layers learn at one rate, nothing regularises.
SHORT = (
  "optim.layer_decay=1.0",
  "method.mixing.mixup=0.0",
  "method.mixing.cutmix=0.0",
  "method.drop_path=0.0",
  "schedule.warmup_steps=30",
  "evals.accuracy.every_steps=0",
  "evals.ema=None",
)


def distances(results) -> list[float]:
  """Of the checkpoints, in their order."""
  return list(results["umd"].history(KEY).values())


def fall(i: int):
  """Distance at checkpoint i + 1 over that at i."""
  return lambda r: distances(r)[i + 1] / distances(r)[i]


def get_claim() -> claims.Claim:
  return claims.Claim(
    runs={
      "classifier": claims.Run("configs/finetune_cifar10.py:steps=300", SHORT),
      "umd": claims.Run(
        "configs/umd_cifar10_small.py",
        ("evals.fid.encoder={workdir:classifier}",),
      ),
    },
    conditions=(
      claims.Condition(
        text="checkpoints measured",
        value=lambda r: len(distances(r)),
        at_least=3,
      ),
      claims.Condition(
        text="distance, second / first", value=fall(0), at_most=0.98
      ),
      claims.Condition(
        text="distance, third / second", value=fall(1), at_most=0.98
      ),
    ),
    metrics=("accuracy/top1", "errors/masked", "errors/eps", KEY, "fid/kid"),
  )
