"""tongues teaches a language model new languages, on your own Kubernetes."""

__version__ = "0.1.0"
