"""AffinityNet at DiffuMask's size: 512 px, one class of generated images.

    python -m jmim.main --config=configs/affinity_voc.py:label=2,start=MAE \
      --workdir=W --config.data.data_dir=DIR

reads the set `word_maps_<class>` of diffumask_voc. The authors start from a
ResNet-38 of ImageNet, whose weights are not here; a ViT-B of MAE (a run, or
published weights) takes its place, with places of 16 pixels, not 8. They train
on crops of 448 px; a ViT knows the places of one size, and diffumask_masks_voc
asks for those of whole images, so whole images of 512 px are learnt here.
Arguments: label=2 (bird), start= (its path), epochs=8, batch=8.

Reference: none.

Size: 86.4 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.data.procedural import prompts as texts


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, label=2, start="", epochs=8.0, batch=8)
  choices.check(arg, label=range(len(texts.CLASSES)))
  config = configs.base()
  config.data.update(
    name=f"word_maps_{texts.CLASSES[arg.label]}",
    eval_share=0.02,
    batch=arg.batch,
    size=512,
    jitter=(0.3, 0.3, 0.3, 0.1),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.method = configs.section(
    type="dense.affinity",
    size=512,
    stride=16,
    net=dict(type="vit", dims=dict(variant="B/16")),
  )
  if arg.start:
    config.init_from.update(
      path=arg.start,
      rename=(("^main/encoder/", "main/net/"),),
      skip=("^main/(decoder|head)",),
      reinit=("^main/heads/",),
    )
  config.optim.update(name="sgd", lr=0.01, momentum=0.9, weight_decay=5e-4)
  config.schedule.update(name="linear")
  config.train.update(
    total_epochs=arg.epochs, checkpoint_epochs=1.0, log_steps=100
  )
  config.evals.loss = configs.section(type="loss", every_epochs=1.0)
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
