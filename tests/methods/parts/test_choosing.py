import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import procedure
from jmim.methods.parts import choosing
from jmim.methods.parts import classifier_score
from jmim.methods.parts import directional
from jmim.methods.supervised import convnet
from jmim.methods.text import clip

TOY = toydiffusion.make()


def models(owner):
  scorer = procedure.Model(method=owner, weights=toydiffusion.fresh(owner))
  return {"source": procedure.Model.of(TOY), "scorer": scorer}


CLASSES, TOWERS = models(convnet.ConvNet.tiny()), models(clip.CLIP.tiny())
Y = jax.random.uniform(jax.random.key(0), (3, *TOY.image))


def test_a_class_by_a_classifier():
  made = choosing.Choice(kind="class", head="label")
  assert made.inputs(CLASSES) == {}
  made.check(CLASSES, TOY, TOY)
  label = jnp.array([0, 2, 1])
  found = made.score(CLASSES, {}, {"label": label})({"image": Y})
  scorer = CLASSES["scorer"]
  wanted = classifier_score.log_share(scorer, "label", Y, label)
  np.testing.assert_array_equal(found, wanted)
  none = toydiffusion.make(classes=0)
  with pytest.raises(ValueError, match="scorer of 3 classes, target of 0"):
    made.check(CLASSES, TOY, none)


def test_a_direction_by_two_towers():
  made = choosing.Choice(kind="direction")
  reads = made.inputs(TOWERS)
  assert set(reads) == set(directional.TEXTS)
  made.check(TOWERS, TOY, TOY)
  batch = toydiffusion.batch_of(reads, 3) | {"image": Y[::-1]}
  found = made.score(TOWERS, batch, {})({"image": Y})
  scorer = TOWERS["scorer"]
  before, after = (directional.seen(scorer, x) for x in (Y[::-1], Y))
  wanted = directional.score(directional.asked(scorer, batch), before, after)
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_either_diffusion_model_may_read_other_tokens():
  made = choosing.Choice(kind="direction")
  tokens = made.inputs(TOWERS)["tokens"]
  other = dataclasses.replace(tokens, high=12)
  told = dataclasses.replace(TOY, reads={"tokens": other})
  for pair in ((told, TOY), (TOY, told)):
    with pytest.raises(ValueError, match="scorer reads tokens"):
      made.check(TOWERS, *pair)
