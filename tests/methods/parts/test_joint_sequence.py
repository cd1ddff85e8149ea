import jax
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import joint_sequence

PART = joint_sequence.JointSequence(least_rate=0.25)
B, N = 2000, 8


@pytest.fixture(scope="module")
def forms():
  draws = PART.draw(randomness.Keys(jax.random.key(0)), (B, N))
  return jax.tree.map(np.asarray, PART.forms(draws))


def test_shares_of_the_forms(forms):
  assert abs(forms.describes.mean() - 0.5) < 0.05
  assert not (forms.describes & forms.told).any()
  alone = ~forms.describes & ~forms.told
  assert abs(alone.mean() - 0.05) < 0.02


def test_masks_are_in_their_range_and_an_image_that_is_told_of_is_whole(forms):
  count = forms.mask.sum(1)
  assert (count[forms.describes] == 0).all()
  masked = count[~forms.describes]
  assert masked.min() == 3 and masked.max() == 8
  assert abs(masked.mean() - 5.5) < 0.2  # ceil(8 u), u of 0.25 .. 1
  assert abs(forms.mask[~forms.describes].mean(0) - masked.mean() / 8).max() < (
    0.06
  )


@pytest.mark.parametrize("rates", ["uniform", "normal"])
def test_at_least_one_token_is_masked(rates):
  part = joint_sequence.JointSequence(
    least_rate=0.0, most_rate=0.01, rates=rates, describe=0.0
  )
  draws = part.draw(randomness.Keys(jax.random.key(0)), (20, N))
  assert (part.forms(draws).mask.sum(1) == 1).all()


# One example of each form: begin, two words, a padding; three of an image.
PRESENT = np.array([[1, 1, 1, 0]] * 3) > 0
DESCRIBES = np.array([False, False, True])
TOLD = np.array([True, False, False])


def seen(places):
  return np.asarray(places.rows(0, 7)["bias"])[:, 0] == 0


def test_who_sees_whom():
  places = PART.places(PRESENT, 3, DESCRIBES, TOLD)
  drawn, alone, described = seen(places)
  text = np.tri(4) * [1, 1, 1, 0]
  # text, image: words see words before them; the image sees them and itself.
  np.testing.assert_array_equal(drawn[:4, :4], text)
  assert not drawn[:3, 4:].any()
  np.testing.assert_array_equal(drawn[4:], [[1, 1, 1, 0, 1, 1, 1]] * 3)
  # image: nothing else is there.
  np.testing.assert_array_equal(alone[4:], [[0, 0, 0, 0, 1, 1, 1]] * 3)
  # image, text: words see it, it sees no word.
  np.testing.assert_array_equal(described[:4, :4], text)
  assert described[:4, 4:].all()
  np.testing.assert_array_equal(described[4:], [[0, 0, 0, 0, 1, 1, 1]] * 3)


def test_positions_do_not_know_the_padding():
  positions = PART.places(PRESENT, 3, DESCRIBES, TOLD).position
  want = [
    [0, 1, 2, 3, 3, 3, 3],
    [0, 1, 2, 3, 0, 0, 0],
    [1, 2, 3, 4, 0, 0, 0],
  ]
  np.testing.assert_array_equal(positions, want)
  part = joint_sequence.JointSequence(image_order=True)
  places = part.places(PRESENT, 3, DESCRIBES, TOLD)
  want = [
    [0, 1, 2, 3, 3, 4, 5],
    [0, 1, 2, 3, 0, 1, 2],
    [3, 4, 5, 6, 0, 1, 2],
  ]
  np.testing.assert_array_equal(places.position, want)
  other = PART.places(PRESENT, 3, DESCRIBES, TOLD)
  np.testing.assert_array_equal(seen(places), seen(other))


def test_rows_are_cut_anywhere():
  places = PART.places(PRESENT, 3, DESCRIBES, TOLD)
  rows = jax.jit(lambda at: places.rows(at, 2))(5)
  np.testing.assert_array_equal(rows["bias"][:, 0] == 0, seen(places)[:, 5:])
  np.testing.assert_array_equal(rows["positions"], places.position[:, 5:])


def test_an_example_counts_once():
  part = joint_sequence.JointSequence(text_weight=3.0)
  forms = joint_sequence.Forms(DESCRIBES, TOLD, np.zeros((3, 3), bool))
  image, text = np.float32([1, 2, 9]), np.float32([9, 9, 4])
  loss, aux = part.total(forms, image, text)
  assert loss == pytest.approx((1 + 2 + 3 * 4) / 3)
  assert (aux["loss_image"], aux["loss_text"]) == (1.5, 4)


def test_mistakes():
  with pytest.raises(ValueError, match="sequence.least_rate 0.9 above"):
    joint_sequence.JointSequence(least_rate=0.9, most_rate=0.5).check()
