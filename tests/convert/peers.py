"""Libraries' own networks of random weights, against ours.

Tests that use it are skipped where PyTorch is not installed. Only the networks
of a method are run, on weights that passed through a file.
"""

import json

import jax
import jax.numpy as jnp
import kit
import numpy as np
import pytest

from jmim.convert import families
from jmim.convert import files
from jmim.convert import table
from jmim.core import discovery
from jmim.core import tree as trees
from jmim.core import validate

B, SIDE = 2, 16
# A ViT of Transformers.
HF = dict(
  hidden_size=32,
  num_hidden_layers=2,
  num_attention_heads=4,
  intermediate_size=96,
  image_size=SIDE,
  patch_size=4,
  num_channels=3,
)
# A ViT of timm.
TIMM = dict(
  img_size=SIDE,
  patch_size=4,
  embed_dim=32,
  depth=2,
  num_heads=4,
  mlp_ratio=3.0,
)


def torch():
  return pytest.importorskip("torch")


def transformers():
  torch()
  return pytest.importorskip("transformers")


def timm():
  torch()
  return pytest.importorskip("timm")


def diffusers():
  transformers()
  return pytest.importorskip("diffusers")


def shake(model):
  """Random values everywhere: biases and norms start at 0 and 1."""
  generator = torch().Generator().manual_seed(0)
  with torch().no_grad():
    for p in model.parameters():
      spread = p.std() if p.numel() > 1 and p.std() > 0 else 0.3
      p += 0.3 * torch().randn(p.shape, generator=generator) * spread
  return model.eval()


def images(seed=0):
  """The same images [b, h, w, c] of JAX and [b, c, h, w] of torch."""
  x = np.random.default_rng(seed).normal(size=(B, SIDE, SIDE, 3))
  x = x.astype(np.float32)
  return jnp.asarray(x), channels_first(x)


def channels_first(x):
  return torch().from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def run(model, *inputs, **options):
  """What a torch model gives, without gradients."""
  with torch().no_grad():
    return model.eval()(*inputs, **options)


def read(name, config, file, **fields):
  """(method, params, plan) of weights in a family; `fields` change it."""
  family = families.find(name)
  cls = discovery.find(family.methods[0])
  entries = family.read_config(config) | fields
  method = validate.build(cls, entries, "method")
  written = kit.Written(
    family, method, like=kit.shapes(method), ours={}, theirs={}
  )
  made, leaves = kit.load(written, dict(file))
  assert family.objection(family.methods[0], method) is None
  return method, trees.nested(leaves)["params"], made


def read_folder(name, folder, **fields):
  """`read` of a folder that a library saved."""
  config = json.loads((folder / "config.json").read_text())
  assert families.detect(config) == name
  return read(name, config, files.read(folder), **fields)


def write(name, method, params, folder):
  """What jmim writes for the library; its config.json."""
  family = families.find(name)
  named = trees.named({"params": params})
  table.check_export(family.table(method), named)
  arrays = dict(table.export_stream(family.table(method), named))
  return save(folder, family.write_config(method), arrays)


def save(folder, config, arrays):
  folder.mkdir()
  (folder / "config.json").write_text(json.dumps(config))
  specs = {n: (x.shape, np.dtype(np.float32)) for n, x in arrays.items()}
  files.write(folder / "model.safetensors", specs, arrays.items())
  return config


def reread(cls, folder):
  """The library's model of what jmim wrote; every name is found."""
  model, info = cls.from_pretrained(folder, output_loading_info=True)
  assert not any(info.values()), info
  return model


def retimm(config, folder):
  """timm's model of what jmim wrote."""
  return timm().create_model(
    config["architecture"],
    num_classes=config["num_classes"],
    checkpoint_path=str(folder / "model.safetensors"),
    **config["model_args"],
  )


def check_diffusers_reads(name, method, params, theirs, folder):
  """Diffusers loads what jmim writes: all names, the weights of `theirs`."""
  write(name, method, params, folder)
  (folder / "model.safetensors").rename(
    folder / "diffusion_pytorch_model.safetensors"
  )
  again, info = type(theirs).from_pretrained(
    folder, output_loading_info=True, low_cpu_mem_usage=False
  )
  assert not any(info.values()), info
  for key, value in theirs.state_dict().items():
    np.testing.assert_array_equal(again.state_dict()[key], value, key)


def latent(method, params, x):
  """[b, tokens, w] of the encoder."""
  variables = {"params": params["main"]["encoder"]}
  return jax.jit(method.encoder.apply)(variables, x)["latent"]


def logits(method, params, x):
  """[b, classes] of encoder and head."""
  variables = {"params": params["main"]["head"]}
  return method.head.apply(variables, latent(method, params, x))


def check_hf(theirs, name, folder, read=logits, output="logits", cls=None):
  """Transformers and we compute the same, and again of what jmim writes.

  Args:
    theirs: the library's model.
    name: of the family.
    folder: to write to.
    read: what we compute of it: (method, params, images).
    output: what that is called there.
    cls: that reads what jmim writes; None: its own.

  Returns:
    the plan that it was read by.
  """
  theirs.save_pretrained(folder / "theirs")
  method, params, made = read_folder(name, folder / "theirs")
  ours, x = images()
  value = lambda model: getattr(run(model, x), output).numpy()
  want = value(theirs)
  np.testing.assert_allclose(read(method, params, ours), want, atol=1e-4)
  write(name, method, params, folder / "ours")
  again = reread(cls or type(theirs), folder / "ours")
  np.testing.assert_allclose(value(again), want, atol=1e-5)
  return made


def check_timm(folder, name, architecture, args):
  """timm and we compute the same, and again of what jmim writes."""
  theirs = timm().create_model(architecture, num_classes=5, **args)
  shake(theirs)
  state = {n: p.numpy() for n, p in theirs.state_dict().items()}
  config = dict(
    architecture=architecture, num_classes=5, model_args=args, num_features=0
  )
  assert families.detect(config) == name
  method, params, made = read(name, config, state)
  assert not made.fresh and not made.ignored
  ours, x = images()
  want = run(theirs, x).numpy()
  with torch().no_grad():
    features = theirs.forward_features(x).numpy()
  got = latent(method, params, ours)
  np.testing.assert_allclose(got, features.reshape(got.shape), atol=1e-4)
  got = logits(method, params, ours)
  # Heads of timm start small.
  np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())
  config = write(name, method, params, folder / "ours")
  again = retimm(config, folder / "ours")
  np.testing.assert_allclose(run(again, x).numpy(), want, atol=1e-5)
