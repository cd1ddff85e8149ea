# %% [markdown]
# # Use pre-trained weights
#
# Weights of other codebases come in, weights of runs go out; every name is
# accounted for, and pickles are read without running them (docs/weights.md).
# So that this notebook runs anywhere, its "published" weights are made here, by
# a short run exported to the layout of Transformers; the last section downloads
# real ones.

# %%
# !$JMIM --config=configs/mae_digits.py:steps=100 --workdir=runs/notebook_05 --config.evals.loss=None --config.evals.recon=None

# %% [markdown]
# ## Out: a folder as on the Hugging Face hub

# %%
# !$JMIM --mode=export --workdir=runs/notebook_05 --format=hf --out=runs/notebook_05_hub
# !ls runs/notebook_05_hub

# %% [markdown]
# `transformers.ViTMAEForPreTraining.from_pretrained(folder)` loads it; so does
# `jmim.load`, which reads a run, an export or a folder of the hub.

# %%

import numpy as np

import jmim
from jmim.data import sources

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
# 0, which any run can start from; here fine-tuning with labels, for 40 steps.

# %%
# !{sys.executable} -m jmim.convert --weights=runs/notebook_05_hub --out=runs/notebook_05_in

# %%
# !$JMIM --config=configs/finetune_digits.py --workdir=runs/notebook_05_ft --config.init_from.path=runs/notebook_05_in --config.train.total_steps=40 --config.schedule.warmup_steps=4

# %% [markdown]
# ## Features for something else
#
# A classifier of your choice on frozen features.

# %%
import sklearn.linear_model

train = sources.build("digits/scattered", "train")
some = [train[i] for i in range(600)]
fit = sklearn.linear_model.LogisticRegression(max_iter=300)
tokens = lambda images: ours("tokens", images).reshape(len(images), -1)
fit.fit(tokens([x["image"] for x in some]), [x["label"] for x in some])
labels = [test[i]["label"] for i in range(64)]
print("accuracy on 64 images:", fit.score(tokens(images), labels))

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
