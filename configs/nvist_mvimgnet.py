"""NViST on frames of MVImgNet, 160 x 90, after the released settings.

Data (the user's; 1.14 M frames of 38 k scenes, every 100th scene to test): a
data set `mvimgnet` in `data.data_dir` with the splits train and test, an
example per frame, all portraits of 160 x 90 px:

    image        picture, 160 x 90
    scene        whole number or text: frames of one scene share it
    frame        whole number: the place along the scene
    view_pose    float32 [3, 4], camera to world; axes right, down, forward; the
                 scene is scaled about the world's origin to lie in +- 0.8
    view_focal   float32, focal length over the height of the picture

Stage A is MAE on single frames, from ImageNet's ViT-B where shapes agree (a run
of `mae_imagenet`, or its published weights, docs/weights.md); stage B reads
five frames of a scene:

    python -m jmim.main --config=configs/nvist_mvimgnet.py:stage=a,vit=V \
      --workdir=A --config.data.data_dir=DIR
    python -m jmim.main --config=configs/nvist_mvimgnet.py:frames=A,lpips=P \
      --workdir=B --config.data.data_dir=DIR

Arguments: stage=b, vit= (none: a fresh encoder), frames= (likewise), lpips= (an
.npz of VGG16 and LPIPS), near=0.2, far=3.0 (the least and the greatest distance
of all scenes: the data set's), scenes=11, rays=15000 (of a scene: 165 k in a
step), steps=0 (300000; stage A: 30000). A whole view is 14,400 of the rays.
Scenes must divide over the devices: for 16 chips scenes=16.

Reference (from memory, unverified): PSNR 20.8, LPIPS 0.29.

Size: 220 M parameters.
Time: not measured.
Expect: the authors' PSNR, not repeated: 20.8.
"""

from jmim.core import config as configs
from jmim.core import errors

STEPS = {"a": 30_000, "b": 300_000}
SIDES = dict(height=160, size=90)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    stage="b",
    vit="",
    frames="",
    lpips="",
    near=0.2,
    far=3.0,
    scenes=11,
    rays=15_000,
    steps=0,
  )
  if arg.stage not in STEPS:
    raise errors.UserError(
      f"stage={arg.stage}", "a or b", "name one of them", "--config"
    )
  config = configs.base()
  config.data.update(name="mvimgnet", flip=False, **SIDES)
  config.train.update(
    total_steps=arg.steps or STEPS[arg.stage],
    checkpoint_steps=5000,
    log_steps=100,
  )
  config.optim.update(b1=0.9, b2=0.999, weight_decay=0.01)
  config.schedule.min_lr = 1e-6
  {"a": frames, "b": scenes}[arg.stage](config, arg)
  return config


def frames(config, arg) -> None:
  """Stage A: MAE, pixels as they are."""
  config.data.batch = 84
  config.method = configs.section(
    type="mim.mae",
    dims=configs.section(variant="B/5"),
    decoder_dims=configs.section(width=512, depth=8, heads=16),
    norm_pix=False,
    **SIDES,
  )
  if arg.vit:
    # Patches have another side there.
    others = (r"^main/encoder/patch_embed/", r"^main/decoder/pred/")
    config.init_from.update(path=arg.vit, skip=others, reinit=others)
  config.optim.lr = 1e-4
  config.schedule.warmup_steps = 1000
  config.evals = configs.section(
    loss=configs.section(type="loss", limit=2048, every_steps=5000),
    recon=configs.section(type="recon", batches=1, every_steps=5000),
  )


def scenes(config, arg) -> None:
  """Stage B: planes and lines, rendered."""
  config.data.update(batch=arg.scenes, group="scene", members=5)
  config.data.update(mean=(0.0,) * 3, std=(1.0,) * 3)
  config.method = configs.section(
    type="scene.nvist",
    radiance=configs.section(near=arg.near, far=arg.far, chunk=1500),
    rays=configs.section(budget=arg.rays),
    perceptual=configs.section(network="vgg", path=arg.lpips),
    **SIDES,
  )
  if arg.frames:
    config.init_from.update(
      path=arg.frames,
      skip=(r"^main/decoder/", r"^main/encoder/norm/"),
      reinit=(r"^main/(decoder|colours)/", r"^main/encoder/pos_embed$"),
    )
  config.optim.update(lr=2e-4, clip_norm=1.0)
  config.schedule.warmup_steps = 10_000
  config.evals = configs.section(
    views=configs.section(
      type="views", lpips=arg.lpips, limit=447, every_steps=10_000
    ),
  )
