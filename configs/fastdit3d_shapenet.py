"""FastDiT-3D-S on a category of ShapeNet, 2048 points in 128^3 voxels.

Data: a folder with `train.npz` and `test.npz`, each with `points` float32 [n,
m, 3] (ShapeNetCore PC15k: the first 10,000 points of a cloud are for training)
and `label` zeros [n]; points are normalised by one mean and one scalar standard
deviation of the training split (points of a step are drawn without repetition,
theirs with):

    python -m jmim.main --config=configs/fastdit3d_shapenet.py --workdir=DIR2 \
      --config.data.data_dir=DIR --config.data.points_mean="(X, Y, Z)" \
      --config.data.points_std="(S, S, S)"
    python -m jmim.main --mode=dry_run --topology=v5p:4x4x4 \
      --config=configs/fastdit3d_shapenet.py

Arguments: variant=S/8 (B XL, /4), batch=128, steps=360000 (chair: 10,000
epochs), masked=True (False: DiT-3D), classes=1 (more: several categories).

Reference (the authors'; not repeated here; 1-NNA of CD / EMD, 50 is best):
chair 50.35 / 50.27, airplane 61.83 / 57.86, car 47.81 / 48.83. Those numbers
are of all test clouds and 2048 points; here 128 of them are compared, the
earth mover's distance of 256 points.

Size: 115 M parameters.
Time: not measured.
Expect: the authors' 1-NNA of chair by CD, not repeated: 50.35.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, variant="S/8", batch=128, steps=360_000, masked=True, classes=1
  )
  config = configs.base()
  config.data.update(name="array", batch=arg.batch, flip=False, points=2048)
  config.method = configs.section(
    type="point.fastdit3d",
    masked=arg.masked,
    network=configs.section(
      size=128, dims=configs.section(variant=arg.variant)
    ),
    labels=configs.section(classes=arg.classes),
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.0)
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.update(decay=0.9999, warmup=False)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=20_000, log_steps=100
  )
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=20_000),
    clouds=configs.section(
      type="clouds", weights="ema", clouds=128, every_steps=100_000
    ),
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
