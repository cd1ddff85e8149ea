# %% [markdown]
# # Use pre-trained weights
#
# Weights of other codebases come in, weights of runs go out; every name is
# accounted for, and pickles are read without running them (docs/weights.md).
# So that this notebook runs anywhere, its "published" weights are made here, by
# a short run exported to the layout of Transformers; the last section downloads
# real ones.

# %%
# !$JMIM --config=configs/mae_digits.py:steps=300 --workdir=runs/notebook_05 --config.evals.loss=None --config.evals.recon=None --config.evals.probe=None

# %% [markdown]
# ## Out: a folder as on the Hugging Face hub

# %%
# !$JMIM --mode=export --workdir=runs/notebook_05 --format=hf --out=runs/notebook_05_hub
# !ls runs/notebook_05_hub

# %% [markdown]
# `transformers.ViTMAEForPreTraining.from_pretrained(folder)` loads it; so does
# `jmim.load`, which reads a run, an export or a folder of the hub.

# %%
import warnings

import numpy as np

import jmim
from jmim.data import sources

warnings.filterwarnings("ignore", message=r"os\.fork")  # by ! below; harmless

theirs = jmim.load("runs/notebook_05_hub")
ours = jmim.load("runs/notebook_05")
test = sources.build("digits/scattered", "test")
images = [test[i]["image"] for i in range(64)]
difference = np.abs(theirs("features", images) - ours("features", images)).max()
print("offers", theirs.offers)
print("largest difference of the features:", difference)

# %% [markdown]
# ## In: the weights as the start of a run
#
# `jmim.convert` turns a file or folder into a workdir with a checkpoint of step
# 0, which any run can start from; here fine-tuning with labels. The line "begins
# with" says what was taken and what is fresh. Forty steps show that it runs and no
# more: the recipe has a thousand.

# %%
# !{sys.executable} -m jmim.convert --weights=runs/notebook_05_hub --out=runs/notebook_05_in

# %%
# !$JMIM --config=configs/finetune_digits.py --workdir=runs/notebook_05_ft --config.init_from.path=runs/notebook_05_in --config.train.total_steps=40 --config.train.log_steps=10 --config.schedule.warmup_steps=4 --config.evals.accuracy=None

# %% [markdown]
# ## Features for something else
#
# A classifier of your choice on frozen features, beside the same on raw pixels
# (ten classes, so chance is 10 %).

# %%
from sklearn import linear_model
from sklearn import pipeline
from sklearn import preprocessing

from jmim.data import decode

train = sources.build("digits/scattered", "train")
some = [train[i] for i in range(2000)]
held_out = [test[i] for i in range(400)]


def pixels(images):
  return np.stack([decode.decode(image, 3) for image in images])


for name, make in (("pixels", pixels), ("tokens", lambda x: ours("tokens", x))):
  seen, new = (
    make([e["image"] for e in part]).reshape(len(part), -1)
    for part in (some, held_out)
  )
  classifier = pipeline.make_pipeline(
    preprocessing.StandardScaler(), linear_model.RidgeClassifier(100.0)
  )
  classifier.fit(seen, [e["label"] for e in some])
  score = classifier.score(new, [e["label"] for e in held_out])
  print(f"{name}: {score:.1%} of {len(held_out)} held-out images")

# %% [markdown]
# ## Published weights
#
# With a network: MAE's ViT-B/16 of the authors, 110 million parameters, 330 MB.

# %%
DOWNLOAD = False  # @param {type:"boolean"}
if DOWNLOAD:
  import subprocess
  import urllib.request

  url = "https://dl.fbaipublicfiles.com/mae/pretrain/mae_pretrain_vit_base.pth"
  urllib.request.urlretrieve(url, "runs/mae_b.pth")
  command = [sys.executable, "-m", "jmim.convert", "--from=mae"]
  command += ["--weights=runs/mae_b.pth", "--out=runs/mae_b"]
  command += ["--config=configs/mae_imagenet.py"]
  subprocess.run(command, check=True)
  published = jmim.load("runs/mae_b")
  print(published("features", images[:4]).shape)
