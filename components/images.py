"""The images that components run in; `tongues.core.images` names them."""

from tongues.core.images import CPU, CUDA

__all__ = ["CPU", "CUDA"]
