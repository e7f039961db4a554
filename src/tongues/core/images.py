"""The images that steps run in: named once, set in the environment for a private registry."""

import os

from tongues import __version__

CPU = os.environ.get("TONGUES_CPU_IMAGE", f"tongues/cpu:{__version__}")
CUDA = os.environ.get("TONGUES_CUDA_IMAGE", f"tongues/cuda:{__version__}")
