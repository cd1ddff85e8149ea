"""LaVin-DiT on pairs of many tasks that are stored, frame after frame.

Data: `vision_tasks`, a data set of your own: `video` uint8 [2 n + 2, H, W, 3],
n pairs of one task and the query with its target, and `label`, the number of
the task (docs/data_special.md), of sides of 256 or 512 px.

    python -m jmim.main --config=configs/lavin_dit_published.py --workdir=W \
      --config.data.data_dir=DIR --config.method.first_stage.path=runs/vae
    python -m jmim.main --workdir=W512 ... \
      --config=configs/lavin_dit_published.py:side=512,source=W

Arguments: size=3.4B (0.1B), side=256 (512), source= (the run at 256 px),
pairs=4, tasks=20 (in the data), steps=0 (100,000 at 256 px, 20,000 at 512 px),
batch=640.

3.4B has the released widths, which make 3.4 B parameters. Those of 0.1 B are
not in the repository; ours are 12 blocks of 576 in 8 heads. Published: rate,
batch, steps; not: weight decay, EMA (none here), the share of queries without
context. The first stage is the authors' ST-VAE (`video.autoencoder3d`,
variant=adaptive-f4x8; weights: family `lavin_stvae`), each frame alone, in the
step.

Reference (the authors'; not repeated here; 3.4 B): foreground segmentation
mIoU 67.87, NYUv2 depth AbsRel 6.2, inpainting FID 1.65.

Size: 3.4 G parameters.
Time: not measured.
Expect: the authors' AbsRel of NYUv2 depth, not repeated: 6.2.
"""

from jmim.core import choices
from jmim.core import config as configs

SIZES = {
  "0.1B": dict(width=576, depth=12, heads=8),
  "3.4B": dict(width=2304, depth=22, heads=32),
}
STEPS = {256: 100_000, 512: 20_000}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, size="3.4B", side=256, source="", pairs=4, tasks=20, steps=0, batch=640
  )
  choices.check(arg, size=SIZES, side=STEPS)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="vision_tasks", batch=arg.batch, size=arg.side, flip=False
  )
  config.data.update(frames=2 * arg.pairs + 2, stride=1, mean=half, std=half)
  config.data.update(host_crop="center", eval_crop="squash")
  config.data.eval_resize = arg.side
  config.method = configs.section(
    type="latent.lavin_dit",
    size=arg.side // 8,
    dims=configs.section(kv_group=4, **SIZES[arg.size]),
    tasks=configs.section(source="stored", stored=arg.tasks),
    context=configs.section(pairs=arg.pairs),
    first_stage=configs.section(
      variant="adaptive-f4x8",
      by_frame=True,
      read="images",
      scale=1.08936,
      shift=0.03247,
    ),
  )
  if arg.source:
    config.init_from.path = arg.source
  config.optim.update(lr=1e-4, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=1000)
  steps = arg.steps or STEPS[arg.side]
  config.train.update(total_steps=steps, checkpoint_steps=5_000, log_steps=100)
  config.evals = configs.section(
    loss=configs.section(type="loss", every_steps=10_000, limit=1280)
  )
  config.hardware.remat = "full"
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
