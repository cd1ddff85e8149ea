"""NViST on frames of MVImgNet, 160 x 90, after the released settings.

Data (the user's; 1.14 M frames of 38 k scenes, every 100th scene to test): a
data set `mvimgnet` in `data.data_dir` with the splits train and test, an
example per frame, all portraits of 160 x 90 px:

    image       picture, 160 x 90
    scene       whole number or text that the frames of one scene share
    frame       whole number: the place along the scene
    view_pose   float32 [3, 4], camera to world; axes right, down, forward; the
                world is scaled about its origin so that the thing is in +- 0.8
    view_focal  float32, focal length over the height of the picture

Five frames of a scene are an example, the first of them the input; the encoder
is that of stage A (`configs/mae_mvimgnet.py`):

    python -m jmim.main --config=configs/nvist_mvimgnet.py:frames=A,lpips=P \
      --workdir=B --config.data.data_dir=DIR

Arguments: frames= (none: a fresh encoder), lpips= (an .npz of VGG16 and LPIPS),
near=0.2, far=3.0 (least and greatest distance of all scenes), scenes=11,
rays=15000 (of a scene, 14,400 of them a whole view; 165 k in a step),
steps=300000. Scenes must divide over the devices: on 16 chips scenes=16.

Evaluation renders four frames of each of 447 scenes from the middle one of five
that are drawn, the same ones always; the paper renders all frames of a scene.
`evals.views.views` is how many, up to as many as the smallest scene has.

Reference (from memory, unverified): PSNR 20.8, LPIPS 0.29.

Size: 220 M parameters.
Time: not measured.
Expect: the authors' PSNR, not repeated: 20.8.
"""

from jmim.core import config as configs

DEFAULTS = dict(frames="", lpips="", near=0.2, far=3.0, steps=300_000)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, scenes=11, rays=15_000, **DEFAULTS)
  config = configs.base()
  sides = dict(height=160, size=90)
  config.data.update(name="mvimgnet", batch=arg.scenes, flip=False, **sides)
  config.data.update(group="scene", members=5)
  config.data.update(mean=(0.0,) * 3, std=(1.0,) * 3)
  config.method = configs.section(
    type="scene.nvist",
    radiance=configs.section(near=arg.near, far=arg.far, chunk=1500),
    rays=configs.section(budget=arg.rays),
    perceptual=configs.section(network="vgg", path=arg.lpips),
    **sides,
  )
  if arg.frames:
    config.init_from.update(
      path=arg.frames,
      skip=(r"^main/decoder/", r"^main/encoder/norm/"),
      reinit=(r"^main/(decoder|colours)/", r"^main/encoder/pos_embed$"),
    )
  config.optim.update(
    lr=2e-4, b1=0.9, b2=0.999, weight_decay=0.01, clip_norm=1.0
  )
  config.schedule.update(warmup_steps=10_000, min_lr=1e-6)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  config.evals.views = configs.section(
    type="views", lpips=arg.lpips, limit=447, every_steps=10_000
  )
  return config
