"""The share of a device's peak: known answers."""

import pytest

from tongues.tuning.step_meters import operations_per_token, peak_of


@pytest.mark.parametrize(
    ("device", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362.05e12),
        ("NVIDIA GeForce RTX 4090", None),
    ],
)
def test_the_peak_is_that_of_the_device_by_its_whole_words(device, peak):
    assert peak_of(device) == peak


def test_full_training_takes_six_operations_a_weight_and_frozen_weights_four():
    assert operations_per_token(7_000_000_000, 7_000_000_000) == 6 * 7e9
    assert operations_per_token(1000, 0) == 4000
