import pytest

from amlp import errors
from amlp.errors import AmlpError, DataError, StorageFull, UnreadableImage


def tree(root):
    return [root, *(leaf for child in root.__subclasses__() for leaf in tree(child))]


OURS = [error for error in tree(AmlpError) if error.__module__ == errors.__name__]


def test_codes_are_unique():
    codes = [error.code for error in OURS]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("error", OURS, ids=lambda error: error.__name__)
def test_every_error_is_drawn_in_the_tree(error):
    assert error.__name__ in (errors.__doc__ or "")


def test_only_a_full_storage_is_worth_a_second_try():
    assert [error for error in OURS if error.retryable] == [StorageFull]


def test_unreadable_images_are_data_errors():
    assert issubclass(UnreadableImage, DataError)
