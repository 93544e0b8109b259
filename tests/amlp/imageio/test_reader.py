import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import amlp.imageio
from amlp.errors import UnsupportedImage
from amlp.imageio.reader import read_image

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["x.png", "x.dcm", "x", "x.nii.gz"])
def test_the_content_decides_and_not_the_name(dicom_file, name):
    values = np.arange(80, dtype=np.uint8).reshape(1, 8, 10)

    np.testing.assert_array_equal(read_image(dicom_file(values, name)).pixels[0], values)


def test_a_plain_nifti_named_gz_is_read(tmp_path):
    path = tmp_path / "x.nii.gz"
    path.write_bytes(nib.Nifti1Image(np.ones((3, 4, 5), np.uint8), np.eye(4)).to_bytes())

    assert read_image(path).pixels.shape == (1, 5, 4, 3)


def test_text_named_as_a_picture_is_refused(tmp_path):
    path = tmp_path / "x.png"
    path.write_text("<html><script>")

    with pytest.raises(UnsupportedImage, match="HTML"):
        read_image(path)


def test_public_names_are_sorted():
    assert list(amlp.imageio.__all__) == sorted(amlp.imageio.__all__)


def test_no_tensor_library_is_loaded():
    script = "import sys, amlp.imageio, amlp.phantom; sys.exit('torch' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)

    assert done.returncode == 0
