"""The images that components run in: named once, set at compile time for a private registry."""

import os

from tongues import __version__

CPU = os.environ.get("TONGUES_CPU_IMAGE", f"tongues/cpu:{__version__}")
CUDA = os.environ.get("TONGUES_CUDA_IMAGE", f"tongues/cuda:{__version__}")
