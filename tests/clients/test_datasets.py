"""The digits that come with the SDK."""

import numpy as np

from starlab.datasets import mnist, pack, unpack


def test_the_whole_of_mnist_is_there() -> None:
    train, test = mnist()
    assert (train.images.shape, train.labels.shape) == ((60_000, 98), (60_000,))
    assert (test.images.shape, test.labels.shape) == ((10_000, 98), (10_000,))
    # class sizes as published with the data set
    assert np.bincount(train.labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert np.bincount(test.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip


def test_packing_is_numpys() -> None:
    bits = np.zeros((1, 784), np.int64)
    bits[0, [0, 15]] = 1
    packed = pack(bits)
    assert packed[0, :2].tolist() == [0x80, 0x01]
    np.testing.assert_array_equal(unpack(packed), bits)


def test_shuffling_keeps_images_with_their_labels() -> None:
    _, test = mnist()
    shuffled = test.shuffled(np.random.default_rng(1))
    order = np.random.default_rng(1).permutation(len(test))
    np.testing.assert_array_equal(shuffled.images, test.images[order])
    np.testing.assert_array_equal(shuffled.labels, test.labels[order])
    assert len(shuffled.head(7)) == 7
