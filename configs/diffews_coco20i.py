"""DiffewS on COCO-20i at 512 px, Stable Diffusion 2.1, one of four folds.

The base is the UNet of Stable Diffusion 2.1 (`python -m jmim.convert
--from=diffusers_unet2` with a recipe of `latent.ldm`), the first stage its
autoencoder (`--from=diffusers_vae`), PROMPT the features [77, 1024] of "" (an
.npz of `context`). Examples are single images at 512 px (both sides resized,
masks by nearest) with `masks` [512, 512], 1 where their class is, `label` of 80
and `episode`, an id that groups them: the class in the splits train0 to train3
(the classes of each fold), a number per episode in test0 to test3, 1000 of
them with 1 + 5 images each.

    python -m jmim.main --config=configs/diffews_coco20i.py:fold=0 --workdir=W \
      --config.data.data_dir=DIR --config.init_from.path=SD \
      --config.method.first_stage.path=VAE --config.method.prompt.path=PROMPT

Arguments: fold=0 (to 3), steps=20000, batch=32 (authors: 4), shots=2, lr=2e-5
(1e-5).

Reference (the authors', in-context on more data; from memory): mIoU 71.3 with
one shot, 72.2 with five. Not repeated here.

Size: 866 M parameters.
Time: not measured.
Expect: mIoU of one shot 71.3 (the authors', from memory; not repeated).
"""

from jmim.core import choices
from jmim.core import config as configs

MEMBERS = 6


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, fold=0, steps=20_000, batch=32, shots=2, lr=2e-5)
  choices.check(arg, fold=range(4))
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  learned = [f"train{i}" for i in range(4) if i != arg.fold]
  config.data.update(
    name="coco20i",
    train_split="+".join(learned),
    eval_split=f"test{arg.fold}",
    group="episode",
    members=MEMBERS,
    batch=arg.batch,
    size=512,
    eval_crop="none",
    flip=False,
    mean=half,
    std=half,
  )
  config.method = configs.section(
    type="dense.diffews",
    episode=dict(
      scenes=MEMBERS,
      read="image",
      labels="scene",
      classes=80,
      shots=arg.shots,
    ),
  )
  config.init_from.update(copies=(("/conv_in/", "/conv_in_ref/"),))
  config.optim.update(lr=arg.lr, b2=0.999, weight_decay=0.01, clip_norm=1.0)
  config.schedule.update(name="linear", warmup_steps=0)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=2000, log_steps=100
  )
  one = lambda predict: configs.section(
    type="episodes", predict=predict, every_steps=5000
  )
  config.evals = configs.section(one=one("segment"), five=one("segment_all"))
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
